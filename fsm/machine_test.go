package fsm

import (
	"bytes"
	"testing"
	"time"
)

// run drives a Machine as the log would: each do is one entry.
type run struct {
	t     *testing.T
	m     *Machine
	index uint64
	now   time.Time
}

func newRun(t *testing.T) *run {
	r := &run{t: t, m: New(), now: time.Unix(1_700_000_000, 0)}
	r.do() // sets the time
	return r
}

func (r *run) do(cmds ...Command) []Answer {
	r.t.Helper()
	r.index++
	encoded := make([][]byte, len(cmds))
	for i, c := range cmds {
		encoded[i] = Encode(c)
	}
	answers, err := r.m.Apply(r.index, 1, NewEntry(r.now.UnixNano(), encoded...))
	if err != nil {
		r.t.Fatalf("entry %d: %v", r.index, err)
	}
	if err := r.m.Check(); err != nil {
		r.t.Fatalf("after entry %d: %v", r.index, err)
	}
	return answers
}

func (r *run) ok(cmd Command) any {
	r.t.Helper()
	a := r.do(cmd)[0]
	if a.Refusal != nil {
		r.t.Fatalf("%T refused: %v", cmd, a.Refusal)
	}
	return a.Value
}

func (r *run) refused(code Code, cmd Command) {
	r.t.Helper()
	before := r.m.Hash()
	if a := r.do(cmd)[0]; a.Refusal == nil || a.Refusal.Code != code {
		r.t.Fatalf("%T answered %+v, want refusal %q", cmd, a, code)
	}
	if r.m.Hash() != before {
		r.t.Fatalf("%T was refused and changed the state", cmd)
	}
}

func simpleSpec() JobSpec {
	return JobSpec{Kind: WorkHandler, Args: []string{"noop"}, Queue: "default", Slots: 1, LostLimit: 2}
}

func (r *run) join(name string, slots uint32) (WorkerID, uint32) {
	r.t.Helper()
	j := r.ok(JoinWorker{Name: name, Identity: name, Process: 1, Queues: []string{"default"}, Slots: slots}).(WorkerJoined)
	return j.ID, j.Incarnation
}

func (r *run) submit(c SubmitRequest) RequestID {
	r.t.Helper()
	if c.Session == "" {
		c.Session = "s"
	}
	if c.Specs == nil {
		c.Specs = []JobSpec{simpleSpec()}
	}
	return r.ok(c).(RequestSubmitted).ID
}

func (r *run) job(id RequestID, i uint32) JobInfo {
	r.t.Helper()
	j, ok := r.m.View().Job(JobID{id, i})
	if !ok {
		r.t.Fatalf("no job %d of %s", i, id)
	}
	return j
}

func (r *run) wantState(id RequestID, i uint32, want State) {
	r.t.Helper()
	if got := r.job(id, i); got.State != want {
		r.t.Fatalf("job %d is %s (reason %q), want %s", i, got.State, got.Reason, want)
	}
}

func report(w WorkerID, inc uint32, id RequestID, i, attempt uint32, kind ReportKind) JobStates {
	return JobStates{Worker: w, Incarnation: inc, Reports: []JobReport{{Job: JobID{id, i}, Attempt: attempt, Kind: kind}}}
}

// chain is A, B after A, C after B, D alone.
func chain() []JobEntry {
	return []JobEntry{{Name: "a"}, {Name: "b", Needs: []Need{{Job: 0}}}, {Name: "c", Needs: []Need{{Job: 1}}}, {Name: "d"}}
}

