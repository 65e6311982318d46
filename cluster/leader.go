package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/fsm"
)

const (
	// barrierTimeout bounds a new leader's wait for everything before it to be applied.
	barrierTimeout = 30 * time.Second
	// tickLook is how often the leader looks whether a deadline has passed: the grain of delays and timeouts.
	tickLook = 20 * time.Millisecond
	// takeOverRetry is the pause after a failed attempt to take over while still being Raft's leader.
	takeOverRetry = 50 * time.Millisecond
)

// leadership is everything that exists only while this node leads. establish makes it, revoke ends it; each step of one
// has its mirror in the other.
type leadership struct {
	term      uint64
	clock     logClock
	committer *committer
	leases    *leases
	hub       *hub
	progress  *progressBuffer
	reads     *readRounds
	transfers *transfers
	uploads   chan struct{} // one taken for each large request that is being taken in
	restoring atomic.Bool   // a snapshot is

	cancel context.CancelFunc
	done   sync.WaitGroup
}

// lead follows Raft's word on who leads, until ctx ends.
func (c *Coordinator) lead(ctx context.Context) error {
	var held *leadership
	defer func() { c.revoke(held) }()
	var retry <-chan time.Time
	stuck := stuckTransfer{limit: transferLimit(c.cfg.Raft)}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.node.raft.LeaderCh():
		case <-retry:
		}
		// The channel keeps the newest word only: two times yes means lost and won again.
		c.revoke(held)
		held, retry = nil, nil
		if c.node.raft.State() != raft.Leader {
			continue
		}
		l, err := c.establish(ctx)
		if stuck.note(err, time.Now()) {
			c.fatal(fmt.Sprintf("this node was elected, and Raft refuses every proposal because of a hand-over of an earlier leadership that never ends (hashicorp/raft#696): %s", restartMends))
		}
		if err != nil {
			c.log.Warn("cannot take over as leader yet", "error", err)
			retry = time.After(takeOverRetry)
			continue
		}
		held = l
	}
}

// establish takes over: first everything committed before is applied, then the loops start, then the door opens.
func (c *Coordinator) establish(ctx context.Context) (*leadership, error) {
	term := c.node.raft.CurrentTerm()
	if err := c.node.raft.Barrier(barrierTimeout).Error(); err != nil {
		return nil, fmt.Errorf("wait until the log is applied: %w", err)
	}
	if now := c.node.raft.CurrentTerm(); now != term {
		return nil, fmt.Errorf("term %d has become %d", term, now)
	}
	last := c.applier.time()
	walls, err := c.enoughWalls(ctx, last)
	if err != nil {
		return nil, err
	}
	v := c.applier.now()
	loops, cancel := context.WithCancel(ctx)
	l := &leadership{
		term: term, clock: newLogClock(last, walls, time.Now()), cancel: cancel,
		leases: newLeases(c.cfg.Lease.TTL, c.cfg.Lease.ReconnectGrace), hub: newHub(), progress: new(progressBuffer),
		uploads: make(chan struct{}, uploadsMax), transfers: &transfers{pause: transferLimit(c.cfg.Raft)},
		reads: &readRounds{verify: func() error { return c.node.raft.VerifyLeader().Error() }},
	}
	l.committer = newCommitter(func(entry []byte) raft.ApplyFuture { return c.node.apply(entry, 0) }, l.clock.now, c.cfg.Raft.EntryBytes,
		queueLimits{c.cfg.QueueBytes, c.cfg.QueueWait}, c.cfg.Raft.InFlight, c.metrics.committed)
	l.leases.reset(v.Workers(), time.Now())
	l.done.Go(func() { l.committer.run(loops, &NotLeaderError{}) })
	l.done.Go(func() {
		l.hub.run(loops, c.applier, v.Index(), func(w fsm.WorkerInfo) { l.leases.follow(w, time.Now()) })
	})
	l.done.Go(func() { l.progress.run(loops, l.propose) })
	l.done.Go(func() { c.judgeWorkers(loops, l) })
	l.done.Go(func() { c.tick(loops, l) })
	l.done.Go(func() { _ = newMembership(c.peers, c.dir, c.node, c.log.Named("members")).run(loops) })
	// A standing order lives with a connection, and none is to this leader yet: what was granted now would lie with
	// workers that may be gone.
	for _, w := range v.Workers() {
		if !w.Lost {
			l.committer.endOrder(w.ID, w.Incarnation)
		}
	}
	c.leading.Store(l)
	c.announce()
	c.log.Info("leading", "term", term, "index", v.Index())
	return l, nil
}

// revoke is establish's mirror. Nil is nothing to do.
func (c *Coordinator) revoke(l *leadership) {
	if l == nil {
		return
	}
	c.leading.Store(nil)
	l.cancel()
	l.reads.end()
	l.done.Wait()
	c.announce()
	c.log.Info("no longer leading", "term", l.term)
}

// propose is for the leader's own decisions.
func (l *leadership) propose(ctx context.Context, cmd fsm.Command) (any, error) {
	answer, err := l.committer.propose(ctx, fsm.Encode(cmd), false)
	if err == nil && answer.Refusal != nil {
		err = answer.Refusal
	}
	return answer.Value, err
}

// judgeWorkers declares workers lost whose lease has run out.
func (c *Coordinator) judgeWorkers(ctx context.Context, l *leadership) {
	tick := time.NewTicker(leaseLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lost, stalled := l.leases.look(time.Now())
		if stalled > 0 {
			c.log.Warn("this leader was stalled: every worker gets a fresh lease", "for", stalled)
		}
		for _, e := range lost {
			c.declareLost(ctx, l, e)
		}
	}
}

func (c *Coordinator) declareLost(ctx context.Context, l *leadership, e expired) {
	jobs, err := l.propose(ctx, fsm.ReassignWorker{Worker: e.worker, Incarnation: e.incarnation, Term: l.term, Cause: e.cause})
	if err != nil {
		c.log.Debug("declare a worker lost", "worker", e.worker.String(), "error", err)
		if refusal := (*fsm.Refusal)(nil); errors.As(err, &refusal) && refusal.Code == fsm.CodeNotFound {
			l.leases.forget(e) // a restore has put a state in place that does not know it
		} else {
			l.leases.retry(e)
		}
		return
	}
	c.log.Warn("worker lost", "worker", e.worker.String(), "cause", e.cause, "jobs", jobs)
}

// unlink notes that a worker's connection has dropped: until it comes back it is granted nothing more.
func (c *Coordinator) unlink(l *leadership, id fsm.WorkerID, incarnation uint32, link WorkerLink) {
	if !l.hub.detach(id, link) {
		return
	}
	l.leases.link(id, false, time.Now())
	l.committer.endOrder(id, incarnation)
}

// tick lets deadlines take effect, and goes on with what was too much for one entry when there are no other entries.
func (c *Coordinator) tick(ctx context.Context, l *leadership) {
	tick := time.NewTicker(tickLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for {
			at, ok := c.applier.nextDeadline()
			if !ok || at > l.clock.now() || ctx.Err() != nil {
				break
			}
			if n, err := l.propose(ctx, fsm.Tick{Term: l.term}); err != nil || n == uint32(0) && !c.applier.busy() {
				break
			}
		}
	}
}
