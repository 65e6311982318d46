package fsm

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// edges is every state of a job, told apart by how it came about, times every word and command that could move it.
// A cell is the answer, and after ">" the state that the job goes to, if it goes. "-" is a command that is answered
// nil and leaves the job alone.
const edges = `
           | START      | DONE     | FAILED     | RETURN    | kind 0  | kind 7  | attempt+1 | other | progress | tick    | lose     | leave    | restart  | drain | cancel       | retry      | close
waiting    | stale      | stale    | stale      | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | ok>cancelled | conflict   | -
ready      | stale      | stale    | stale      | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | ok>cancelled | conflict   | -
held       | stale      | stale    | stale      | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | ok>cancelled | conflict   | -
delayed    | stale      | stale    | stale      | stale     | stale   | stale   | stale     | stale | -        | ok>ready  | -      | -        | -        | -     | ok>cancelled | conflict   | -
backoff    | ok         | stale    | ok         | stale     | stale   | stale   | stale     | stale | -        | ok>ready  | -      | -        | -        | -     | ok>cancelled | conflict   | -
returned   | stale      | stale    | stale      | ok        | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | ok>cancelled | conflict   | -
lost       | stale      | stale    | stale      | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | ok>cancelled | conflict   | -
revived    | stale      | stale    | stale      | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | ok>cancelled | conflict   | -
picked     | ok>running | ok>done  | ok>failed  | ok>ready  | invalid | invalid | stale     | stale | noted    | -       | ok>ready | ok>ready | ok>ready | -     | ok>cancelled | conflict   | -
running    | ok         | ok>done  | ok>failed  | ok>ready  | invalid | invalid | stale     | stale | noted    | ok>failed | ok>ready | ok>ready | ok>ready | -   | ok>cancelled | conflict   | -
done       | ok         | ok       | stale      | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | conflict     | conflict   | -
failed     | ok         | stale    | ok         | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | conflict     | ok>ready   | -
timed out  | ok         | stale    | ok         | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | conflict     | ok>ready   | -
lost out   | stale      | stale    | stale      | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | conflict     | ok>ready   | -
cancelled  | stale      | stale    | stale      | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | ok           | ok>ready   | -
stopped    | stale      | stale    | stale      | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | conflict     | ok>ready   | -
doomed     | stale      | stale    | stale      | stale     | stale   | stale   | stale     | stale | -        | -       | -        | -        | -        | -     | conflict     | ok>waiting | -
`

// subject is a run with one job in a wanted state. The worker w held it last, if any did, and wants no more.
type subject struct {
	*run
	w   WorkerID
	inc uint32
	job JobID
}

// newSubject brings a job to the state that a row of the table names.
func newSubject(t *testing.T, row string) *subject {
	s := &subject{run: newRun(t)}
	s.w, s.inc = s.join("w", 1)
	s.ok(JoinWorker{Name: "other", Identity: "other", Process: 1, Queues: []string{"other"}, Slots: 1})
	spec := simpleSpec()
	spec.Timeout, spec.LostLimit = time.Minute, 1
	jobs, submit := []JobEntry{{Name: "subject"}}, SubmitRequest{}
	need := []JobEntry{{Name: "first"}, {Name: "subject", Needs: []Need{{Job: 0}}}}
	switch row {
	case "waiting", "doomed":
		jobs = need
	case "held":
		jobs, submit.MaxRunning = []JobEntry{{Name: "first"}, {Name: "subject"}}, 1
	case "stopped":
		jobs, submit.OnFailure = []JobEntry{{Name: "first"}, {Name: "subject"}}, StopRequest
	case "delayed":
		spec.StartAfter = time.Minute
	case "backoff":
		spec.Retry = Retry{Limit: 1, Backoff: time.Minute}
	case "lost out":
		spec.LostLimit = 0
	}
	submit.Specs, submit.Jobs = []JobSpec{spec}, jobs
	s.job = JobID{s.submit(submit), uint32(len(jobs) - 1)}
	first := JobID{s.job.Request, 0}
	pick := func() {
		s.ok(PickJobs{Worker: s.w, Incarnation: s.inc, Max: 1})
		s.ok(PickJobs{Worker: s.w, Incarnation: s.inc, Max: 0})
	}
	say := func(kinds ...ReportKind) {
		for _, k := range kinds {
			s.ok(JobStates{Worker: s.w, Incarnation: s.inc, Reports: []JobReport{{Job: first, Attempt: 1, Kind: k}}})
		}
	}
	switch row {
	case "picked":
		pick()
	case "running":
		pick()
		say(ReportStart)
	case "backoff", "failed", "doomed", "stopped":
		pick()
		say(ReportFailed)
	case "revived":
		pick()
		say(ReportFailed)
		s.ok(RetryRequest{ID: s.job.Request})
	case "returned":
		pick()
		say(ReportReturn)
	case "lost", "lost out":
		pick()
		joined := s.ok(JoinWorker{Name: "w", Identity: "w", Process: 2, Queues: []string{"default"}, Slots: 1}).(WorkerJoined)
		s.w, s.inc = joined.ID, joined.Incarnation
	case "done":
		pick()
		say(ReportStart, ReportDone)
	case "timed out":
		pick()
		say(ReportStart)
		s.now = s.now.Add(time.Minute + timeoutGrace)
		s.ok(Tick{Term: 1})
	case "cancelled":
		pick()
		say(ReportStart)
		s.ok(CancelRequest{ID: s.job.Request})
	}
	return s
}

