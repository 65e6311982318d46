package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/fsm"
)

// Consistency tells how fresh a read must be.
type Consistency uint8

// The consistencies.
const (
	Linearizable Consistency = iota // sees every write that was acknowledged before it began; leader only
	Stale                           // whatever this node has
)

// Peer is a coordinator and where it is reached.
type Peer struct {
	ID, Name, RPC, HTTP string
	Term                uint64 // in which it was last heard of; 0: unknown
}

// retryAfter is what clients are told to wait when they cannot be served now.
const retryAfter = time.Second

// BeatAnswer is what a worker learns from its beat.
type BeatAnswer struct {
	Known   bool        // false: it must join again
	Stop    []fsm.Grant // attempts that are not its own
	Missing []fsm.Grant // its own, that it did not mention
}

// Tasker is the service in front of the state machine: it takes commands, job states and progress, and answers queries.
// Its methods are safe for concurrent use.
type Tasker struct{ c *Coordinator }

// Propose replicates a command and returns the value of its answer, once it is committed and applied. A refusal is a
// *fsm.Refusal. Other errors: *NotLeaderError, ErrOverloaded, ErrDiskFull (nothing was done); ErrUnknownOutcome, and
// ctx's (it may have been).
func (t *Tasker) Propose(ctx context.Context, cmd fsm.Command) (any, error) {
	work := isNewWork(cmd)
	switch {
	case work && t.c.disk.low():
		return nil, ErrDiskFull
	case work && t.c.memory.low():
		return nil, ErrMemoryFull
	}
	l := t.c.leading.Load()
	if l == nil {
		return nil, t.notLeader()
	}
	if large := t.c.parts.largeRequest(cmd); large != nil {
		return t.submitInParts(ctx, l, large)
	}
	return t.propose(ctx, l, cmd, work)
}

// propose is Propose for one command, in one leadership.
func (t *Tasker) propose(ctx context.Context, l *leadership, cmd fsm.Command, work bool) (any, error) {
	answer, err := l.committer.propose(ctx, fsm.Encode(cmd), work)
	var deposed *NotLeaderError
	if errors.As(err, &deposed) {
		return nil, t.notLeader()
	}
	if err != nil {
		return nil, err
	}
	if answer.Refusal != nil {
		return nil, answer.Refusal
	}
	return answer.Value, nil
}

// isNewWork says whether a command brings work that is not accepted yet. It is refused first when something is short:
// words on accepted work are what frees it again.
func isNewWork(cmd fsm.Command) bool {
	switch cmd.(type) {
	case fsm.SubmitRequest, *fsm.SubmitRequest, fsm.OpenSession, *fsm.OpenSession, fsm.BeginRestore, *fsm.BeginRestore:
		return true
	}
	return false
}

func (t *Tasker) notLeader() error {
	leader, _ := t.Leader()
	if leader.ID == t.c.self().ID {
		leader = Peer{} // elected, and not yet ready to serve
	}
	return &NotLeaderError{Leader: leader}
}

// Read returns a view of the state. A linearizable one is the leader's alone, else *NotLeaderError. age is how old a
// stale one may be: the time since this node last heard from a leader.
func (t *Tasker) Read(ctx context.Context, c Consistency) (v *fsm.View, age time.Duration, err error) {
	if c == Stale {
		return t.c.applier.now(), t.c.lastContact(), nil
	}
	l := t.c.leading.Load()
	if l == nil {
		return nil, 0, t.notLeader()
	}
	v, err = t.confirmed(ctx, l)
	return v, 0, err
}

// confirmed is a view of which a majority confirmed after the call that it is as new as what was acknowledged before it.
func (t *Tasker) confirmed(ctx context.Context, l *leadership) (*fsm.View, error) {
	// Every write that this leader acknowledged is applied here, and those of earlier leaders were by the barrier with
	// which it began. So what is applied now is fresh enough, if it still leads.
	index := t.c.applier.index.Load()
	if err := l.reads.confirm(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, t.notLeader()
	}
	return t.c.applier.at(index), nil
}

// Leader is the leader as far as this node knows.
func (t *Tasker) Leader() (Peer, bool) { return t.c.leader() }

// IsLeader says whether this node leads and is ready to serve.
func (t *Tasker) IsLeader() bool { return t.c.leading.Load() != nil }

// RetryAfter is how long a client should wait before it tries again.
func (t *Tasker) RetryAfter() time.Duration { return retryAfter }

// TTL is the workers' lease: without a beat for so long, one is declared lost.
func (t *Tasker) TTL() time.Duration { return t.c.cfg.Lease.TTL }

