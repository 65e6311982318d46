package server

import (
	"time"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/wire"
)

// From the wire to the state machine.

func fsmJobID(id wire.JobID) fsm.JobID {
	return fsm.JobID{Request: fsm.RequestID(id.Request), Index: id.Index}
}

// submitRequest shares payloads and arguments with s.
func submitRequest(s *wire.Submit) *fsm.SubmitRequest {
	c := &fsm.SubmitRequest{
		Session: s.Session, Name: s.Name, Key: s.Key, Body: s.Body, MaxRunning: s.MaxRunning,
		OnFailure: fsm.OnFailure(s.OnFailure.Policy()), Hold: s.OnFailure.Held(), Specs: make([]fsm.JobSpec, len(s.Specs)), Jobs: make([]fsm.JobEntry, len(s.Jobs)),
	}
	for i := range s.Specs {
		c.Specs[i] = jobSpec(&s.Specs[i])
	}
	for i := range s.Jobs {
		j := &s.Jobs[i]
		c.Jobs[i] = fsm.JobEntry{Name: j.Name, Spec: j.Spec, Payload: j.Payload, Needs: fsmNeeds(j.Needs)}
	}
	return c
}

func jobSpec(s *wire.Spec) fsm.JobSpec {
	return fsm.JobSpec{
		Kind: fsm.WorkKind(s.Kind), Args: s.Args, Env: fsmPairs(s.Env), Dir: s.Dir, Queue: s.Queue, Labels: fsmPairs(s.Labels),
		Slots: s.Slots, Priority: s.Priority, Timeout: s.Timeout, StartAfter: s.StartAfter, StartAt: unixNano(s.StartAt),
		Retry: fsm.Retry(s.Retry), LostLimit: s.LostLimit,
	}
}

func joinWorker(j *wire.Join) *fsm.JoinWorker {
	return &fsm.JoinWorker{
		Name: j.Name, Identity: j.Identity, Process: j.Process, Queues: j.Queues, Labels: fsmPairs(j.Labels), Slots: j.Slots,
	}
}

// jobStates joins the reports of one worker into one command.
func jobStates(batch []laneReport) *fsm.JobStates {
	first := batch[0].report
	c := &fsm.JobStates{
		Worker: fsm.WorkerID(first.Worker), Incarnation: first.Incarnation,
		Reports: make([]fsm.JobReport, 0, reportCount(batch)),
	}
	for _, b := range batch {
		for i := range b.report.Reports {
			c.Reports = append(c.Reports, jobReport(&b.report.Reports[i]))
		}
	}
	return c
}

func jobReport(r *wire.JobReport) fsm.JobReport {
	return fsm.JobReport{
		Job: fsmJobID(r.Job), Attempt: r.Attempt, Kind: fsm.ReportKind(r.Kind), Result: r.Result, JSON: r.JSON,
		Error: r.Error, ExitCode: r.ExitCode, NoRetry: r.NoRetry, Timeout: r.Timeout,
	}
}

func progressItems(items []wire.ProgressItem) []fsm.ProgressItem {
	list := make([]fsm.ProgressItem, len(items))
	for i, p := range items {
		list[i] = fsm.ProgressItem{Job: fsmJobID(p.Job), Attempt: p.Attempt, Percent: p.Percent, Text: p.Text}
	}
	return list
}

func grantsOf(held []wire.Attempt) []fsm.Grant {
	list := make([]fsm.Grant, len(held))
	for i, a := range held {
		list[i] = fsm.Grant{Job: fsmJobID(a.Job), Attempt: a.Attempt}
	}
	return list
}

func fsmNeeds(needs []wire.Need) []fsm.Need {
	return convertList(needs, func(n wire.Need) fsm.Need {
		return fsm.Need{Job: n.Job, When: fsm.When(n.When.Condition()), Any: n.When.Any()}
	})
}

func fsmPairs(pairs []wire.Pair) []fsm.Pair {
	return convertList(pairs, func(p wire.Pair) fsm.Pair { return fsm.Pair(p) })
}

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// From the state machine to the wire.

func wireJobID(id fsm.JobID) wire.JobID {
	return wire.JobID{Request: wire.RequestID(id.Request), Index: id.Index}
}

// wireRefusal keeps the code: those of the state machine have the same numbers on the wire.
func wireRefusal(r *fsm.Refusal) *wire.Error {
	return &wire.Error{Code: wire.Code(r.Code), Detail: r.Detail}
}

