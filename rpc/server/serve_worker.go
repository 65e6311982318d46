package server

import (
	"context"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/wire"
)

// join registers the worker and attaches its connection: what it holds, and is granted from here on, is pushed to it.
func (c *connection) join(ctx context.Context, q *wire.Join) (wire.Message, error) {
	v, err := c.server.tasker.Propose(ctx, joinWorker(q))
	if err != nil {
		return nil, err
	}
	w, ok := v.(fsm.WorkerJoined)
	if !ok {
		return nil, wire.Errorf(wire.CodeInternal, "a join was answered with a %T", v)
	}
	detach, err := c.server.tasker.Attach(w.ID, w.Incarnation, &workerLink{c})
	if err != nil {
		return nil, err
	}
	c.attached(w, detach)
	c.log.Debug("worker attached", "worker", w.ID.String(), "name", q.Name, "incarnation", w.Incarnation)
	return &wire.Joined{ID: wire.WorkerID(w.ID), Incarnation: w.Incarnation, TTL: c.server.tasker.TTL()}, nil
}

func (c *connection) leave(ctx context.Context, q *wire.Leave) (wire.Message, error) {
	m, err := c.done(ctx, fsm.LeaveWorker{Worker: fsm.WorkerID(q.Worker), Incarnation: q.Incarnation})
	if err == nil {
		c.attached(fsm.WorkerJoined{}, nil)
	}
	return m, err
}

func (c *connection) pick(ctx context.Context, q *wire.Pick) (wire.Message, error) {
	if err := c.speaksFor(q.Worker, q.Incarnation); err != nil {
		return nil, err
	}
	return c.done(ctx, fsm.PickJobs{
		Worker: fsm.WorkerID(q.Worker), Incarnation: q.Incarnation, Max: q.Max, Standing: q.Standing,
	})
}

// beat renews the worker's lease and mends what got lost on the way: grants that it does not know of are pushed again.
func (c *connection) beat(ctx context.Context, q *wire.Beat) (wire.Message, error) {
	if c.speaksFor(q.Worker, q.Incarnation) != nil {
		return &wire.BeatAnswer{}, nil // to be joined anew: a beat must not keep alive whom nothing can reach
	}
	b, err := c.server.tasker.Beat(ctx, fsm.WorkerID(q.Worker), q.Incarnation, grantsOf(q.Held))
	if err != nil {
		return nil, err
	}
	if len(b.Missing) > 0 {
		if v, err := c.server.tasker.Read(ctx); err == nil { // else the next beat mends it
			(&workerLink{c}).Grant(v, b.Missing)
		}
	}
	return &wire.BeatAnswer{Known: b.Known, Stop: attempts(b.Stop)}, nil
}

// inputs answers a page of the parents of a job that this connection's worker holds.
func (c *connection) inputs(ctx context.Context, q *wire.Inputs) (wire.Message, error) {
	v, err := c.server.tasker.Read(ctx)
	if err != nil {
		return nil, err
	}
	job, ok := v.Job(fsmJobID(q.Job))
	w, attached := c.joined()
	if !ok || !attached || job.Attempt != q.Attempt || !job.State.Assigned() || job.Worker != w.ID {
		return nil, wire.Errorf(wire.CodeStale, "attempt %d of %s is not this worker's", q.Attempt, q.Job)
	}
	page := new(wire.InputsPage)
	bytes := 0
	for _, n := range job.Needs[min(int(q.Skip), len(job.Needs)):] {
		p := parentOf(v, job.ID.Request, n.Job)
		if bytes += parentBytes(&p); len(page.Parents) > 0 && bytes > wire.PageBytesTarget || len(page.Parents) == wire.ParentsMax {
			page.More = true
			break
		}
		page.Parents = append(page.Parents, p)
	}
	return page, nil
}
