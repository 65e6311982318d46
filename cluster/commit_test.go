package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/fsm"
)

// slowLog applies entries in order, each after a delay, as Raft would.
type slowLog struct {
	delay time.Duration
	fail  error

	mu       sync.Mutex
	m        *fsm.Machine
	index    uint64
	inFlight int
	most     int
}

type slowFuture struct {
	log     *slowLog
	entry   []byte
	answers any
}

func (s *slowLog) apply(entry []byte) raft.ApplyFuture {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	return &slowFuture{log: s, entry: entry}
}

func (f *slowFuture) Error() error {
	time.Sleep(f.log.delay)
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	f.log.inFlight--
	if f.log.fail != nil {
		return f.log.fail
	}
	f.log.index++
	answers, err := f.log.m.Apply(f.log.index, 1, f.entry)
	f.answers = answers
	return err
}

func (s *slowLog) view() *fsm.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.View()
}

func (f *slowFuture) Response() any { return f.answers }
func (f *slowFuture) Index() uint64 { return 0 }

// queueWait is how long new work may wait in these tests.
const queueWait = 24 * time.Hour

func startCommitter(t *testing.T, l *slowLog, queueBytes int) (*committer, func()) {
	t.Helper()
	l.m = fsm.New()
	c := newCommitter(l.apply, func() int64 { return time.Now().UnixNano() }, 1<<10, queueLimits{queueBytes, queueWait}, 2, func(int, int, time.Duration) {})
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { c.run(ctx, &NotLeaderError{}) })
	return c, func() { cancel(); done.Wait() }
}

func TestCommitterGathersWhileEntriesAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &slowLog{delay: time.Millisecond}
		c, stop := startCommitter(t, l, 1<<20)
		defer stop()
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				answer, err := c.propose(t.Context(), session(20), true)
				if err != nil || answer.Value == nil {
					t.Errorf("%+v %v", answer, err)
				}
			})
		}
		wg.Wait()
		if l.most != 2 {
			t.Errorf("%d entries in flight at most, want 2", l.most)
		}
		if l.index > 20 {
			t.Errorf("200 commands took %d entries", l.index)
		}
	})
}

func TestCommitterAnswersEachCommandItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := startCommitter(t, &slowLog{delay: time.Millisecond}, 1<<20)
		defer stop()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				bad := i%3 == 0
				cmd := fsm.OpenSession{Name: "s"}
				if bad {
					cmd.Name = ""
				}
				answer, err := c.propose(t.Context(), fsm.Encode(cmd), true)
				if err != nil || (answer.Refusal != nil) != bad {
					t.Errorf("command %d: %+v %v", i, answer, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestCommitterRefusesBeyondItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := startCommitter(t, &slowLog{delay: time.Hour}, 100)
		var refused int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, err := c.propose(t.Context(), fsm.Encode(fsm.OpenSession{Name: "a session's name"}), true)
				if errors.Is(err, ErrOverloaded) {
					mu.Lock()
					refused++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		if refused == 0 {
			t.Error("nothing was refused")
		}
		stop()
		wg.Wait()
	})
}

func TestCommitterTellsUnknownFromUndone(t *testing.T) {
	for name, test := range map[string]struct {
		fail    error
		unknown bool
	}{
		"not leader":      {raft.ErrNotLeader, false},
		"transfer":        {raft.ErrLeadershipTransferInProgress, false},
		"leadership lost": {raft.ErrLeadershipLost, true},
		"shutdown":        {raft.ErrRaftShutdown, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, stop := startCommitter(t, &slowLog{fail: test.fail}, 1<<20)
				defer stop()
				_, err := c.propose(t.Context(), fsm.Encode(fsm.OpenSession{Name: "s"}), true)
				var elsewhere *NotLeaderError
				if errors.Is(err, ErrUnknownOutcome) != test.unknown || errors.As(err, &elsewhere) == test.unknown {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestCommitterEndRefusesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := startCommitter(t, &slowLog{}, 1<<20)
		stop()
		var elsewhere *NotLeaderError
		if _, err := c.propose(t.Context(), fsm.Encode(fsm.OpenSession{Name: "s"}), true); !errors.As(err, &elsewhere) {
			t.Errorf("got %v", err)
		}
	})
}

func TestReadRoundsShareOneConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		rounds := 0
		r := &readRounds{verify: func() error {
			mu.Lock()
			rounds++
			mu.Unlock()
			time.Sleep(time.Millisecond)
			return nil
		}}
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if err := r.confirm(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if rounds > 3 {
			t.Errorf("%d rounds for 100 reads at once", rounds)
		}
	})
}

func TestProgressKeepsTheNewest(t *testing.T) {
	var b progressBuffer
	job := fsm.JobID{Request: 1}
	b.put([]fsm.ProgressItem{{Job: job, Attempt: 1, Percent: 10}, {Job: job, Attempt: 1, Percent: 20}})
	b.put([]fsm.ProgressItem{{Job: job, Attempt: 1, Percent: 30}})
	if items := b.take(); len(items) != 1 || items[0].Percent != 30 {
		t.Fatalf("%+v", items)
	}
	if b.take() != nil {
		t.Fatal("taken twice")
	}
}

// Callers that come back soon after their answer share entries, instead of taking turns with an entry for each.
func TestCommitterWaitsForThoseItAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, rounds = 4, 50
		l := &slowLog{delay: time.Millisecond, m: fsm.New()}
		c := newCommitter(l.apply, func() int64 { return time.Now().UnixNano() }, 256<<10, queueLimits{1 << 20, queueWait}, 2, func(int, int, time.Duration) {})
		ctx, cancel := context.WithCancel(t.Context())
		var running, calling sync.WaitGroup
		running.Go(func() { c.run(ctx, &NotLeaderError{}) })
		for i := range callers {
			calling.Go(func() {
				time.Sleep(time.Duration(i) * 300 * time.Microsecond) // they begin apart
				for range rounds {
					if _, err := c.propose(t.Context(), session(2*gatherBytes), true); err != nil {
						t.Error(err)
					}
					time.Sleep(100 * time.Microsecond)
				}
			})
		}
		calling.Wait()
		cancel()
		running.Wait()
		if most := uint64(rounds * 3 / 2); l.index > most {
			t.Errorf("%d rounds of %d callers took %d entries, want %d at most", rounds, callers, l.index, most)
		}
	})
}

// A lone command waits for nothing, and neither does the next one of a light load.
func TestCommitterLetsALightLoadPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := startCommitter(t, &slowLog{delay: time.Millisecond}, 1<<20)
		defer stop()
		for range 10 {
			began := time.Now()
			if _, err := c.propose(t.Context(), session(20), true); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != time.Millisecond {
				t.Errorf("a command took %v, its entry 1ms", took)
			}
		}
	})
}