func wireCodes(codes []fsm.Code) []wire.Code {
	return convertList(codes, func(c fsm.Code) wire.Code { return wire.Code(c) })
}

func sessionOpened(a fsm.SessionOpened) wire.Message {
	return &wire.SessionOpened{ID: wire.SessionID(a.ID), Created: a.Created}
}

func submitted(a fsm.RequestSubmitted) wire.Message {
	return &wire.Submitted{
		ID: wire.RequestID(a.ID), Session: wire.SessionID(a.Session), Jobs: a.Jobs, State: wire.State(a.State), Repeat: a.Repeat,
	}
}

func attempts(grants []fsm.Grant) []wire.Attempt {
	return convertList(grants, func(g fsm.Grant) wire.Attempt {
		return wire.Attempt{Job: wireJobID(g.Job), Attempt: g.Attempt}
	})
}

func requestInfo(r *fsm.RequestInfo) *wire.RequestInfo {
	return &wire.RequestInfo{
		ID: wire.RequestID(r.ID), Session: wire.SessionID(r.Session), SessionName: r.SessionName, Name: r.Name, Key: r.Key,
		State: wire.State(r.State), MaxRunning: r.MaxRunning, OnFailure: wire.OnFailure(r.OnFailure), Jobs: r.Jobs,
		Counts: wire.Counts(r.Counts), Index: r.Index, Created: r.Created, Ended: r.Ended,
	}
}

func requestRef(r *fsm.RequestInfo) *wire.RequestRef {
	return &wire.RequestRef{Name: r.Name, Session: wire.SessionID(r.Session), SessionName: r.SessionName}
}

func jobInfo(j *fsm.JobInfo) wire.JobInfo {
	return wire.JobInfo{
		ID: wireJobID(j.ID), Name: j.Name, Spec: wireSpec(j.Spec), Payload: j.Payload, Needs: wireNeeds(j.Needs),
		State: wire.State(j.State), Reason: wire.Reason(j.Reason), Attempt: j.Attempt, Retries: j.Retries, Lost: j.Lost,
		Worker: wire.WorkerID(j.Worker), WorkerName: j.WorkerName, Progress: j.Progress, ProgressText: j.ProgressText,
		Result: j.Result, ResultJSON: j.ResultJSON, Error: j.Error, ExitCode: j.ExitCode, Cause: j.Cause,
		Times: wire.Times(j.Times),
	}
}

func wireSpec(s *fsm.JobSpec) wire.Spec {
	return wire.Spec{
		Kind: wire.WorkKind(s.Kind), Args: s.Args, Env: wirePairs(s.Env), Dir: s.Dir, Queue: s.Queue, Labels: wirePairs(s.Labels),
		Slots: s.Slots, Priority: s.Priority, Timeout: s.Timeout, StartAfter: s.StartAfter, StartAt: wallTime(s.StartAt),
		Retry: wire.Retry(s.Retry), LostLimit: s.LostLimit,
	}
}

func runSpec(s *fsm.JobSpec) *wire.RunSpec {
	return &wire.RunSpec{
		Kind: wire.WorkKind(s.Kind), Args: s.Args, Env: wirePairs(s.Env), Dir: s.Dir, Timeout: s.Timeout, Slots: s.Slots,
	}
}

// parentOf is a job that another of its request needs.
func parentOf(v *fsm.View, request fsm.RequestID, index uint32) wire.Parent {
	p := wire.Parent{Job: index}
	if j, ok := v.Job(fsm.JobID{Request: request, Index: index}); ok {
		p.Name, p.Result, p.JSON = j.Name, j.Result, j.ResultJSON
	}
	return p
}

// parentBytes is about how large a parent is on the wire.
func parentBytes(p *wire.Parent) int { return 16 + len(p.Name) + len(p.Result) }

func wireNeeds(needs []fsm.Need) []wire.Need {
	return convertList(needs, func(n fsm.Need) wire.Need {
		w := wire.Need{Job: n.Job, When: wire.When(n.When)}
		if n.Any {
			w.When |= wire.WhenAny
		}
		return w
	})
}

func wirePairs(pairs []fsm.Pair) []wire.Pair {
	return convertList(pairs, func(p fsm.Pair) wire.Pair { return wire.Pair(p) })
}

func wallTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// convertList converts element by element; an empty list becomes nil.
func convertList[A, B any](list []A, convert func(A) B) []B {
	if len(list) == 0 {
		return nil
	}
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = convert(a)
	}
	return out
}
