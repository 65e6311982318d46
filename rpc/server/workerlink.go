package server

import (
	"context"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/wire"
)

// workerLink is a worker's connection as the Tasker sees it. It implements WorkerLink.
//
// A push that cannot be queued cuts the connection; one that is lost with it is repaired by the next beat.
type workerLink struct{ c *connection }

// Grant implements WorkerLink.
func (l *workerLink) Grant(v *fsm.View, grants []fsm.Grant) {
	b := granter{view: v}
	for _, g := range grants {
		b.add(g)
		if b.full() {
			l.push(wire.MethodGranted, &b.push)
			b.next()
		}
	}
	if len(b.push.Jobs) > 0 {
		l.push(wire.MethodGranted, &b.push)
	}
}

// Stop implements WorkerLink.
func (l *workerLink) Stop(grants []fsm.Grant) {
	for len(grants) > 0 {
		n := min(len(grants), wire.AttemptsMax)
		l.push(wire.MethodStop, &wire.Stop{Attempts: attempts(grants[:n])})
		grants = grants[n:]
	}
}

func (l *workerLink) push(method wire.Method, m wire.Message) {
	if err := l.c.conn.Push(method, m); err != nil && l.c.conn.Err() == nil {
		l.c.log.Error("a push was not sent", "method", method.String(), "client", l.c.client, "error", err)
	}
}

// ReadLog implements WorkerLink.
func (l *workerLink) ReadLog(ctx context.Context, job fsm.JobID, attempt uint32, stream uint8, offset int64, limit int) ([]byte, bool, error) {
	q := &wire.ReadLog{
		Job: wireJobID(job), Attempt: attempt, Stream: stream, Offset: offset,
		Max: uint32(min(max(limit, 0), wire.LogBytesMax)),
	}
	var chunk wire.LogChunk
	err := l.c.conn.Call(ctx, wire.MethodReadLog, q, &chunk)
	return chunk.Data, chunk.EOF, err
}

// granter makes pushes of grants, none much larger than GrantedBytesTarget.
type granter struct {
	view  *fsm.View
	push  wire.Granted
	bytes int

	// What neighbours share. A request's jobs mostly come together, and so do those of a spec.
	request fsm.RequestID
	ref     *wire.RequestRef
	specs   map[*fsm.JobSpec]*wire.RunSpec
}

// full says whether the push should go.
func (b *granter) full() bool {
	return b.bytes >= wire.GrantedBytesTarget || len(b.push.Jobs) >= wire.AssignmentsMax
}

// next begins another push.
func (b *granter) next() {
	b.push, b.bytes = wire.Granted{}, 0
	clear(b.specs)
}

// add puts a grant into the push, unless it is no longer in force.
func (b *granter) add(g fsm.Grant) {
	job, ok := b.view.Job(g.Job)
	if !ok || job.Attempt != g.Attempt || !job.State.Assigned() || !b.of(g.Job.Request) {
		return
	}
	a := wire.Assignment{
		Job: wireJobID(g.Job), Attempt: g.Attempt, Name: job.Name, ArrayIndex: -1, Request: b.ref,
		Spec: b.spec(job.Spec), Payload: job.Payload,
	}
	var bytes int
	a.Parents, bytes, a.FetchInputs = b.parents(&job)
	const fixed = 32
	b.bytes += fixed + len(a.Name) + len(a.Payload) + bytes
	b.push.Jobs = append(b.push.Jobs, a)
}

// of looks up the request of a grant.
func (b *granter) of(id fsm.RequestID) bool {
	if b.ref != nil && b.request == id {
		return true
	}
	info, ok := b.view.Request(id)
	if ok {
		b.request, b.ref = id, requestRef(&info)
		b.bytes += len(info.Name) + len(info.SessionName)
	}
	return ok
}

func (b *granter) spec(s *fsm.JobSpec) *wire.RunSpec {
	if run, ok := b.specs[s]; ok {
		return run
	}
	if b.specs == nil {
		b.specs = make(map[*fsm.JobSpec]*wire.RunSpec)
	}
	run := runSpec(s)
	b.specs[s] = run
	b.bytes += specBytes(s)
	return run
}

// parents are a job's, with about their size; fetch says that they are too large to come along.
func (b *granter) parents(job *fsm.JobInfo) (list []wire.Parent, bytes int, fetch bool) {
	if len(job.Needs) > wire.ParentsMax {
		return nil, 0, true
	}
	for _, n := range job.Needs {
		p := parentOf(b.view, job.ID.Request, n.Job)
		if bytes += parentBytes(&p); bytes > wire.InlineParentsBytes {
			return nil, 0, true
		}
		list = append(list, p)
	}
	return list, bytes, false
}
