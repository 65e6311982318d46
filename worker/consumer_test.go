package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/musterhq/muster/rpc/wire"
)

func TestEachAttemptRunsOnce(t *testing.T) {
	leader := &fakeLeader{}
	var mu sync.Mutex
	runs := map[wire.Attempt]int{}
	count := func(_ context.Context, job Job) (Result, error) {
		id, err := wire.ParseJobID(job.ID)
		mu.Lock()
		defer mu.Unlock()
		runs[wire.Attempt{Job: id, Attempt: uint32(job.Attempt)}]++
		return None, err
	}
	const jobs = 2*recentMax + 100 // more than are remembered
	err := working(t, leader, map[string]HandlerFunc{"h": count}, func(t *testing.T, _ *Worker) {
		again := assign(1, "h")
		again.Attempt = 2
		for i := range uint32(jobs) {
			batch := granted(assign(i, "h"), assign(i, "h"))
			leader.handler.Granted(batch)
			leader.handler.Granted(batch)
			if i%1000 == 0 {
				synctest.Wait()
				leader.handler.Granted(batch) // its end is acknowledged
			}
		}
		synctest.Wait()
		leader.handler.Granted(granted(again))
	})
	if err != nil {
		t.Error(err)
	}
	if len(runs) != jobs+1 {
		t.Errorf("%d attempts ran", len(runs))
	}
	for at, n := range runs {
		if n != 1 {
			t.Errorf("%v ran %d times", at, n)
		}
	}
}

func TestNeverMoreThanItsSlots(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		slots := rapid.IntRange(1, 4).Draw(rt, "slots")
		sizes := rapid.SliceOfN(rapid.Uint32Range(0, 6), 1, 30).Draw(rt, "sizes")
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			used, most, ran := 0, 0, 0
			cfg := testConfig(t)
			cfg.Slots, cfg.DrainTimeout = slots, time.Hour
			leader := &fakeLeader{}
			_, stop := startWorker(t, cfg, leader, map[string]HandlerFunc{"h": func(_ context.Context, job Job) (Result, error) {
				size := 0
				err := job.Bind(&size)
				mu.Lock()
				used += size
				most = max(most, used)
				ran++
				mu.Unlock()
				time.Sleep(time.Duration(1+len(job.ID)%3) * time.Second)
				mu.Lock()
				used -= size
				mu.Unlock()
				return None, err
			}})
			for i, size := range sizes {
				a := assign(uint32(i), "h")
				a.Spec.Slots = size
				a.Payload = fmt.Append(nil, min(max(size, 1), uint32(slots)))
				leader.handler.Granted(granted(a))
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if err := stop(); err != nil {
				rt.Error(err)
			}
			if most > slots || ran != len(sizes) {
				rt.Errorf("%d of %d slots were used, %d of %d jobs ran", most, slots, ran, len(sizes))
			}
		})
	})
}

func TestRevokedAttemptIsStoppedAndNothingIsSaid(t *testing.T) {
	leader := &fakeLeader{}
	var cause error
	err := working(t, leader, map[string]HandlerFunc{"h": func(ctx context.Context, job Job) (Result, error) {
		job.Progress(10)
		<-ctx.Done()
		cause = context.Cause(ctx)
		job.Progress(20)
		return JSON("made it"), nil
	}, "noop": Builtin()["noop"]}, func(t *testing.T, _ *Worker) {
		a, b, c := assign(1, "h"), assign(2, "h"), assign(3, "noop")
		leader.handler.Granted(granted(a, b))
		leader.handler.Granted(granted(c))
		synctest.Wait()
		// One runs, one waits for a slot, one is unknown; and the word is repeated.
		stop := []wire.Attempt{attempt(1), attempt(3), attempt(9)}
		leader.handler.Stop(stop)
		leader.handler.Stop(stop)
		synctest.Wait()
		if held := leader.handler.Held(); len(held) != 1 || held[0] != attempt(2) {
			t.Errorf("holds %v", held)
		}
		leader.handler.Granted(granted(a, c)) // on their way before the stop
		synctest.Wait()
		leader.handler.Stop([]wire.Attempt{attempt(2)})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := leader.tale(); got != "1 START, 2 START" {
			t.Errorf("reported %q", got)
		}
	})
	if err != nil || !errors.Is(cause, ErrRevoked) {
		t.Error(err, cause)
	}
	for _, items := range leader.progress {
		for _, item := range items {
			if item.Percent != 10 {
				t.Errorf("progress of a revoked attempt: %+v", item)
			}
		}
	}
}

func TestStaleStartStopsTheAttempt(t *testing.T) {
	leader := &fakeLeader{}
	leader.answer = func(reports []wire.JobReport) ([]wire.Code, error) {
		codes := make([]wire.Code, len(reports))
		for i := range codes {
			codes[i] = wire.CodeStale
		}
		return codes, nil
	}
	err := working(t, leader, map[string]HandlerFunc{"h": blocking}, func(t *testing.T, _ *Worker) {
		leader.handler.Granted(granted(assign(1, "h")))
		synctest.Wait()
		if held := leader.handler.Held(); len(held) != 0 {
			t.Errorf("holds %v", held)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if got := leader.tale(); got != "1 START" {
		t.Errorf("reported %q", got)
	}
}

func TestRefusedResultFailsTheAttempt(t *testing.T) {
	leader := &fakeLeader{}
	leader.answer = func(reports []wire.JobReport) ([]wire.Code, error) {
		codes := make([]wire.Code, len(reports))
		for i := range codes {
			if reports[i].Kind == wire.ReportDone {
				codes[i] = wire.CodeLimit
			}
		}
		return codes, nil
	}
	err := working(t, leader, Builtin(), func(t *testing.T, _ *Worker) {
		leader.handler.Granted(granted(assign(1, "noop")))
		synctest.Wait()
		if got := leader.last().Error; got != "the coordinators refused the result: limit" {
			t.Errorf("error is %q", got)
		}
		if held := leader.handler.Held(); len(held) != 0 {
			t.Errorf("holds %v", held)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSleepIsCutShort(t *testing.T) {
	leader := &fakeLeader{}
	err := working(t, leader, Builtin(), func(t *testing.T, _ *Worker) {
		bad := assign(1, "sleep")
		bad.Payload = []byte(`{"for": "a while"}`)
		long := assign(2, "sleep")
		long.Payload = []byte(`{"for": "10h"}`)
		long.Spec.Timeout = time.Minute
		leader.handler.Granted(granted(bad))
		synctest.Wait()
		if got := leader.last(); !got.NoRetry {
			t.Errorf("reported %+v", got)
		}
		leader.handler.Granted(granted(long))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := leader.last(); !got.Timeout {
			t.Errorf("reported %+v", got)
		}
	})
	if err != nil {
		t.Error(err)
	}
}