// Progress takes progress of running jobs. It does not block; see progressBuffer.
func (t *Tasker) Progress(items []fsm.ProgressItem) error {
	l := t.c.leading.Load()
	if l == nil {
		return t.notLeader()
	}
	l.progress.put(items)
	return nil
}

// Beat is stillAlive: it renews a worker's lease, and compares what the worker says it holds with the state. What is more
// than that all is well it says of a state of which a majority confirms that it is no older than the call.
func (t *Tasker) Beat(ctx context.Context, id fsm.WorkerID, incarnation uint32, held []fsm.Grant) (BeatAnswer, error) {
	l := t.c.leading.Load()
	if l == nil {
		return BeatAnswer{}, t.notLeader()
	}
	b := l.beat(t.c.applier.now(), id, incarnation, held)
	if b.Known && len(b.Stop) == 0 && len(b.Missing) == 0 {
		return b, nil
	}
	// A leader that was deposed and does not know it yet has an old state: the worker may have joined, picked or ended since.
	v, err := t.confirmed(ctx, l)
	if err != nil {
		return BeatAnswer{}, err
	}
	return l.beat(v, id, incarnation, held), nil
}

// beat is what a state says to a beat.
func (l *leadership) beat(v *fsm.View, id fsm.WorkerID, incarnation uint32, held []fsm.Grant) BeatAnswer {
	w, ok := v.Worker(id)
	if !ok || w.Lost || w.Incarnation != incarnation {
		return BeatAnswer{Stop: held}
	}
	l.leases.beat(id, incarnation, time.Now())
	stop, missing := reconcile(v, id, held, time.Unix(0, l.clock.now()))
	return BeatAnswer{Known: true, Stop: stop, Missing: missing}
}

// Attach connects a worker: grants and stops go to its link from now on, beginning with all that it holds. A newer link
// replaces an older one. detach ends it; if the link is still the worker's, its reconnect grace begins, and it is
// granted nothing more until it picks again.
func (t *Tasker) Attach(id fsm.WorkerID, incarnation uint32, link WorkerLink) (detach func(), err error) {
	l := t.c.leading.Load()
	if l == nil {
		return nil, t.notLeader()
	}
	w, ok := t.c.applier.now().Worker(id)
	if !ok || w.Lost || w.Incarnation != incarnation {
		return nil, &fsm.Refusal{Code: fsm.CodeStale, Detail: fmt.Sprintf("worker %s must join again", id)}
	}
	l.hub.attach(id, link)
	l.leases.beat(id, incarnation, time.Now())
	l.leases.link(id, true, time.Now())
	v := t.c.applier.now() // after attach: what is granted from here on comes through the hub
	if held := v.Held(id); len(held) > 0 {
		link.Grant(v, held)
	}
	return func() { t.c.unlink(l, id, incarnation, link) }, nil
}

// WorkerLog reads output of a job's attempt over its worker's connection. It returns ErrWorkerGone when the worker is
// not connected.
func (t *Tasker) WorkerLog(ctx context.Context, job fsm.JobID, attempt uint32, stream uint8, offset int64, max int) ([]byte, bool, error) {
	l := t.c.leading.Load()
	if l == nil {
		return nil, false, t.notLeader()
	}
	worker, err := holder(t.c.applier.now(), job, attempt)
	if err != nil {
		return nil, false, err
	}
	link := l.hub.link(worker)
	if link == nil {
		return nil, false, ErrWorkerGone
	}
	return link.ReadLog(ctx, job, attempt, stream, offset, max)
}

// holder is the worker that has or had an attempt.
func holder(v *fsm.View, job fsm.JobID, attempt uint32) (fsm.WorkerID, error) {
	for _, s := range v.History(job) {
		if s.State == fsm.Picked && s.Attempt == attempt {
			return s.Worker, nil
		}
	}
	return 0, &fsm.Refusal{Code: fsm.CodeNotFound, Detail: fmt.Sprintf("job %s has no attempt %d", job, attempt)}
}

// LastBeat is a worker's last sign of life under this leader.
func (t *Tasker) LastBeat(id fsm.WorkerID) (time.Time, bool) {
	l := t.c.leading.Load()
	if l == nil {
		return time.Time{}, false
	}
	return l.leases.lastBeat(id)
}

// Watch follows events after index from; 0 means from now on.
func (t *Tasker) Watch(from uint64) *Watcher {
	if from == 0 {
		from = t.c.applier.index.Load()
	}
	return &Watcher{ring: t.c.applier.ring, from: from}
}
