package cluster

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/fsm"
)

// session is a command of some size, so that few fill an entry.
func session(size int) []byte {
	return fsm.Encode(fsm.OpenSession{Name: "a" + strings.Repeat("x", size)})
}

// offer proposes at a rate for a while, as clients do who do not wait for each other, and counts what came of it.
type offer struct {
	patience  time.Duration // of a client
	announced bool          // the committer knows its patience; else it learns of it when the client hangs up

	done, refused, late, other atomic.Int64
}

func (o *offer) run(ctx context.Context, c *committer, perSecond int, d time.Duration) {
	for range int(d.Seconds() * float64(perSecond)) {
		time.Sleep(time.Second / time.Duration(perSecond))
		go func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer time.AfterFunc(o.patience, cancel).Stop()
			if o.announced {
				ctx, cancel = context.WithTimeout(ctx, o.patience)
				defer cancel()
			}
			_, err := c.propose(ctx, session(200), true)
			switch {
			case err == nil:
				o.done.Add(1)
			case errors.Is(err, ErrOverloaded):
				o.refused.Add(1)
			case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
				o.late.Add(1)
			default:
				o.other.Add(1)
			}
		}()
	}
}

// Three times what can be committed is offered for a minute, by clients with and without patience; then half of it. In
// the first minute what is committed is what somebody still waits for, and afterwards all is served at once.
func TestCommitterRecoversFromOverload(t *testing.T) {
	for name, client := range map[string]*offer{
		"clients say when they give up": {patience: time.Second, announced: true},
		"clients hang up":               {patience: 3 * time.Second},
		"clients wait for ever":         {patience: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Four commands fill an entry, which takes 10 ms: 400 a second.
				const capacity = 400
				l := &slowLog{delay: 10 * time.Millisecond}
				c, stop := startCommitter(t, l, 1<<20)
				c.limits.wait = 2 * time.Second
				defer stop()
				much := offer{patience: client.patience, announced: client.announced}
				little := offer{patience: client.patience, announced: client.announced}
				much.run(t.Context(), c, 3*capacity, time.Minute)
				// Words on accepted work find room all the while.
				began := time.Now()
				if _, err := c.propose(t.Context(), session(200), false); err != nil || time.Since(began) > 4*time.Second {
					t.Errorf("a word on accepted work: %v after %v", err, time.Since(began))
				}
				time.Sleep(5 * time.Second)
				if done := much.done.Load(); done < 60*capacity*8/10 {
					t.Errorf("under overload %d were committed of %d that could be", done, 60*capacity)
				}
				if much.refused.Load()+much.late.Load() == 0 || much.other.Load() > 0 {
					t.Errorf("%d refused, %d given up, %d otherwise", much.refused.Load(), much.late.Load(), much.other.Load())
				}
				little.run(t.Context(), c, capacity/2, 10*time.Second)
				time.Sleep(time.Second)
				if done := little.done.Load(); done != 10*capacity/2 {
					t.Errorf("afterwards %d of %d were committed, %d refused, %d given up", done, 10*capacity/2, little.refused.Load(), little.late.Load())
				}
				if n := c.waiting(); n != 0 {
					t.Errorf("%d bytes wait at the end", n)
				}
			})
		})
	}
}

func TestCommitterDropsWhatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &slowLog{delay: time.Second}
		c, stop := startCommitter(t, l, 1<<20)
		defer stop()
		for range 20 {
			go func() { _, _ = c.propose(t.Context(), session(200), true) }()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.propose(ctx, fsm.Encode(fsm.OpenSession{Name: "given-up"}), true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Minute)
		if _, there := l.view().SessionByName("given-up"); there {
			t.Error("it was proposed although nobody waited for it any more")
		}
		if n := c.waiting(); n != 0 {
			t.Errorf("%d bytes wait at the end", n)
		}
	})
}

func TestCommitterTakesWordsOnAcceptedWorkWhenFullOfNewWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := startCommitter(t, &slowLog{delay: time.Hour}, 4<<10)
		defer stop()
		refused := func(work bool) (n int) {
			for range 40 {
				answered := make(chan error, 1)
				go func() {
					_, err := c.propose(t.Context(), session(200), work)
					answered <- err
				}()
				synctest.Wait()
				select {
				case err := <-answered:
					if errors.Is(err, ErrOverloaded) {
						n++
					}
				default:
				}
			}
			return n
		}
		if refused(true) == 0 {
			t.Error("new work was not refused")
		}
		if n := refused(false); n == 0 || n == 40 {
			t.Errorf("of 40 words on accepted work %d were refused: there is room for some, but not for all", n)
		}
		if n := c.waiting(); n > 8<<10 {
			t.Errorf("%d bytes wait", n)
		}
	})
}
