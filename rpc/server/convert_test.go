package server

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/wiretest"
)

// filled is a T without a zero field.
func filled[T any]() *T {
	v := new(T)
	wiretest.Fill(v)
	return v
}

func TestNoFieldIsForgotten(t *testing.T) {
	handed := filled[wire.Submit]()
	for i := range handed.Jobs {
		for k := range handed.Jobs[i].Needs {
			handed.Jobs[i].Needs[k].When |= wire.WhenAny
		}
	}
	handed.OnFailure = wire.StopRequest | wire.Hold
	submit := submitRequest(handed)
	spec := filled[fsm.JobSpec]()
	for name, v := range map[string]any{
		"submit":   submit,
		"join":     joinWorker(filled[wire.Join]()),
		"report":   jobStates([]laneReport{{1, filled[wire.Report]()}, {2, filled[wire.Report]()}}),
		"progress": &fsm.Progress{Items: progressItems(filled[wire.Progress]().Items)},
		"held":     &struct{ Held []fsm.Grant }{grantsOf(filled[wire.Beat]().Held)},
		"opened":   sessionOpened(*filled[fsm.SessionOpened]()),
		"answer":   submitted(*filled[fsm.RequestSubmitted]()),
		"request":  requestInfo(filled[fsm.RequestInfo]()),
		"ref":      requestRef(filled[fsm.RequestInfo]()),
		"job":      ptr(jobInfo(filled[fsm.JobInfo]())),
		"spec":     ptr(wireSpec(spec)),
		"run":      runSpec(spec),
		"attempts": &wire.Stop{Attempts: attempts([]fsm.Grant{*filled[fsm.Grant]()})},
		"refusal":  wireRefusal(filled[fsm.Refusal]()),
	} {
		zeros := wiretest.Zeros(v)
		if name == "refusal" { // it is no NotLeader
			zeros = without(zeros, "Error.Leader", "Error.LeaderHTTP", "Error.Term", "Error.RetryAfter")
		}
		if len(zeros) > 0 {
			t.Errorf("%s: zero after conversion: %v", name, zeros)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func without(list []string, drop ...string) (kept []string) {
next:
	for _, s := range list {
		for _, d := range drop {
			if s == d {
				continue next
			}
		}
		kept = append(kept, s)
	}
	return kept
}

func TestASpecSurvivesThereAndBack(t *testing.T) {
	want := filled[wire.Spec]()
	there := jobSpec(want)
	back := wireSpec(&there)
	if diff := cmp.Diff(want, &back); diff != "" {
		t.Error(diff)
	}
}

func TestIdsReadAlike(t *testing.T) {
	for _, n := range []uint64{0, 1, 31, 32, 1 << 20, 1<<50 - 1} {
		for _, c := range []struct{ wire, fsm string }{
			{wire.SessionID(n).String(), fsm.SessionID(n).String()},
			{wire.RequestID(n).String(), fsm.RequestID(n).String()},
			{wire.WorkerID(n).String(), fsm.WorkerID(n).String()},
			{wire.JobID{Request: wire.RequestID(n), Index: uint32(n) >> 7}.String(), fsm.JobID{Request: fsm.RequestID(n), Index: uint32(n) >> 7}.String()},
		} {
			if c.wire != c.fsm {
				t.Errorf("%s on the wire is %s in the state machine", c.wire, c.fsm)
			}
		}
		if id, err := wire.ParseSessionID(fsm.SessionID(n).String()); err != nil || uint64(id) != n {
			t.Errorf("session %d: %d, %v", n, id, err)
		}
		if id, err := wire.ParseRequestID(fsm.RequestID(n).String()); err != nil || uint64(id) != n {
			t.Errorf("request %d: %d, %v", n, id, err)
		}
		if id, err := wire.ParseWorkerID(fsm.WorkerID(n).String()); err != nil || uint64(id) != n {
			t.Errorf("worker %d: %d, %v", n, id, err)
		}
		if id, err := wire.ParseJobID(fsm.JobID{Request: fsm.RequestID(n), Index: 5}.String()); err != nil || uint64(id.Request) != n || id.Index != 5 {
			t.Errorf("job %d: %v, %v", n, id, err)
		}
	}
	for _, bad := range []string{"", "r", "s0000000001", "r000000000l", "j0000000001", "j0000000001-0000", "r00000000011"} {
		if _, err := wire.ParseRequestID(bad); !errors.Is(err, wire.ErrBadID) {
			t.Errorf("%q is a request: %v", bad, err)
		}
		if _, err := wire.ParseJobID(bad); !errors.Is(err, wire.ErrBadID) {
			t.Errorf("%q is a job: %v", bad, err)
		}
	}
}

func TestEnumerationsAreTheSame(t *testing.T) {
	for i := range uint8(20) {
		if a, b := wire.State(i), fsm.State(i); a.String() != b.String() || a.Terminal() != b.Terminal() {
			t.Errorf("state %d is %s on the wire, %s in the state machine", i, a, b)
		}
		if a, b := wire.Reason(i), fsm.Reason(i); a.String() != b.String() {
			t.Errorf("reason %d is %s on the wire, %s in the state machine", i, a, b)
		}
		if i <= uint8(wire.CodeLimit) && wire.Code(i).String() != fsm.Code(i).String() {
			t.Errorf("code %d is %s on the wire, %s in the state machine", i, wire.Code(i), fsm.Code(i))
		}
	}
	if n := fsm.CodeLimit + 1; n.String() != "unknown" {
		t.Errorf("the state machine has a code %d that the wire does not know", n)
	}
	for _, c := range []struct{ wire, fsm uint8 }{
		{uint8(wire.WorkCommand), uint8(fsm.WorkCommand)}, {uint8(wire.WorkShell), uint8(fsm.WorkShell)},
		{uint8(wire.WorkHandler), uint8(fsm.WorkHandler)}, {uint8(wire.WhenDone), uint8(fsm.WhenDone)},
		{uint8(wire.WhenFailed), uint8(fsm.WhenFailed)}, {uint8(wire.WhenEnded), uint8(fsm.WhenEnded)},
		{uint8(wire.CancelDependents), uint8(fsm.CancelDependents)}, {uint8(wire.StopRequest), uint8(fsm.StopRequest)},
		{uint8(wire.ReportStart), uint8(fsm.ReportStart)}, {uint8(wire.ReportDone), uint8(fsm.ReportDone)},
		{uint8(wire.ReportFailed), uint8(fsm.ReportFailed)}, {uint8(wire.ReportReturn), uint8(fsm.ReportReturn)},
	} {
		if c.wire != c.fsm {
			t.Errorf("%d on the wire is %d in the state machine", c.wire, c.fsm)
		}
	}
	if wire.NoJob != fsm.NoJob {
		t.Error("NoJob differs")
	}
}
