package fsm

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// storyState is the state that the golden story comes to, as a saved snapshot has it.
var storyState = sync.OnceValue(func() []byte {
	m := New()
	for i, e := range goldenStory() {
		if _, err := m.Apply(uint64(i+1), 1, e); err != nil {
			panic(err)
		}
	}
	var buf bytes.Buffer
	if _, err := m.View().WriteTo(&buf); err != nil {
		panic(err)
	}
	return buf.Bytes()
})

// restoring is the commands of a restore in parts of at most size bytes.
func restoring(id uint64, state []byte, size int) []Command {
	cmds := []Command{BeginRestore{Restore: id, Bytes: uint64(len(state))}}
	at := uint64(0)
	for part := range slices.Chunk(state, size) {
		cmds = append(cmds, RestorePart{Restore: id, Offset: at, Data: part})
		at += uint64(len(part))
	}
	return append(cmds, CommitRestore{Restore: id})
}

// saga is a machine and the log that led to it.
type saga struct {
	m   *Machine
	log [][]byte
}

func newSaga() *saga { return &saga{m: New()} }

// do applies each command in an entry of its own, a second after the last, and returns the last answer.
func (s *saga) do(t testing.TB, cmds ...Command) (a Answer) {
	t.Helper()
	for _, c := range cmds {
		entry := NewEntry(s.m.Now()+int64(time.Second), Encode(c))
		s.log = append(s.log, entry)
		a = apply(t, s.m, uint64(len(s.log)), entry)[0]
	}
	return a
}

// must is do for what must not be refused.
func (s *saga) must(t testing.TB, cmds ...Command) any {
	t.Helper()
	var value any
	for _, c := range cmds {
		a := s.do(t, c)
		if a.Refusal != nil {
			t.Fatalf("%T: %v", c, a.Refusal)
		}
		value = a.Value
	}
	return value
}

func (s *saga) state(t testing.TB) []byte { return snapshot(t, s.m) }

// replay applies the log anew, also from a snapshot after each entry, and expects the same state.
func (s *saga) replay(t *testing.T) {
	t.Helper()
	m := New()
	for i, e := range s.log {
		apply(t, m, uint64(i+1), e)
		restored, err := Restore(bytes.NewReader(snapshot(t, m)))
		if err != nil || restored.Hash() != m.Hash() {
			t.Fatalf("a snapshot after entry %d: %v", i+1, err)
		}
		m = restored
	}
	if m.Hash() != s.m.Hash() {
		t.Error("a replay came to another state")
	}
}

func oneJob(name string) SubmitRequest {
	return SubmitRequest{Session: "s", Key: name, Specs: []JobSpec{simpleSpec()}, Jobs: []JobEntry{{Name: name}}}
}

func joinAs(identity string) JoinWorker {
	return JoinWorker{Name: "w", Identity: identity, Process: 1, Queues: []string{"default"}, Slots: 4}
}

