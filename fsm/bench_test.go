package fsm

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkJob is the whole way of no-op jobs through Apply: submitted in requests of 1,000, granted, started and
// done, with 4 workers of 64 slots. Each job makes five transitions: waiting, ready, picked, running, done.
func BenchmarkJob(b *testing.B) { benchmarkJobs(b, 0) }

// BenchmarkMaxRunning is BenchmarkJob with half as many jobs at once as there are slots: all the others are parked by
// the workers that want more, and each comes back once.
func BenchmarkMaxRunning(b *testing.B) { benchmarkJobs(b, 128) }

func benchmarkJobs(b *testing.B, maxRunning uint32) {
	m := New()
	index := uint64(0)
	do := func(cmds ...Command) []Answer {
		index++
		encoded := make([][]byte, len(cmds))
		for i, c := range cmds {
			encoded[i] = Encode(c)
		}
		answers, err := m.Apply(index, 1, NewEntry(int64(index), encoded...))
		if err != nil {
			b.Fatal(err)
		}
		return answers
	}
	for i := range 4 {
		w := do(JoinWorker{Name: fmt.Sprint(i), Queues: []string{"default"}, Slots: 64})[0].Value.(WorkerJoined)
		do(PickJobs{Worker: w.ID, Incarnation: 1, Max: 64, Standing: true})
	}
	jobs := make([]JobEntry, 1000)
	for i := range jobs {
		jobs[i].Name = fmt.Sprintf("job-%d", i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += len(jobs) {
		do(SubmitRequest{Session: "s", MaxRunning: maxRunning, Specs: []JobSpec{simpleSpec()}, Jobs: jobs})
		for left := len(jobs); left > 0; {
			for w := WorkerID(1); w <= 4; w++ {
				var c JobStates
				c.Worker, c.Incarnation = w, 1
				for _, id := range m.workers.worker(w).held {
					c.Reports = append(c.Reports,
						JobReport{Job: id, Attempt: 1, Kind: ReportStart}, JobReport{Job: id, Attempt: 1, Kind: ReportDone})
					left--
				}
				if len(c.Reports) > 0 {
					do(c)
				}
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5, "ns/transition")
}

// BenchmarkHeap measures the live heap of a waiting board: one request of 100,000 small jobs.
func BenchmarkHeap(b *testing.B) {
	const n = 100_000
	jobs := make([]JobEntry, n)
	for i := range jobs {
		jobs[i].Name = fmt.Sprintf("job-%d", i)
	}
	entry := NewEntry(1, Encode(SubmitRequest{Session: "s", Specs: []JobSpec{simpleSpec()}, Jobs: jobs}))
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m := New()
		if _, err := m.Apply(1, 1, entry); err != nil {
			b.Fatal(err)
		}
		m.events = nil
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/job")
		runtime.KeepAlive(m)
	}
}

// BenchmarkView freezes a state of 100,000 jobs that changes in between.
func BenchmarkView(b *testing.B) {
	m := New()
	jobs := make([]JobEntry, 100_000)
	for i := range jobs {
		jobs[i].Name = fmt.Sprintf("job-%d", i)
	}
	if _, err := m.Apply(1, 1, NewEntry(1, Encode(SubmitRequest{Session: "s", Specs: []JobSpec{simpleSpec()}, Jobs: jobs}))); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.View()
	}
}