func TestSeedScenario(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w1", 1)
	id := r.submit(SubmitRequest{Name: "seed", Jobs: chain()})
	r.wantState(id, 0, Ready)
	r.wantState(id, 1, Waiting)
	if g := r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 1, Standing: true}).([]Grant); len(g) != 1 || g[0] != (Grant{JobID{id, 0}, 1}) {
		t.Fatalf("picked %v", g)
	}
	r.ok(report(w, inc, id, 0, 1, ReportStart))
	r.wantState(id, 0, Running)
	r.ok(Progress{Items: []ProgressItem{{Job: JobID{id, 0}, Attempt: 1, Percent: 50, Text: "half"}}})
	// DONE of A, the release of B and the grant of the next job are one entry. D came first, so D is next.
	r.ok(report(w, inc, id, 0, 1, ReportDone))
	r.wantState(id, 0, Done)
	r.wantState(id, 1, Ready)
	r.wantState(id, 3, Picked)
	r.do(report(w, inc, id, 3, 1, ReportStart), report(w, inc, id, 3, 1, ReportDone))
	r.wantState(id, 1, Picked)
	r.ok(report(w, inc, id, 1, 1, ReportFailed))
	r.wantState(id, 1, Failed)
	r.wantState(id, 2, Cancelled)
	if c := r.job(id, 2); c.Reason != ReasonNeeds || c.Cause != 1 {
		t.Fatalf("c was cancelled because of %q, job %d", c.Reason, c.Cause)
	}
	req, _ := r.m.View().Request(id)
	if req.State != Failed || req.Ended.IsZero() {
		t.Fatalf("the request is %s, ended %v", req.State, req.Ended)
	}
	var last uint64
	states := []State{Waiting, Ready, Picked, Running, Running, Done}
	steps := r.m.View().History(JobID{id, 0})
	for i, s := range steps {
		if s.State != states[i] || s.Index < last {
			t.Fatalf("step %d of %+v", i, steps)
		}
		last = s.Index
	}
	if len(steps) != len(states) || steps[4].Progress != 50 {
		t.Fatalf("history %+v", steps)
	}
}

func TestReportsAreFencedAndIdempotent(t *testing.T) {
	r := newRun(t)
	w1, inc1 := r.join("w1", 1)
	id := r.submit(SubmitRequest{Jobs: []JobEntry{{Name: "a"}}})
	r.ok(PickJobs{Worker: w1, Incarnation: inc1, Max: 1, Standing: true})
	code := func(c JobStates) Code { return r.ok(c).([]Code)[0] }
	if c := code(report(w1, inc1, id, 0, 2, ReportDone)); c != CodeStale {
		t.Fatalf("an attempt to come: %v", c)
	}
	w2, inc2 := r.join("w2", 1)
	if c := code(report(w2, inc2, id, 0, 1, ReportDone)); c != CodeStale {
		t.Fatalf("another worker: %v", c)
	}
	r.ok(PickJobs{Worker: w2, Incarnation: inc2, Max: 1, Standing: true})
	r.ok(ReassignWorker{Worker: w1, Incarnation: inc1, Term: 1, Cause: "no beat"})
	if j := r.job(id, 0); j.State != Picked || j.Worker != w2 || j.Attempt != 2 || j.Lost != 1 {
		t.Fatalf("after the loss: %+v", j)
	}
	r.refused(CodeStale, report(w1, inc1, id, 0, 1, ReportDone))
	r.refused(CodeStale, ReassignWorker{Worker: w2, Incarnation: inc2, Term: 7})
	if c := code(report(w2, inc2, id, 0, 2, ReportDone)); c != CodeOK {
		t.Fatal(c)
	}
	before := r.m.Hash()
	if c := code(report(w2, inc2, id, 0, 2, ReportDone)); c != CodeOK || r.m.Hash() != before {
		t.Fatalf("DONE again: %v", c)
	}
	if c := code(report(w2, inc2, id, 0, 2, ReportFailed)); c != CodeStale {
		t.Fatalf("FAILED after DONE: %v", c)
	}
}

func TestLostLimitEndsPoisonJob(t *testing.T) {
	r := newRun(t)
	id := r.submit(SubmitRequest{Jobs: []JobEntry{{Name: "poison"}}})
	for n := range 3 {
		w, inc := r.join("w"+string(rune('a'+n)), 1)
		r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 1, Standing: true})
		r.wantState(id, 0, Picked)
		r.ok(ReassignWorker{Worker: w, Incarnation: inc, Term: 1, Cause: "gone"})
	}
	if j := r.job(id, 0); j.State != Failed || j.Reason != ReasonLost || j.Attempt != 3 {
		t.Fatalf("%+v", j)
	}
}

