package worker

import (
	"context"
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

// BenchmarkProcess measures what the exec contract costs.
func BenchmarkProcess(b *testing.B) {
	x, _ := newExecutor(b, 1<<20)
	for b.Loop() {
		if o := x.run(context.Background(), testJob(), work{args: []string{"/bin/true"}}); o.failure != "" {
			b.Fatal(o.failure)
		}
	}
}
