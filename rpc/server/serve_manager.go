package server

import (
	"context"
	"time"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/wire"
)

// waitMax is the longest that a Wait is left standing.
const waitMax = time.Minute

func (c *connection) openSession(ctx context.Context, q *wire.OpenSession) (wire.Message, error) {
	return propose(ctx, c, fsm.OpenSession{Name: q.Name}, sessionOpened)
}

func (c *connection) closeSession(ctx context.Context, q *wire.CloseSession) (wire.Message, error) {
	return c.done(ctx, fsm.CloseSession{ID: fsm.SessionID(q.ID)})
}

func (c *connection) submit(ctx context.Context, q *wire.Submit) (wire.Message, error) {
	return propose(ctx, c, submitRequest(q), submitted)
}

func (c *connection) cancel(ctx context.Context, q *wire.Cancel) (wire.Message, error) {
	return c.done(ctx, fsm.CancelRequest{ID: fsm.RequestID(q.ID)})
}

func (c *connection) pause(ctx context.Context, q *wire.Pause) (wire.Message, error) {
	if q.Undo {
		return c.done(ctx, fsm.ResumeRequest{ID: fsm.RequestID(q.ID)})
	}
	return c.done(ctx, fsm.PauseRequest{ID: fsm.RequestID(q.ID)})
}

func (c *connection) retry(ctx context.Context, q *wire.RetryRequest) (wire.Message, error) {
	return propose(ctx, c, fsm.RetryRequest{ID: fsm.RequestID(q.ID)}, func(jobs uint32) wire.Message {
		return &wire.Retried{Jobs: jobs}
	})
}

func (c *connection) drain(ctx context.Context, q *wire.Drain) (wire.Message, error) {
	return c.done(ctx, fsm.DrainWorker{Worker: fsm.WorkerID(q.Worker), Undo: q.Undo})
}

func (c *connection) status(context.Context, *wire.GetStatus) (wire.Message, error) {
	st := c.server.tasker.Status()
	return &st, nil
}

func (c *connection) request(ctx context.Context, q *wire.GetRequest) (wire.Message, error) {
	return c.readRequest(ctx, fsm.RequestID(q.ID))
}

func (c *connection) readRequest(ctx context.Context, id fsm.RequestID) (*wire.RequestInfo, error) {
	v, err := c.server.tasker.Read(ctx)
	if err != nil {
		return nil, err
	}
	info, ok := v.Request(id)
	if !ok {
		return nil, wire.Errorf(wire.CodeNotFound, "request %s is not known: it never was, or retention has removed it", id)
	}
	return requestInfo(&info), nil
}

// wait answers when the request has ended, or after q.Max with it still running.
func (c *connection) wait(ctx context.Context, q *wire.Wait) (wire.Message, error) {
	id := fsm.RequestID(q.ID)
	patience := time.NewTimer(min(max(q.Max, 0), waitMax))
	defer patience.Stop()
	for {
		come, leave := c.server.ends.join(id)
		info, err := c.readRequest(ctx, id)
		if err != nil || info.State.Terminal() {
			leave()
			return info, err
		}
		select {
		case <-come:
			leave()
		case <-patience.C:
			leave()
			return info, nil
		case <-ctx.Done():
			leave()
			return nil, context.Cause(ctx)
		}
	}
}

func (c *connection) job(ctx context.Context, q *wire.GetJob) (wire.Message, error) {
	v, err := c.server.tasker.Read(ctx)
	if err != nil {
		return nil, err
	}
	id := fsmJobID(q.ID)
	info, ok := v.Job(id)
	if !ok {
		return nil, wire.Errorf(wire.CodeNotFound, "job %s is not known", id)
	}
	answer := jobInfo(&info)
	return &answer, nil
}

// jobs answers a page, closed at PageBytesTarget: names, payloads and results can be large.
func (c *connection) jobs(ctx context.Context, q *wire.ListJobs) (wire.Message, error) {
	v, err := c.server.tasker.Read(ctx)
	if err != nil {
		return nil, err
	}
	id := fsm.RequestID(q.Request)
	if _, ok := v.Request(id); !ok {
		return nil, wire.Errorf(wire.CodeNotFound, "request %s is not known: it never was, or retention has removed it", id)
	}
	limit := wire.PageMax
	if q.Limit > 0 {
		limit = int(min(q.Limit, wire.PageMax))
	}
	list := v.Jobs(id, fsm.JobFilter{
		State: fsm.State(q.State), HasState: q.HasState, After: int(q.Skip) - 1, Limit: limit + 1,
	})
	page := new(wire.JobsPage)
	bytes := 0
	for i := range list {
		if bytes += jobInfoBytes(&list[i]); i == limit || i > 0 && bytes > wire.PageBytesTarget {
			page.More = true
			break
		}
		page.Jobs = append(page.Jobs, jobInfo(&list[i]))
		page.Next = list[i].ID.Index + 1
	}
	return page, nil
}

// jobInfoBytes is about how large a job is on the wire.
func jobInfoBytes(j *fsm.JobInfo) int {
	const fixed, each = 160, 5
	return fixed + len(j.Name) + len(j.Payload) + len(j.Result) + len(j.Error) + len(j.ProgressText) + len(j.WorkerName) +
		each*len(j.Needs) + specBytes(j.Spec)
}

// specBytes is about how large a spec is on the wire.
func specBytes(s *fsm.JobSpec) int {
	const fixed, each = 40, 6
	n := fixed + len(s.Dir) + len(s.Queue)
	for _, a := range s.Args {
		n += each + len(a)
	}
	for _, p := range s.Env {
		n += each + len(p.Key) + len(p.Value)
	}
	for _, p := range s.Labels {
		n += each + len(p.Key) + len(p.Value)
	}
	return n
}
