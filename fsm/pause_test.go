package fsm

import (
	"bytes"
	"fmt"
	"testing"
)

// TestPauseKeepsJobsFromWorkers: of a paused request nothing is granted, what runs goes on, and what becomes ready waits; others
// are granted meanwhile. Resumed, it goes on behind those.
func TestPauseKeepsJobsFromWorkers(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w", 1)
	r.pick(w, inc)
	id := r.submit(SubmitRequest{Jobs: chain()}) // a is picked; b waits on it, c on b; d is ready
	r.ok(PauseRequest{ID: id})
	r.ok(PauseRequest{ID: id})
	other := r.submit(SubmitRequest{Jobs: []JobEntry{{Name: "x"}, {Name: "y"}}})
	r.ok(report(w, inc, id, 0, 1, ReportDone))
	r.wantState(id, 1, Ready)
	r.wantState(id, 3, Ready)
	r.wantState(other, 0, Picked)
	r.m = restored(t, r.m)
	r.ok(ResumeRequest{ID: id})
	r.ok(ResumeRequest{ID: id})
	r.ok(report(w, inc, other, 0, 1, ReportDone))
	r.wantState(other, 1, Picked)
	r.ok(report(w, inc, other, 1, 1, ReportDone))
	r.wantState(id, 1, Picked)
}

// TestHoldOnSubmit: nothing of a request that is submitted on hold is granted before it is resumed, whole or in parts.
func TestHoldOnSubmit(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w", 9)
	r.pick(w, inc)
	whole := r.submit(SubmitRequest{Jobs: chain(), Hold: true})
	r.ok(BeginSubmit{Upload: 1, Session: "s", Jobs: 4, Hold: true})
	r.m = restored(t, r.m)
	r.ok(SubmitPart{Upload: 1, Specs: []JobSpec{simpleSpec()}, Jobs: chain()})
	parted := r.ok(CommitSubmit{Upload: 1, Parts: 1}).(RequestSubmitted).ID
	for _, id := range []RequestID{whole, parted} {
		r.wantState(id, 0, Ready)
		if info, _ := r.m.View().Request(id); info.Pause != Held {
			t.Errorf("request %s is %q, want held", id, info.Pause)
		}
		r.ok(ResumeRequest{ID: id})
		r.wantState(id, 0, Picked)
	}
	r.ok(PauseRequest{ID: whole})
	r.ok(CancelRequest{ID: whole})
	r.refused(CodeConflict, PauseRequest{ID: whole})
	r.refused(CodeConflict, ResumeRequest{ID: whole})
	r.refused(CodeNotFound, PauseRequest{ID: 999})
	if info, _ := r.m.View().Request(whole); info.Pause != NotPaused {
		t.Errorf("cancelled, it is %q", info.Pause)
	}
}

// TestLargePauseInSteps: a request with many ready jobs is paused and resumed in steps, in the middle of which others change
// their mind or come back from lost workers.
func TestLargePauseInSteps(t *testing.T) {
	const jobs = 400
	c := SubmitRequest{MaxRunning: 3, Specs: []JobSpec{spec(func(s *JobSpec) { s.LostLimit = 100 })}}
	for i := range jobs {
		c.Jobs = append(c.Jobs, JobEntry{Name: fmt.Sprint(i)})
	}
	r := newRun(t)
	id := r.submit(c)
	w, inc := r.join("w", 5)
	r.pick(w, inc)
	r.steps(1)
	for n := range 7 {
		r.ok(PauseRequest{ID: id})
		for range n * 9 {
			r.do()
		}
		r.ok(ReassignWorker{Worker: w, Incarnation: inc, Term: 1, Cause: "no beat"})
		w, inc = r.join("w", 5)
		r.pick(w, inc)
		if info, _ := r.m.View().Request(id); info.Counts[Picked] != 0 {
			t.Fatalf("paused, %d jobs are picked", info.Counts[Picked])
		}
		other := r.submit(SubmitRequest{Jobs: []JobEntry{{Name: "x"}}})
		for r.m.Busy() && n%2 == 0 {
			r.do()
		}
		if n%2 == 0 {
			r.wantState(other, 0, Picked)
			r.ok(report(w, inc, other, 0, 1, ReportDone))
		}
		r.ok(ResumeRequest{ID: id})
		for range n * 9 {
			r.do()
		}
	}
	for r.m.Busy() {
		r.do()
	}
	if info, _ := r.m.View().Request(id); info.Counts[Picked] != 3 || info.Counts[Ready] != jobs-3 {
		t.Errorf("resumed: %v", info.Counts)
	}
}

// restored is a machine as its snapshot gives it.
func restored(t *testing.T, m *Machine) *Machine {
	t.Helper()
	again, err := Restore(bytes.NewReader(snapshot(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	return again
}
