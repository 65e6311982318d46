package worker

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A worker on which every job fails at once (a full disk, a missing mount, a broken program) is always free, and so would
// take jobs faster than all others together, and spend their retries.
const (
	// streakFree is how many attempts may fail in a row, without one that succeeds, before the next failures are held back.
	streakFree = 10
	// streakRest is what the first failure after these is made to last at least; each further one twice as long.
	streakRest = 100 * time.Millisecond
	// streakRestMax is the longest: a worker that fails everything takes no more jobs than one whose jobs last so long.
	streakRestMax = 2 * time.Second
)

// streak is a worker's attempts that failed in a row.
type streak struct {
	log hclog.Logger

	mu     sync.Mutex
	failed int
}

// hold keeps an attempt that failed too soon, and with it its slots, before its end is told. It returns at once when the
// attempt's context ends.
func (s *streak) hold(ctx context.Context, o outcome, took time.Duration) {
	rest := s.rest(o) - took
	if rest <= 0 {
		return
	}
	t := time.NewTimer(rest)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// rest counts an attempt, and says how long it should have lasted at least.
func (s *streak) rest(o outcome) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case o.cut:
		return 0 // its end says nothing about this worker
	case o.failure == "":
		s.failed = 0
		return 0
	}
	s.failed++
	over := s.failed - streakFree
	if over <= 0 {
		return 0
	}
	if over == 1 {
		s.log.Warn("job after job fails on this worker: it takes fewer until one succeeds", "failed", s.failed, "error", o.failure)
	}
	return min(streakRest<<min(over-1, 16), streakRestMax)
}