// rowStates is the state that each row stands for.
var rowStates = map[string]State{
	"waiting": Waiting, "ready": Ready, "held": Ready, "delayed": Delayed, "backoff": Delayed, "returned": Ready, "lost": Ready,
	"revived": Ready, "picked": Picked, "running": Running, "done": Done, "failed": Failed, "timed out": Failed, "lost out": Failed,
	"cancelled": Cancelled, "stopped": Cancelled, "doomed": Cancelled,
}

// command is what a column of the table does to a subject.
func (s *subject) command(column string) Command {
	attempt := s.run.job(s.job.Request, s.job.Index).Attempt
	say := func(w WorkerID, inc, attempt uint32, kind ReportKind) Command {
		return JobStates{Worker: w, Incarnation: inc, Reports: []JobReport{{Job: s.job, Attempt: attempt, Kind: kind, Error: "no", ExitCode: 1}}}
	}
	switch column {
	case "START":
		return say(s.w, s.inc, attempt, ReportStart)
	case "DONE":
		return say(s.w, s.inc, attempt, ReportDone)
	case "FAILED":
		return say(s.w, s.inc, attempt, ReportFailed)
	case "RETURN":
		return say(s.w, s.inc, attempt, ReportReturn)
	case "kind 0":
		return say(s.w, s.inc, attempt, 0)
	case "kind 7":
		return say(s.w, s.inc, attempt, 7)
	case "attempt+1":
		return say(s.w, s.inc, attempt+1, ReportDone)
	case "other":
		return say(2, 1, attempt, ReportDone)
	case "progress":
		return Progress{Items: []ProgressItem{{Job: s.job, Attempt: attempt, Percent: 7, Text: "seven"}}}
	case "tick":
		s.now = s.now.Add(30 * time.Minute)
		return Tick{Term: 1}
	case "lose":
		return ReassignWorker{Worker: s.w, Incarnation: s.inc, Term: 1, Cause: "no beat"}
	case "leave":
		return LeaveWorker{Worker: s.w, Incarnation: s.inc}
	case "restart":
		return JoinWorker{Name: "w", Identity: "w", Process: 9, Queues: []string{"default"}, Slots: 1}
	case "drain":
		return DrainWorker{Worker: s.w}
	case "cancel":
		return CancelRequest{ID: s.job.Request}
	case "retry":
		return RetryRequest{ID: s.job.Request}
	case "close":
		return CloseSession{ID: 1}
	}
	panic("no column " + column)
}

func cells(line string) (list []string) {
	for _, c := range strings.Split(line, "|") {
		list = append(list, strings.TrimSpace(c))
	}
	return list
}

func TestEveryEdge(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(edges), "\n")
	columns := cells(lines[0])
	if columns[0] != "" {
		columns = append([]string{""}, columns...) // TrimSpace took the corner
	}
	rows := map[string]bool{}
	for _, line := range lines[1:] {
		row := cells(line)
		rows[row[0]] = true
		for n, want := range row[1:] {
			t.Run(row[0]+"/"+columns[n+1], func(t *testing.T) {
				testEdge(t, row[0], columns[n+1], want)
			})
		}
	}
	for row := range rowStates {
		if !rows[row] {
			t.Errorf("no row %q", row)
		}
	}
	for state := range stateCount {
		found := false
		for _, s := range rowStates {
			found = found || s == state
		}
		if !found {
			t.Errorf("no row for the state %s", state)
		}
	}
}

