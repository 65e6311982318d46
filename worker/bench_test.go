package worker

import (
	"context"
	"errors"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/rpc/wire"
)

// BenchmarkNoop measures the worker alone: a leader that answers each call after a commit's time grants a job for
// each that is done.
func BenchmarkNoop(b *testing.B) {
	const slots, commit = 64, time.Millisecond
	next, done, calls := uint32(0), 0, 0
	all := make(chan struct{})
	leader := &fakeLeader{}
	var spec wire.RunSpec
	grant := func(n int) (jobs []wire.Assignment) {
		for ; n > 0 && next < uint32(b.N); n-- {
			a := assign(next, "noop")
			a.Spec = &spec
			jobs = append(jobs, a)
			next++
		}
		return jobs
	}
	leader.answer = func(reports []wire.JobReport) ([]wire.Code, error) {
		leader.calls = nil
		calls++
		time.Sleep(commit)
		ended := 0
		for i := range reports {
			if reports[i].Kind == wire.ReportDone {
				ended++
			}
		}
		if done += ended; done == b.N {
			close(all)
		}
		leader.handler.Granted(wire.Granted{Jobs: grant(ended)})
		return make([]wire.Code, len(reports)), nil
	}
	spec = wire.RunSpec{Kind: wire.WorkHandler, Args: []string{"noop"}, Slots: 1}
	cfg := testConfig(b)
	cfg.Slots = slots
	_, stop := startWorker(b, cfg, leader, Builtin())
	b.ReportAllocs()
	b.ResetTimer()
	leader.handler.Granted(wire.Granted{Jobs: grant(slots)})
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(float64(b.N)/float64(calls), "jobs/call")
	if err := stop(); err != nil {
		b.Error(err)
	}
}

// BenchmarkProcess measures what the exec contract costs, beside a bare loop: the CPU time of this process and of those
// it started and has waited for, which is all but the guard's.
func BenchmarkProcess(b *testing.B) {
	const program, atOnce = "/bin/true", 16
	x, _ := newExecutor(b, 1<<20, selfAs(asGuard)...)
	measure := func(b *testing.B, run func() error) {
		before := cpuTime(b)
		b.SetParallelism(atOnce)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := run(); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
	}
	b.Run("bare", func(b *testing.B) {
		measure(b, func() error { return exec.Command(program).Run() })
	})
	var last atomic.Uint32
	b.Run("job", func(b *testing.B) {
		measure(b, func() error {
			job := testJob()
			job.ID = wire.JobID{Request: 7, Index: last.Add(1)}.String()
			if o := x.run(context.Background(), job, work{args: []string{program}}); o.failure != "" {
				return errors.New(o.failure)
			}
			return nil
		})
	})
}

func cpuTime(b *testing.B) (sum time.Duration) {
	b.Helper()
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if err := syscall.Getrusage(who, &used); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	return sum
}