func TestRestorePutsASavedStateInPlace(t *testing.T) {
	s := newSaga()
	s.must(t, oneJob("ended"), oneJob("held"), joinAs("i"))
	s.must(t, PickJobs{Worker: 1, Incarnation: 1, Max: 2})
	s.must(t, JobStates{Worker: 1, Incarnation: 1, Reports: []JobReport{
		{Job: JobID{1, 0}, Attempt: 1, Kind: ReportDone, Result: []byte("x")}, {Job: JobID{2, 0}, Attempt: 1, Kind: ReportStart},
	}})
	saved, at := s.state(t), s.m.Index()
	// What is lost: a request, and that a job ended.
	s.must(t, oneJob("lost"), JobStates{Worker: 1, Incarnation: 1, Reports: []JobReport{{Job: JobID{2, 0}, Attempt: 1, Kind: ReportDone}}})
	before := s.m.Now()
	got := s.must(t, restoring(7, saved, 100)...)
	if want := (Restored{Index: at, Sessions: 1, Requests: 2, Returned: 1}); got != want {
		t.Errorf("answered %+v, want %+v", got, want)
	}
	if !s.m.Jumped() || s.m.Now() <= before || s.m.Index() != uint64(len(s.log)) {
		t.Errorf("jumped %v, at %d after %d, index %d of %d", s.m.Jumped(), s.m.Now(), before, s.m.Index(), len(s.log))
	}
	v := s.m.View()
	if v.Totals().Workers != 0 {
		t.Error("a worker is still there")
	}
	if j, _ := v.Job(JobID{1, 0}); j.State != Done || j.Attempt != 1 || string(j.Result) != "x" {
		t.Errorf("the job that had ended: %+v", j)
	}
	if j, _ := v.Job(JobID{2, 0}); j.State != Ready || j.Attempt != 1+attemptLeap || j.Lost != 0 {
		t.Errorf("the job that was held: %+v", j)
	}
	if h := v.History(JobID{2, 0}); !slices.ContainsFunc(h, func(s Step) bool { return s.Reason == ReasonRestore }) {
		t.Errorf("its history does not tell of the restore: %+v", h)
	}
	if _, there := v.Request(3); there {
		t.Error("the request of the lost time is there")
	}
	// Nothing of the lost time is taken for anything of this one.
	if a := s.do(t, JobStates{Worker: 1, Incarnation: 1, Reports: []JobReport{{Job: JobID{2, 0}, Attempt: 1, Kind: ReportDone}}}); codeOf(a) != CodeNotFound {
		t.Errorf("a worker of before reports: %+v", a)
	}
	if s.m.Jumped() {
		t.Error("an entry later it still says that it jumped")
	}
	joined := s.must(t, joinAs("i")).(WorkerJoined)
	if joined.ID <= idLeap {
		t.Errorf("the worker joined again as %s", joined.ID)
	}
	if again := s.must(t, oneJob("held")).(RequestSubmitted); !again.Repeat || again.ID != 2 {
		t.Errorf("an idempotency key of the saved state: %+v", again)
	}
	if anew := s.must(t, oneJob("lost")).(RequestSubmitted); anew.Repeat || anew.ID <= idLeap {
		t.Errorf("an idempotency key of the lost time: %+v", anew)
	}
	grants := s.must(t, PickJobs{Worker: joined.ID, Incarnation: joined.Incarnation, Max: 1}).([]Grant)
	if want := []Grant{{JobID{2, 0}, 2 + attemptLeap}}; !slices.Equal(grants, want) {
		t.Errorf("granted %+v, want %+v", grants, want)
	}
	s.replay(t)
}

// TestRestoreIntoANewCluster: its log is shorter than the one that the state comes from.
func TestRestoreIntoANewCluster(t *testing.T) {
	s := newSaga()
	s.must(t, restoring(1, storyState(), 1<<20)...)
	for _, r := range s.m.db.requests.Values() {
		if r.index > s.m.Index() {
			t.Errorf("request %s was submitted at index %d of a log that is at %d", r.id, r.index, s.m.Index())
		}
	}
	s.must(t, joinAs("new"))
	s.replay(t)
}

