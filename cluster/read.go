package cluster

import (
	"context"
	"errors"
	"sync"
)

// readRounds confirms leadership for linearizable reads, many reads at a time: those that arrive while a round is under
// way share the next one (Ongaro 2014, §6.4).
type readRounds struct {
	verify func() error // asks a majority whether this node still leads

	mu    sync.Mutex
	next  *readRound // gathers readers; nil: none
	busy  bool
	ended bool
	done  sync.WaitGroup
}

// errRoundsEnded is returned by confirm once the leadership is over.
var errRoundsEnded = errors.New("no longer leading")

// end refuses further readers and waits for the round under way. Raft must still run: what it is asked while it shuts down
// it never answers.
func (r *readRounds) end() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.done.Wait()
}

type readRound struct {
	done chan struct{}
	err  error
}

// confirm returns once a majority confirmed this node's leadership, in a round that began after the call.
func (r *readRounds) confirm(ctx context.Context) error {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return errRoundsEnded
	}
	if r.next == nil {
		r.next = &readRound{done: make(chan struct{})}
	}
	round := r.next
	if !r.busy {
		r.busy = true
		r.done.Go(r.run)
	}
	r.mu.Unlock()
	select {
	case <-round.done:
		return round.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run holds rounds while there are readers. It ends by itself: each round is bounded by Raft's own time-outs.
func (r *readRounds) run() {
	for {
		r.mu.Lock()
		round := r.next
		r.next = nil
		if round == nil {
			r.busy = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		round.err = r.verify()
		close(round.done)
	}
}