func TestRetryWithBackoffThenRequestRetry(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w", 2)
	r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 2, Standing: true})
	spec := simpleSpec()
	spec.Retry = Retry{Limit: 1, Backoff: time.Second, Factor: 2000, Never: []int32{2}}
	id := r.submit(SubmitRequest{Specs: []JobSpec{spec}, Jobs: []JobEntry{{Name: "a"}, {Name: "b", Needs: []Need{{Job: 0}}}}})
	r.ok(report(w, inc, id, 0, 1, ReportFailed))
	r.wantState(id, 0, Delayed)
	if at, ok := r.m.NextDeadline(); !ok || at != r.now.Add(time.Second).UnixNano() {
		t.Fatalf("next deadline %d %v", at, ok)
	}
	r.now = r.now.Add(time.Second)
	r.ok(Tick{Term: 1})
	r.wantState(id, 0, Picked)
	r.ok(report(w, inc, id, 0, 2, ReportFailed))
	r.wantState(id, 0, Failed)
	r.wantState(id, 1, Cancelled)
	if n := r.ok(RetryRequest{ID: id}).(uint32); n != 2 {
		t.Fatalf("revived %d", n)
	}
	r.wantState(id, 0, Picked)
	r.wantState(id, 1, Waiting)
	r.ok(report(w, inc, id, 0, 3, ReportDone))
	r.ok(report(w, inc, id, 1, 1, ReportDone))
	if q, _ := r.m.View().Request(id); q.State != Done {
		t.Fatalf("request %s", q.State)
	}
	if h := r.m.View().History(JobID{id, 0}); len(h) != 10 {
		t.Fatalf("history %+v", h)
	}
}

func TestIdempotencyKey(t *testing.T) {
	r := newRun(t)
	c := SubmitRequest{Session: "s", Key: "k", Body: 1, Specs: []JobSpec{simpleSpec()}, Jobs: []JobEntry{{Name: "a"}}}
	first := r.ok(c).(RequestSubmitted)
	again := r.ok(c).(RequestSubmitted)
	if again.ID != first.ID || !again.Repeat || first.Repeat {
		t.Fatalf("%+v then %+v", first, again)
	}
	c.Body = 2
	r.refused(CodeConflict, c)
}

func TestMaxRunningHoldsJobsBack(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w", 10)
	r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 10, Standing: true})
	id := r.submit(SubmitRequest{MaxRunning: 2, Jobs: []JobEntry{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}})
	for _, want := range []struct{ picked, ready uint64 }{{2, 2}, {2, 1}, {2, 0}, {1, 0}} {
		c := r.m.Counts()
		if c[Picked] != want.picked || c[Ready] != want.ready {
			t.Fatalf("counts %v, want %+v", c, want)
		}
		held := r.m.View().Held(w)
		r.ok(report(w, inc, id, held[0].Job.Index, 1, ReportDone))
	}
}

func TestPriorityThenOrder(t *testing.T) {
	r := newRun(t)
	low, high := simpleSpec(), simpleSpec()
	high.Priority = 5
	id := r.submit(SubmitRequest{Specs: []JobSpec{low, high}, Jobs: []JobEntry{{Name: "a"}, {Name: "b", Spec: 1}, {Name: "c"}, {Name: "d", Spec: 1}}})
	w, inc := r.join("w", 1)
	var order []uint32
	for range 4 {
		g := r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 1}).([]Grant)
		order = append(order, g[0].Job.Index)
		r.ok(report(w, inc, id, g[0].Job.Index, 1, ReportDone))
	}
	if want := []uint32{1, 3, 0, 2}; !equal(order, want) {
		t.Fatalf("order %v, want %v", order, want)
	}
}

