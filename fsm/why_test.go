package fsm

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// show is what a cause says, without what it leaves at zero.
func (c Cause) show() string {
	parts := []string{string(c.Kind)}
	add := func(on bool, format string, args ...any) {
		if on {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	for _, j := range c.Jobs {
		add(true, "%s=%s", j.Name, j.State)
		add(j.When != WhenDone, "when %d", j.When)
		add(j.Reason != NoReason, "(%s)", j.Reason)
		add(j.Error != "", "%q", j.Error)
		add(j.Worker != 0, "on %d", j.Worker)
	}
	for _, w := range c.Workers {
		add(true, "%s:%d/%d", w.Name, w.Used, w.Slots)
		for _, l := range w.Lacks {
			add(true, "lacks %s %s %s has %q", l.What, l.Key, l.Want, l.Has)
		}
	}
	add(c.Left > 0, "left %d", c.Left)
	add(c.Limit+c.Count > 0, "%d of %d", c.Count, c.Limit)
	add(c.State != Waiting, "to %s", c.State)
	add(c.Reason != NoReason, "for %s", c.Reason)
	add(c.Attempt > 0, "#%d", c.Attempt)
	add(c.Error != "", "%q exit %d", c.Error, c.ExitCode)
	add(!c.Until.IsZero(), "until %s", c.Until.Format("15:04:05"))
	return strings.Join(parts, " ")
}

func spec(change func(*JobSpec)) JobSpec {
	s := simpleSpec()
	change(&s)
	return s
}

// fail reports the current attempt of a job as failed.
func (r *run) fail(w WorkerID, inc uint32, id RequestID, i, attempt uint32) {
	r.t.Helper()
	c := report(w, inc, id, i, attempt, ReportFailed)
	c.Reports[0].Error, c.Reports[0].ExitCode = "boom", 3
	r.ok(c)
}

func (r *run) pick(w WorkerID, inc uint32) {
	r.t.Helper()
	r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 1, Standing: true})
}

func one(s JobSpec) SubmitRequest {
	return SubmitRequest{Specs: []JobSpec{s}, Jobs: []JobEntry{{Name: "a"}}}
}