func TestRestoreIsRefused(t *testing.T) {
	state := storyState()
	flipped := bytes.Clone(state)
	flipped[len(flipped)/2] ^= 1
	begin := BeginRestore{Restore: 1, Bytes: uint64(len(state))}
	whole := RestorePart{Restore: 1, Data: state}
	for name, test := range map[string]struct {
		before []Command
		refuse Command
		code   Code
	}{
		"no bytes":               {nil, BeginRestore{Restore: 1}, CodeInvalid},
		"too many bytes":         {nil, BeginRestore{Restore: 1, Bytes: DefaultLimits().UploadBytes + 1}, CodeLimit},
		"two at a time":          {[]Command{begin}, BeginRestore{Restore: 2, Bytes: 1}, CodeConflict},
		"a part of nothing":      {nil, whole, CodeNotFound},
		"a part of another":      {[]Command{begin}, RestorePart{Restore: 2, Data: state}, CodeNotFound},
		"a gap":                  {[]Command{begin}, RestorePart{Restore: 1, Offset: 1, Data: state[1:]}, CodeConflict},
		"a part twice":           {[]Command{begin, RestorePart{Restore: 1, Data: state[:9]}}, RestorePart{Restore: 1, Data: state[:9]}, CodeConflict},
		"more than announced":    {[]Command{begin}, RestorePart{Restore: 1, Data: append(bytes.Clone(state), 0)}, CodeInvalid},
		"the end of nothing":     {nil, CommitRestore{Restore: 1}, CodeNotFound},
		"the end too early":      {[]Command{begin, RestorePart{Restore: 1, Data: state[:9]}}, CommitRestore{Restore: 1}, CodeInvalid},
		"a bit of it is wrong":   {[]Command{begin, RestorePart{Restore: 1, Data: flipped}}, CommitRestore{Restore: 1}, CodeInvalid},
		"what is no state":       {[]Command{BeginRestore{Restore: 1, Bytes: 3}, RestorePart{Restore: 1, Data: []byte("abc")}}, CommitRestore{Restore: 1}, CodeInvalid},
		"the end after the drop": {[]Command{begin, whole, DropRestore{Restore: 1}}, CommitRestore{Restore: 1}, CodeNotFound},
		"the end a time-out after the last part": {
			[]Command{begin, whole, SetLimits{Limits: shortUploads()}, Tick{Term: 1}}, CommitRestore{Restore: 1}, CodeNotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSaga()
			s.must(t, oneJob("kept"))
			s.must(t, test.before...)
			before := s.m.View()
			if a := s.do(t, test.refuse); codeOf(a) != test.code {
				t.Errorf("answered %+v, want %s", a, test.code)
			}
			if after := s.m.View(); after.Totals() != before.Totals() || s.m.Jumped() {
				t.Errorf("it changed the state: %+v, was %+v", after.Totals(), before.Totals())
			}
			s.replay(t)
		})
	}
}

func shortUploads() Limits {
	l := DefaultLimits()
	l.UploadFor = time.Millisecond
	return l
}

// TestRestoreEndsWithItsLeadership: the next leader's first entry forgets what the last one's Tasker had begun.
func TestRestoreEndsWithItsLeadership(t *testing.T) {
	s := newSaga()
	s.must(t, BeginRestore{Restore: 1, Bytes: 9}, RestorePart{Restore: 1, Data: []byte("abc")})
	if at, ok := s.m.NextDeadline(); !ok || at != s.m.Now()+int64(DefaultLimits().UploadFor) {
		t.Errorf("it is to be forgotten at %d, %v", at, ok)
	}
	if _, err := s.m.Apply(s.m.Index()+1, 2, NewEntry(s.m.Now())); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.m.NextDeadline(); ok || s.m.incoming != nil {
		t.Error("it was not forgotten")
	}
}

// TestRestoreOfAnyState restores a state of any history over another of any history; both go on afterwards.
func TestRestoreOfAnyState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		machine := func(label string) *Machine {
			m, s := New(), &script{rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(rt, label)}
			for now := int64(1); len(s.data) > 0; now += int64(time.Second) {
				apply(t, m, m.Index()+1, NewEntry(now, Encode(s.command())))
			}
			return m
		}
		saved, m := machine("saved"), machine("overwritten")
		if m.incoming != nil {
			apply(t, m, m.Index()+1, NewEntry(m.Now(), Encode(DropRestore{Restore: m.incoming.id})))
		}
		was, time := saved.View(), m.Now()
		for _, c := range restoring(9, snapshot(t, saved), 1<<12) {
			if a := apply(t, m, m.Index()+1, NewEntry(m.Now(), Encode(c)))[0]; a.Refusal != nil {
				if a.Refusal.Code == CodeLimit { // the fuzzed limits leave it no room
					return
				}
				rt.Fatalf("%T: %v", c, a.Refusal)
			}
		}
		is := m.View()
		if is.Totals().Sessions != was.Totals().Sessions || m.Now() < max(time, saved.Now()) || is.Totals().Workers != 0 {
			rt.Fatalf("became %+v of %+v", is.Totals(), was.Totals())
		}
		s := &script{rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "afterwards")}
		for len(s.data) > 0 {
			apply(t, m, m.Index()+1, NewEntry(m.Now()+1e9, Encode(s.command())))
		}
	})
}