func equal(a, b []uint32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestBadRequestsChangeNothing(t *testing.T) {
	r := newRun(t)
	bad := map[string]SubmitRequest{
		"cycle":     {Jobs: []JobEntry{{Name: "a", Needs: []Need{{Job: 1}}}, {Name: "b", Needs: []Need{{Job: 0}}}}},
		"self":      {Jobs: []JobEntry{{Name: "a", Needs: []Need{{Job: 0}}}}},
		"unknown":   {Jobs: []JobEntry{{Name: "a", Needs: []Need{{Job: 9}}}}},
		"twice":     {Jobs: []JobEntry{{Name: "a"}, {Name: "a"}}},
		"spec":      {Jobs: []JobEntry{{Name: "a", Spec: 3}}},
		"none":      {},
		"need 2×":   {Jobs: []JobEntry{{Name: "a"}, {Name: "b", Needs: []Need{{Job: 0}, {Job: 0}}}}},
		"condition": {Jobs: []JobEntry{{Name: "a"}, {Name: "b", Needs: []Need{{Job: 0, When: whenCount}}}}},
		"both":      {Jobs: []JobEntry{{Name: "a"}, {Name: "b", Needs: []Need{{Job: 0}, {Job: 0, When: WhenFailed, Any: true}}}}},
	}
	for name, c := range bad {
		t.Run(name, func(t *testing.T) {
			c.Session, c.Specs = "s", []JobSpec{simpleSpec()}
			r.t = t
			r.refused(CodeInvalid, c)
		})
	}
}

func TestSnapshotRestoresTheSameState(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w", 2)
	r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 2, Standing: true})
	spec := simpleSpec()
	spec.Retry = Retry{Limit: 3, Backoff: time.Minute, Factor: 2000}
	spec.Timeout = time.Hour
	id := r.submit(SubmitRequest{Key: "k", MaxRunning: 2, Specs: []JobSpec{spec}, Jobs: append(chain(), JobEntry{Name: "e", Payload: []byte(`{"x":1}`)}, JobEntry{Name: "f"})})
	r.ok(report(w, inc, id, 0, 1, ReportStart))
	r.ok(JobStates{Worker: w, Incarnation: inc, Reports: []JobReport{{Job: JobID{id, 0}, Attempt: 1, Kind: ReportDone, Result: []byte(`"r"`), JSON: true}}})
	r.ok(JobStates{Worker: w, Incarnation: inc, Reports: []JobReport{{Job: JobID{id, 3}, Attempt: 1, Kind: ReportFailed, Error: "no", ExitCode: 3}}})
	v := r.m.View()
	var buf bytes.Buffer
	if _, err := v.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	m, err := Restore(bytes.NewReader(buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	if m.Hash() != r.m.Hash() || m.Index() != r.m.Index() {
		t.Fatal("another state")
	}
	// Both go on alike.
	next := NewEntry(r.now.Add(time.Hour).UnixNano(), Encode(Tick{Term: 1}), Encode(report(w, inc, id, 1, 1, ReportDone)), Encode(CancelRequest{ID: id}))
	for _, one := range []*Machine{r.m, m} {
		if _, err := one.Apply(r.index+1, 1, next); err != nil {
			t.Fatal(err)
		}
		if err := one.Check(); err != nil {
			t.Fatal(err)
		}
	}
	if m.Hash() != r.m.Hash() {
		t.Fatal("they went apart")
	}
	for n := range buf.Len() {
		torn := bytes.Clone(buf.Bytes())
		torn[n] ^= 0x40
		if _, err := Restore(bytes.NewReader(torn)); err == nil {
			t.Fatalf("a flipped bit in byte %d was believed", n)
		}
		if _, err := Restore(bytes.NewReader(buf.Bytes()[:n])); err == nil {
			t.Fatalf("a snapshot cut at byte %d was believed", n)
		}
	}
}

func TestViewStaysAsItWas(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w", 1)
	id := r.submit(SubmitRequest{Jobs: chain()})
	before := r.m.View()
	r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 1, Standing: true})
	r.ok(report(w, inc, id, 0, 1, ReportDone))
	if j, _ := before.Job(JobID{id, 0}); j.State != Ready {
		t.Fatalf("the view moved on to %s", j.State)
	}
	if q, _ := before.Request(id); q.Counts[Done] != 0 {
		t.Fatal("the view's counts moved on")
	}
	if len(before.Held(w)) != 0 {
		t.Fatal("the view's worker moved on")
	}
}

func TestLeaveHandsBackWithoutSpending(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w", 2)
	id := r.submit(SubmitRequest{Jobs: []JobEntry{{Name: "a"}, {Name: "b"}}})
	r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 2, Standing: true})
	r.ok(LeaveWorker{Worker: w, Incarnation: inc})
	for i := range uint32(2) {
		if j := r.job(id, i); j.State != Ready || j.Lost != 0 || j.Retries != 0 {
			t.Fatalf("%+v", j)
		}
	}
	r.refused(CodeStale, PickJobs{Worker: w, Incarnation: inc, Max: 1})
}

func TestTimeoutAndRetention(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w", 1)
	r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 1, Standing: true})
	spec := simpleSpec()
	spec.Timeout = time.Minute
	id := r.submit(SubmitRequest{Key: "k", Specs: []JobSpec{spec}, Jobs: []JobEntry{{Name: "a"}}})
	r.ok(report(w, inc, id, 0, 1, ReportStart))
	r.now = r.now.Add(time.Minute + timeoutGrace)
	r.ok(Tick{Term: 1})
	if j := r.job(id, 0); j.State != Failed || j.Reason != ReasonTimeout {
		t.Fatalf("%+v", j)
	}
	r.now = r.now.Add(DefaultLimits().KeepFor)
	r.ok(Tick{Term: 1})
	if _, ok := r.m.View().Request(id); ok {
		t.Fatal("kept beyond retention")
	}
	if r.m.db.keys.Len() != 0 {
		r.ok(Tick{Term: 1})
		if r.m.db.keys.Len() != 0 {
			t.Fatal("its key was kept")
		}
	}
}