// TestWhyNamesEachCause asserts every kind of cause, with all that it says.
func TestWhyNamesEachCause(t *testing.T) {
	seen := map[CauseKind]bool{}
	for _, c := range []struct {
		name string
		play func(r *run) JobID
		want []string
	}{
		{"waits on needs", func(r *run) JobID { return JobID{r.submit(SubmitRequest{Jobs: chain()}), 2} },
			[]string{"needs b=waiting"}},
		{"waits on any of several, and on a failure", func(r *run) JobID {
			jobs := chain()
			jobs[2].Needs = []Need{{Job: 1, When: WhenFailed}, {Job: 0, Any: true}, {Job: 3, When: WhenEnded, Any: true}}
			return JobID{r.submit(SubmitRequest{Jobs: jobs}), 2}
		}, []string{"needs b=waiting when 1", "needs_any a=ready d=ready when 2"}},
		{"unneeded", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			jobs := chain()
			jobs[1].Needs[0].When = WhenFailed
			id := r.submit(SubmitRequest{Jobs: jobs})
			r.ok(report(w, inc, id, 0, 1, ReportDone))
			return JobID{id, 2}
		}, []string{"cancelled b=cancelled (unneeded) a=done for unneeded"}},
		{"start_after", func(r *run) JobID {
			return JobID{r.submit(one(spec(func(s *JobSpec) { s.StartAfter = time.Minute }))), 0}
		}, []string{"start_after until 22:14:20"}},
		{"backoff", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			id := r.submit(one(spec(func(s *JobSpec) { s.Retry = Retry{Limit: 2, Backoff: time.Second} })))
			r.fail(w, inc, id, 0, 1)
			return JobID{id, 0}
		}, []string{`backoff for error #1 "boom" exit 3 until 22:13:21`, `retried w:0/1 to delayed for error #1 "boom" exit 3`}},
		{"max_running", func(r *run) JobID {
			w, inc := r.join("w", 2)
			r.pick(w, inc)
			return JobID{r.submit(SubmitRequest{MaxRunning: 1, Jobs: []JobEntry{{Name: "a"}, {Name: "b"}}}), 1}
		}, []string{"max_running a=picked on 1 1 of 1"}},
		{"no worker at all", func(r *run) JobID { return JobID{r.submit(SubmitRequest{Jobs: chain()}), 0} },
			[]string{"no_worker"}},
		{"no worker that fits", func(r *run) JobID {
			r.join("far", 1)
			r.ok(JoinWorker{Name: "near", Queues: []string{"default", "gpu"}, Labels: []Pair{{"gpu", "no"}}, Slots: 4})
			return JobID{r.submit(one(spec(func(s *JobSpec) {
				s.Queue, s.Labels, s.Slots = "gpu", []Pair{{"disk", "ssd"}, {"gpu", "yes"}}, 8
			}))), 0}
		}, []string{`no_worker near:0/4 lacks label disk ssd has "" lacks label gpu yes has "no" lacks slots  8 has "4"`}},
		{"the only worker is of another queue", func(r *run) JobID {
			r.join("w", 1)
			return JobID{r.submit(one(spec(func(s *JobSpec) { s.Queue = "gpu" }))), 0}
		}, []string{`no_worker w:0/1 lacks queue  gpu has "default"`}},
		{"the worker that fits is lost", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.ok(ReassignWorker{Worker: w, Incarnation: inc, Term: 1, Cause: "no beat"})
			return JobID{r.submit(SubmitRequest{Jobs: chain()}), 0}
		}, []string{`no_worker w:0/1 lacks alive   has ""`}},
		{"drained", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			r.ok(DrainWorker{Worker: w})
			return JobID{r.submit(SubmitRequest{Jobs: chain()}), 0}
		}, []string{"drained w:0/1"}},
		{"no free slots, behind another", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			return JobID{r.submit(SubmitRequest{Jobs: []JobEntry{{Name: "a"}, {Name: "b"}, {Name: "c"}}}), 2}
		}, []string{"no_slots w:1/1", "queue 1 of 0"}},
		{"the worker does not ask", func(r *run) JobID {
			r.join("w", 1)
			return JobID{r.submit(SubmitRequest{Jobs: chain()}), 0}
		}, []string{"not_asking w:0/1"}},
		{"higher priorities come first", func(r *run) JobID {
			id := r.submit(one(simpleSpec()))
			r.submit(one(spec(func(s *JobSpec) { s.Priority = 1 })))
			r.submit(one(spec(func(s *JobSpec) { s.Priority = -1 })))
			r.submit(one(spec(func(s *JobSpec) { s.Priority, s.Queue = 1, "other" })))
			return JobID{id, 0}
		}, []string{"no_worker", "queue 1 of 0"}},
		{"picked", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			return JobID{r.submit(SubmitRequest{Jobs: chain()}), 0}
		}, []string{"picked w:1/1 #1"}},
		{"running", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			id := r.submit(SubmitRequest{Jobs: chain()})
			r.ok(report(w, inc, id, 0, 1, ReportStart))
			return JobID{id, 0}
		}, []string{"running w:1/1 #1"}},
		{"done", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			id := r.submit(one(simpleSpec()))
			r.ok(report(w, inc, id, 0, 1, ReportDone))
			return JobID{id, 0}
		}, []string{"done w:0/1 #1"}},
		{"failed", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			id := r.submit(one(spec(func(s *JobSpec) { s.Retry.Limit = 1 })))
			r.fail(w, inc, id, 0, 1)
			r.fail(w, inc, id, 0, 2)
			return JobID{id, 0}
		}, []string{`failed w:0/1 1 of 1 for error #2 "boom" exit 3`, `retried w:0/1 to ready for error #1 "boom" exit 3`}},
		{"moved, and failed at lost_limit", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			id := r.submit(one(spec(func(s *JobSpec) { s.LostLimit = 1 })))
			for range 2 {
				r.ok(ReassignWorker{Worker: w, Incarnation: inc, Term: 1, Cause: "no beat"})
				w, inc = r.join("w", 1)
				r.pick(w, inc)
			}
			return JobID{id, 0}
		}, []string{`failed w:0/1 1 of 1 for lost #2 "its worker was lost (no beat), and lost_limit is reached" exit -1`,
			`moved w:0/1 to ready for lost #1 "its worker was lost: no beat" exit -1`}},
		{"returned", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			id := r.submit(one(simpleSpec()))
			r.ok(DrainWorker{Worker: w})
			r.ok(report(w, inc, id, 0, 1, ReportReturn))
			return JobID{id, 0}
		}, []string{"drained w:0/1", "moved w:0/1 to ready for returned #1"}},
		{"cancelled with what it needs", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			id := r.submit(SubmitRequest{Jobs: chain()})
			r.fail(w, inc, id, 0, 1)
			return JobID{id, 2}
		}, []string{`cancelled b=cancelled (needs) a=failed (error) "boom" for needs`}},
		{"stopped", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			id := r.submit(SubmitRequest{Jobs: chain(), OnFailure: StopRequest})
			r.fail(w, inc, id, 0, 1)
			return JobID{id, 3}
		}, []string{`cancelled a=failed (error) "boom" for stopped`}},
		{"cancelled by a person, then revived", func(r *run) JobID {
			id := r.submit(SubmitRequest{Jobs: chain()})
			r.ok(CancelRequest{ID: id})
			r.ok(RetryRequest{ID: id})
			return JobID{id, 1}
		}, []string{"needs a=ready", "revived to cancelled for user"}},
		{"cancelled by a person", func(r *run) JobID {
			id := r.submit(SubmitRequest{Jobs: chain()})
			r.ok(CancelRequest{ID: id})
			return JobID{id, 0}
		}, []string{"cancelled for user"}},
		{"paused", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			id := r.submit(SubmitRequest{Jobs: chain(), MaxRunning: 1})
			r.ok(PauseRequest{ID: id})
			return JobID{id, 3}
		}, []string{"paused", "max_running a=picked on 1 1 of 1", "no_slots w:1/1"}},
		{"on hold", func(r *run) JobID {
			r.join("w", 1)
			return JobID{r.submit(SubmitRequest{Jobs: chain(), Hold: true}), 1}
		}, []string{"held", "needs a=ready"}},
		{"on hold, and nothing else", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			return JobID{r.submit(SubmitRequest{Jobs: chain(), Hold: true}), 0}
		}, []string{"held"}},
		{"about to end", func(r *run) JobID {
			r.steps(1)
			id := r.submit(wide(200))
			r.ok(CancelRequest{ID: id})
			return JobID{id, 199}
		}, []string{"ending to cancelled for user"}},
		{"needs met, not told yet", func(r *run) JobID {
			w, inc := r.join("w", 1)
			r.pick(w, inc)
			id := r.submit(wide(200))
			r.steps(1)
			r.ok(report(w, inc, id, 0, 1, ReportDone))
			return JobID{id, 199}
		}, []string{"settling"}},
		{"a long list is cut", func(r *run) JobID {
			jobs := make([]JobEntry, 31)
			for i := range jobs[:30] {
				jobs[i].Name = fmt.Sprint("n", i)
				jobs[30].Needs = append(jobs[30].Needs, Need{Job: uint32(i)})
			}
			jobs[30].Name = "last"
			return JobID{r.submit(SubmitRequest{Jobs: jobs}), 30}
		}, []string{"needs " + strings.Join(names("n%d=ready", causeListMax), " ") + " left 10"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRun(t)
			id := c.play(r)
			causes, ok := r.m.View().Why(id)
			if !ok {
				t.Fatal("not known")
			}
			var got []string
			for _, cause := range causes {
				seen[cause.Kind] = true
				got = append(got, cause.show())
			}
			if a, b := strings.Join(got, "\n"), strings.Join(c.want, "\n"); a != b {
				t.Errorf("%s\nwant\n%s", a, b)
			}
		})
	}
	for _, kind := range []CauseKind{
		CauseNeeds, CauseNeedsAny, CausePaused, CauseHeld, CauseSettling, CauseEnding, CauseBackoff, CauseStartAfter, CauseMaxRunning, CauseNoWorker, CauseDrained, CauseNoSlots,
		CauseNotAsking, CauseQueue, CausePicked, CauseRunning, CauseDone, CauseFailed, CauseCancelled, CauseMoved, CauseRetried, CauseRevived,
	} {
		if !seen[kind] {
			t.Errorf("no play comes to %q", kind)
		}
	}
	if _, ok := New().View().Why(JobID{1, 0}); ok {
		t.Error("a job that is not there has causes")
	}
}

func names(format string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf(format, i))
	}
	return list
}

// wide is a job that many others need.
func wide(n int) SubmitRequest {
	jobs := make([]JobEntry, n)
	for i := range jobs {
		jobs[i].Name = fmt.Sprint("j", i)
		if i > 0 {
			jobs[i].Needs = []Need{{Job: 0}}
		}
	}
	return SubmitRequest{Jobs: jobs}
}

// steps makes entries do little, so that what is large takes several.
func (r *run) steps(n uint32) {
	r.t.Helper()
	l := DefaultLimits()
	l.Steps = n
	r.ok(SetLimits{Limits: l})
}