func testEdge(t *testing.T, row, column, want string) {
	s := newSubject(t, row)
	s.wantState(s.job.Request, s.job.Index, rowStates[row])
	c := s.command(column)
	hash, before := s.m.Hash(), s.run.job(s.job.Request, s.job.Index)
	if column == "tick" {
		hash = 0 // time itself is part of the state
	}
	answer := s.do(c)[0]
	after := s.run.job(s.job.Request, s.job.Index)

	got := codeOf(answer).String()
	if codes, ok := answer.Value.([]Code); ok {
		got = codes[0].String()
	}
	if after.State != before.State {
		got += ">" + after.State.String()
	}
	wanted := want
	switch want {
	case "-":
		wanted = "ok"
		after.WorkerName = before.WorkerName
		if fmt.Sprintf("%+v", after) != fmt.Sprintf("%+v", before) {
			t.Fatalf("the job was %+v, is %+v", before, after)
		}
	case "noted":
		wanted = "ok"
		if after.Progress != 7 || after.ProgressText != "seven" {
			t.Fatalf("not noted: %+v", after)
		}
	case "ok", "stale", "invalid", "conflict":
		if hash != s.m.Hash() {
			t.Fatalf("answered %s, and the state changed", got)
		}
	}
	if got != wanted {
		t.Fatalf("%s: %s is answered %s, want %s", row, column, got, wanted)
	}
	if changed := after.Attempt != before.Attempt; changed {
		t.Fatalf("the attempt went from %d to %d without a grant", before.Attempt, after.Attempt)
	}
}

// TestReportsOfNobody: words about what is not there, and words of those who are not.
func TestReportsOfNobody(t *testing.T) {
	for name, job := range map[string]JobID{
		"request 0": {0, 0}, "request to come": {99, 0}, "job beyond": {1, 1}, "the request as a whole": {1, NoJob},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSubject(t, "running")
			before := s.m.Hash()
			c := JobStates{Worker: s.w, Incarnation: s.inc, Reports: []JobReport{{Job: job, Attempt: 1, Kind: ReportDone}}}
			if codes := s.ok(c).([]Code); codes[0] != CodeNotFound || s.m.Hash() != before {
				t.Fatalf("answered %v", codes)
			}
			s.ok(Progress{Items: []ProgressItem{{Job: job, Attempt: 1, Percent: 3}}})
			if s.m.Hash() != before {
				t.Fatal("progress of nothing changed the state")
			}
		})
	}
	s := newSubject(t, "running")
	for _, c := range []struct {
		code Code
		cmd  Command
	}{
		{CodeNotFound, report(0, 1, s.job.Request, 0, 1, ReportDone)},
		{CodeNotFound, report(99, 1, s.job.Request, 0, 1, ReportDone)},
		{CodeStale, report(s.w, s.inc+1, s.job.Request, 0, 1, ReportDone)},
		{CodeStale, report(s.w, s.inc-1, s.job.Request, 0, 1, ReportDone)},
		{CodeNotFound, PickJobs{Worker: 99, Incarnation: 1, Max: 1}},
		{CodeStale, PickJobs{Worker: s.w, Incarnation: s.inc + 1, Max: 1}},
		{CodeNotFound, LeaveWorker{Worker: 99, Incarnation: 1}},
		{CodeStale, LeaveWorker{Worker: s.w, Incarnation: s.inc + 1}},
		{CodeNotFound, DrainWorker{Worker: 99}},
		{CodeNotFound, ReassignWorker{Worker: 99, Incarnation: 1, Term: 1}},
		{CodeStale, ReassignWorker{Worker: s.w, Incarnation: s.inc, Term: 2}},
		{CodeStale, ReassignWorker{Worker: s.w, Incarnation: s.inc, Term: 0}},
		{CodeStale, Tick{Term: 2}},
		{CodeNotFound, CancelRequest{ID: 99}},
		{CodeNotFound, RetryRequest{ID: 0}},
		{CodeNotFound, CloseSession{ID: 99}},
		{CodeInvalid, OpenSession{}},
		{CodeInvalid, OpenSession{Name: strings.Repeat("x", nameBytesMax+1)}},
		{CodeInvalid, SetLimits{}},
		{CodeInvalid, JoinWorker{Name: "x", Queues: []string{"q"}}},
		{CodeInvalid, JoinWorker{Name: "x", Queues: []string{"q"}, Slots: SlotsMax + 1}},
		{CodeInvalid, JoinWorker{Name: "x", Slots: 1}},
		{CodeInvalid, JoinWorker{Queues: []string{"q"}, Slots: 1}},
		{CodeInvalid, JoinWorker{Name: "x", Queues: []string{"q"}, Slots: 1, Labels: []Pair{{"b", ""}, {"a", ""}}}},
		{CodeInvalid, JoinWorker{Name: "x", Queues: []string{"q"}, Slots: 1, Labels: []Pair{{"a", "1"}, {"a", "2"}}}},
	} {
		s.refused(c.code, c.cmd)
	}
}
