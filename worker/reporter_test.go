package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/wire"
)

// reporting runs a reporter in a bubble of virtual time.
func reporting(t *testing.T, leader *fakeLeader, tell func(rep *reporter, answers map[uint32][]wire.Code)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		answers := make(map[uint32][]wire.Code)
		rep := newReporter(leader, hclog.NewNullLogger(), func(r *run, _ wire.JobReport, code wire.Code) {
			answers[r.at.Job.Index] = append(answers[r.at.Job.Index], code)
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			rep.run(ctx)
		}()
		tell(rep, answers)
		synctest.Wait()
		cancel()
		<-ended
	})
}

func said(r *run, kind wire.ReportKind) wire.JobReport {
	return wire.JobReport{Job: r.at.Job, Attempt: r.at.Attempt, Kind: kind}
}

func newRun(index uint32) *run { return &run{at: attempt(index)} }

func TestReportsGatherWhileACallIsUnderWay(t *testing.T) {
	leader := &fakeLeader{}
	reporting(t, leader, func(rep *reporter, answers map[uint32][]wire.Code) {
		leader.gate = make(chan struct{}) // of this bubble
		first := newRun(0)
		rep.add(first, said(first, wire.ReportStart))
		synctest.Wait()
		for i := range uint32(3) {
			r := newRun(i + 1)
			rep.add(r, said(r, wire.ReportStart))
			rep.add(r, said(r, wire.ReportDone))
		}
		rep.add(first, said(first, wire.ReportFailed))
		leader.gate <- struct{}{}
		leader.gate <- struct{}{}
		synctest.Wait()
		if len(answers[0]) != 2 || len(answers[3]) != 2 {
			t.Errorf("answers are %v", answers)
		}
	})
	want := "0 START; 1 START, 1 DONE, 2 START, 2 DONE, 3 START, 3 DONE, 0 FAILED"
	if got := leader.story(); got != want {
		t.Errorf("reported %q, want %q", got, want)
	}
}

func TestReportsAreRepeatedUntilAnswered(t *testing.T) {
	failures := 3
	leader := &fakeLeader{}
	leader.answer = func(reports []wire.JobReport) ([]wire.Code, error) {
		if failures--; failures >= 0 {
			return nil, wire.Errorf(wire.CodeUnknownOutcome, "leadership was lost")
		}
		return make([]wire.Code, len(reports)), nil
	}
	reporting(t, leader, func(rep *reporter, answers map[uint32][]wire.Code) {
		r := newRun(1)
		rep.add(r, said(r, wire.ReportDone))
		time.Sleep(4 * reportRetryPause)
		synctest.Wait()
		if !slices.Equal(answers[1], []wire.Code{wire.CodeOK}) {
			t.Errorf("answers are %v", answers)
		}
	})
	if got := leader.story(); got != "1 DONE; 1 DONE; 1 DONE; 1 DONE" {
		t.Errorf("reported %q", got)
	}
}

func TestOneRefusedReportDoesNotHoldUpOthers(t *testing.T) {
	leader := &fakeLeader{}
	leader.answer = func(reports []wire.JobReport) ([]wire.Code, error) {
		if slices.ContainsFunc(reports, func(r wire.JobReport) bool { return r.Job.Index == 5 }) {
			return nil, wire.Errorf(wire.CodeLimit, "result too large")
		}
		return make([]wire.Code, len(reports)), nil
	}
	reporting(t, leader, func(rep *reporter, answers map[uint32][]wire.Code) {
		for i := range uint32(8) {
			r := newRun(i)
			rep.add(r, said(r, wire.ReportDone))
		}
		synctest.Wait()
		for i := range uint32(8) {
			want := wire.CodeOK
			if i == 5 {
				want = wire.CodeLimit
			}
			if !slices.Equal(answers[i], []wire.Code{want}) {
				t.Errorf("answers for %d are %v, want %v once", i, answers[i], want)
			}
		}
	})
}

func TestAStaleWorkerHasOnlyStaleReports(t *testing.T) {
	leader := &fakeLeader{}
	leader.answer = func([]wire.JobReport) ([]wire.Code, error) {
		return nil, wire.Errorf(wire.CodeStale, "incarnation 1 of worker")
	}
	reporting(t, leader, func(rep *reporter, answers map[uint32][]wire.Code) {
		for i := range uint32(8) {
			r := newRun(i)
			rep.add(r, said(r, wire.ReportDone))
		}
		synctest.Wait()
		if len(leader.calls) != 1 || len(answers) != 8 || answers[7][0] != wire.CodeStale {
			t.Errorf("%d calls, answers %v", len(leader.calls), answers)
		}
	})
}

func TestCallsAreBounded(t *testing.T) {
	leader := &fakeLeader{}
	reporting(t, leader, func(rep *reporter, answers map[uint32][]wire.Code) {
		leader.gate = make(chan struct{}) // of this bubble
		for i := range uint32(10) {
			r := newRun(i)
			report := said(r, wire.ReportDone)
			report.Result = make([]byte, ResultBytesMax)
			rep.add(r, report)
		}
		for i := range uint32(reportsPerCall + 10) {
			r := newRun(100 + i)
			rep.add(r, said(r, wire.ReportStart))
		}
		close(leader.gate)
		synctest.Wait()
		if len(answers) != 10+reportsPerCall+10 {
			t.Errorf("%d answers", len(answers))
		}
	})
	for i, call := range leader.calls {
		size := 0
		for _, r := range call {
			size += len(r.Result)
		}
		if size > reportBytesPerCall || len(call) > reportsPerCall {
			t.Errorf("call %d has %d reports and %d bytes of results", i, len(call), size)
		}
	}
}

func TestNewestProgressWins(t *testing.T) {
	leader := &fakeLeader{}
	reporting(t, leader, func(rep *reporter, _ map[uint32][]wire.Code) {
		r := newRun(1)
		rep.tell(r, 1, "before it is known to run")
		synctest.Wait()
		if len(leader.progress) > 0 {
			t.Error("progress of what does not run:", leader.progress)
		}
		rep.add(r, said(r, wire.ReportStart))
		for i := range 100 { // a second's worth
			rep.tell(r, i, fmt.Sprint(i))
			time.Sleep(10 * time.Millisecond)
		}
		rep.tell(r, 100, "all")
		time.Sleep(progressEvery)
	})
	if n := len(leader.progress); n < 10 || n > 12 {
		t.Errorf("progress was sent %d times in about a second", n)
	}
	last := leader.progress[len(leader.progress)-1][0]
	if last.Percent != 100 || last.Text != "all" || last.Job.Index != 1 {
		t.Errorf("last progress is %+v", last)
	}
}

func TestProgressThatIsDroppedIsSentAgain(t *testing.T) {
	leader := &fakeLeader{busy: true}
	reporting(t, leader, func(rep *reporter, _ map[uint32][]wire.Code) {
		r, over := newRun(1), newRun(2)
		for _, r := range []*run{r, over} {
			rep.add(r, said(r, wire.ReportStart))
			rep.tell(r, 10, "first")
		}
		time.Sleep(time.Second)
		rep.tell(r, 20, "second")
		rep.add(over, said(over, wire.ReportDone))
		rep.tell(over, 30, "too late")
		leader.mu.Lock()
		leader.busy = false
		leader.mu.Unlock()
		time.Sleep(time.Second)
	})
	if got := fmt.Sprint(leader.progress); len(leader.progress) != 1 || !strings.Contains(got, "second") || strings.Contains(got, "late") {
		t.Errorf("progress is %v", got)
	}
}
