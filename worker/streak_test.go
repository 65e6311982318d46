package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A worker that fails everything takes as many jobs as one whose jobs last two seconds; one that succeeds now and then
// is not slowed.
func TestAWorkerThatFailsEverythingTakesFewerJobs(t *testing.T) {
	const jobs = 200
	for _, test := range []struct {
		name    string
		failing func(n int) bool
		most    time.Duration
		least   time.Duration
	}{
		// Two slots: ten at once, some growing rests, and a rest of two seconds for two of the others each.
		{"all fail", func(int) bool { return true }, 200 * time.Second, 180 * time.Second},
		{"some fail", func(n int) bool { return n%5 != 0 }, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			leader := &fakeLeader{}
			next := make(chan int, jobs)
			for n := range jobs {
				next <- n
			}
			var took time.Duration
			err := working(t, leader, map[string]HandlerFunc{"h": func(context.Context, Job) (Result, error) {
				if test.failing(<-next) {
					return None, errTrouble
				}
				return None, nil
			}}, func(t *testing.T, _ *Worker) {
				began := time.Now()
				for i := range uint32(jobs) {
					leader.handler.Granted(granted(assign(i, "h")))
				}
				for len(leader.handler.Held()) > 0 {
					time.Sleep(10 * time.Millisecond)
					synctest.Wait()
				}
				took = time.Since(began)
			})
			if err != nil {
				t.Error(err)
			}
			if took < test.least || test.most == 0 && took > time.Second || test.most > 0 && took > test.most {
				t.Errorf("%d jobs took %v", jobs, took)
			}
		})
	}
}

func TestAHeldFailureEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &streak{log: hclog.NewNullLogger()}
		for range streakFree + 100 {
			s.rest(failed("no"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		s.hold(ctx, failed("no"), 0)
		if d := time.Since(began); d != time.Second {
			t.Errorf("held for %v after its context had ended", d)
		}
		s.rest(outcome{failure: "revoked", cut: true})
		if s.failed != streakFree+101 {
			t.Error("an attempt that was cut off was counted")
		}
		began = time.Now()
		s.hold(t.Context(), failed("no"), time.Minute)
		s.rest(outcome{})
		s.hold(t.Context(), failed("no"), 0)
		if d := time.Since(began); d != 0 || s.failed != 1 {
			t.Errorf("a long attempt, or the first after a success, was held for %v; %d in a row", d, s.failed)
		}
	})
}
