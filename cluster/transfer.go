package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/config"
)

// transferTimeout bounds handing leadership over when this node stops.
const transferTimeout = time.Second

// TransferLeadership hands leadership to a coordinator by id or name; empty: to the one that is furthest. It returns when
// another leads, or with the reason why this node still does. Leader only.
func (t *Tasker) TransferLeadership(ctx context.Context, to string) error {
	l := t.c.leading.Load()
	if l == nil {
		return t.notLeader()
	}
	target, err := t.server(to)
	if err != nil {
		return err
	}
	transfer := t.c.node.raft.LeadershipTransfer
	whom := "the other"
	if to != "" {
		if err := canLead(target); err != nil {
			return err
		}
		whom = target.Name
		transfer = func() raft.Future {
			return t.c.node.raft.LeadershipTransferToServer(raft.ServerID(target.ID), raft.ServerAddress(target.RPC))
		}
	}
	if err := l.transfers.begin(time.Now()); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { // Raft ends it after its election time-out
		err := transfer().Error()
		l.transfers.end(err, time.Now())
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s did not take the leadership over (%w) and this coordinator still has it: look at the other with muster status, or name another", whom, err)
	}
	return nil
}

// transfers lets one hand-over be under way, and after one that failed the next not before Raft is done with it: what a
// follower that hangs leaves behind there would hold the next one up, and every proposal with it.
type transfers struct {
	pause time.Duration

	mu     sync.Mutex // guards the rest
	busy   bool
	failed time.Time // the last one; zero: none has
}

func (t *transfers) begin(now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy {
		return errors.New("another hand-over is under way: see muster status and try again")
	}
	if wait := t.pause - now.Sub(t.failed); !t.failed.IsZero() && wait > 0 {
		return fmt.Errorf("a hand-over has just failed: try again in %s, when what is left of it has ended", wait.Round(100*time.Millisecond))
	}
	t.busy = true
	return nil
}

func (t *transfers) end(err error, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy = false
	if err != nil {
		t.failed = now
	}
}

// canLead refuses what Raft would try in vain, refusing every proposal meanwhile.
func canLead(s Server) error {
	switch {
	case !s.Voter:
		return fmt.Errorf("%s has no vote yet, so it cannot lead: wait until it is a voter, see muster operator raft list", s.Name)
	case !s.Alive && s.LastContact < 0:
		return fmt.Errorf("%s has not answered since this coordinator started, so it cannot lead: see to it, or name another", s.Name)
	case !s.Alive:
		return fmt.Errorf("%s has not answered for %s, so it cannot lead: see to it, or name another", s.Name, s.LastContact.Round(time.Millisecond))
	}
	return nil
}

// transfer hands leadership over before this node stops.
func (n *node) transfer(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.raft.LeadershipTransfer().Error() }()
	select {
	case err := <-done:
		if err != nil {
			n.log.Warn("could not hand leadership over", "error", err)
		}
	case <-ctx.Done():
		n.log.Warn("could not hand leadership over in time")
	}
}

// stuckTransfer notices that a hand-over was interrupted and never ends: when Raft loses the leadership while one waits for
// a follower that hangs, the next leadership of this node refuses every proposal, for good, and its followers stay with it
// (hashicorp/raft#696). Nothing but a new process helps.
type stuckTransfer struct {
	limit   time.Duration // see transferLimit
	refused time.Time     // since when proposals are refused because of one; zero: they are not
}

// transferLimit is for how long Raft may be busy with a hand-over: it waits for its election time-out twice, and with a
// follower for a dial and a call.
func transferLimit(cfg config.Raft) time.Duration { return 2*cfg.TransportWait + 2*cfg.Election }

// note takes what became of a proposal, and says whether it is time to end.
func (s *stuckTransfer) note(err error, now time.Time) bool {
	if !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
		s.refused = time.Time{}
		return false
	}
	if s.refused.IsZero() {
		s.refused = now
	}
	return now.Sub(s.refused) > s.limit
}
