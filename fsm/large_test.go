package fsm

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var largeJobs = flag.Int("large", 1_000_000, "jobs of the request of BenchmarkLargeRequest")

// BenchmarkLargeRequest submits a request of a million jobs, half of which needs the other, in parts; cancels it; retries
// it; lets one on which all depend fail; and reaps it. What counts is the longest single Apply of each step, and the number
// of entries.
func BenchmarkLargeRequest(b *testing.B) {
	n := *largeJobs
	for b.Loop() {
		l := &large{b: b, m: New(), longest: map[string]time.Duration{}, entries: map[string]int{}}
		l.do("join", JoinWorker{Name: "w", Queues: []string{"default"}, Slots: 1})
		chained := SubmitRequest{Session: "s", Specs: []JobSpec{simpleSpec()}, Jobs: make([]JobEntry, n)}
		for i := range chained.Jobs {
			chained.Jobs[i].Name = fmt.Sprint("job-", i)
			if i >= n/2 {
				chained.Jobs[i].Needs = []Need{{Job: uint32(i - n/2)}}
			}
		}
		l.submit("submit", &chained)
		l.do("cancel", CancelRequest{ID: 1})
		l.rest("cancel")
		l.do("retry", RetryRequest{ID: 1})
		l.rest("retry")
		l.do("cancel", CancelRequest{ID: 1})
		l.rest("cancel")
		star := SubmitRequest{Session: "s", Specs: []JobSpec{simpleSpec()}, Jobs: chained.Jobs}
		for i := range star.Jobs {
			star.Jobs[i].Needs = nil
			if i > 0 {
				star.Jobs[i].Needs = []Need{{Job: 0}}
			}
		}
		for _, kind := range []ReportKind{ReportFailed, ReportDone} {
			l.submit("submit", &star)
			r := l.m.nextRequest - 1
			l.do("pick", PickJobs{Worker: 1, Incarnation: 1, Max: 1})
			what := map[ReportKind]string{ReportFailed: "cascade", ReportDone: "fan-out"}[kind]
			l.do(what, report(1, 1, r, 0, 1, kind))
			l.rest(what)
			if kind == ReportDone {
				l.do("cancel", CancelRequest{ID: r})
				l.rest("cancel")
			}
		}
		l.now += int64(100 * time.Hour)
		l.do("reap", Tick{Term: 1})
		l.rest("reap")
		for what, d := range l.longest {
			b.ReportMetric(float64(d.Microseconds())/1000, what+"-ms")
			b.ReportMetric(float64(l.entries[what]), what+"-entries")
		}
		b.ReportMetric(float64(l.bytes), "largest-entry-B")
	}
}

// large measures entries of a machine.
type large struct {
	b       *testing.B
	m       *Machine
	index   uint64
	now     int64
	bytes   int
	longest map[string]time.Duration
	entries map[string]int
}

func (l *large) do(what string, c Command) Answer {
	l.index++
	l.now += int64(time.Millisecond)
	entry := NewEntry(l.now, Encode(c))
	l.bytes = max(l.bytes, len(entry))
	begun := time.Now()
	answers, err := l.m.Apply(l.index, 1, entry)
	took := time.Since(begun)
	if err != nil || answers[0].Refusal != nil {
		l.b.Fatalf("%s: %v, %v", what, answers, err)
	}
	l.longest[what] = max(l.longest[what], took)
	l.entries[what]++
	if l.index%16 == 0 {
		l.m.View() // somebody always reads
	}
	return answers[0]
}

func (l *large) submit(what string, c *SubmitRequest) {
	for cmd := range c.InParts(uint64(l.index+1), 4096, 128<<10) {
		l.do(what, cmd)
	}
	l.rest("release")
}

func (l *large) rest(what string) {
	for l.m.Busy() {
		l.do(what, Tick{Term: 1})
	}
}
