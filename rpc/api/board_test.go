package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

const oneJob = `{"jobs": [{"name": "a", "shell": "x"}]}`

// later makes a call in the background.
func (r *rig) later(ctx context.Context, path, body string) <-chan reply {
	answers := make(chan reply, 1)
	req := r.request("POST", path, body).WithContext(ctx)
	go func() {
		defer close(answers)
		resp, err := r.http.Do(req)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		var got reply
		got.Response = resp
		got.body, _ = readAll(resp)
		answers <- got
	}()
	return answers
}

func await(t *testing.T, answers <-chan reply) reply {
	t.Helper()
	select {
	case got := <-answers:
		return got
	case <-time.After(patience):
		t.Fatal("no answer")
	}
	panic("unreachable")
}

func jobsOf(t *testing.T, got reply) []rest.Assignment {
	t.Helper()
	if got.Response == nil || got.StatusCode != http.StatusOK {
		t.Fatalf("pick: %+v %s", got.Response, got.body)
	}
	return as[rest.Picked](t, got).Jobs
}

func TestPickWaitsForAJob(t *testing.T) {
	r := newRig(t)
	worker := r.join(1)
	answers := r.later(t.Context(), "/v1/board/pick", fmt.Sprintf(`{"worker": %q, "wait": "60s"}`, worker))
	r.fake.until(t, "the order", func() bool { return r.fake.picks == 1 })
	r.submit(oneJob)
	if jobs := jobsOf(t, await(t, answers)); len(jobs) != 1 || jobs[0].Attempt != 1 {
		t.Errorf("picked %+v", jobs)
	}
	// Nothing is left standing: what is submitted now waits for the next pick.
	r.submit(oneJob)
	if list := as[rest.Jobs](t, r.call(200, "GET", "/v1/jobs?state=ready", "")); len(list.Jobs) != 1 {
		t.Errorf("granted without a call that waits for it")
	}
}

func TestPickEndsEmpty(t *testing.T) {
	r := newRig(t)
	worker := r.join(1)
	for _, wait := range []string{"0s", "1ms"} {
		if jobs := r.pick(`{"worker": %q, "wait": %q}`, worker, wait); len(jobs) != 0 {
			t.Errorf("picked %+v", jobs)
		}
	}
}

func TestPickBeatsWhileItWaits(t *testing.T) {
	r := newRig(t)
	worker := r.join(1)
	r.fake.set(func() { r.fake.ttl = 10 * time.Millisecond })
	answers := r.later(t.Context(), "/v1/board/pick", fmt.Sprintf(`{"worker": %q, "wait": "60s"}`, worker))
	r.fake.until(t, "beats", func() bool { return len(r.fake.beats) > 5 })
	r.submit(oneJob)
	await(t, answers)
}

func TestPickOfAWorkerThatHasGone(t *testing.T) {
	r := newRig(t)
	worker := r.join(1)
	r.submit(oneJob)
	job := r.pick(`{"worker": %q}`, worker)[0]
	id, _ := fsm.ParseWorkerID(worker)
	if _, err := r.fake.Propose(t.Context(), &fsm.ReassignWorker{Worker: id, Incarnation: 1, Term: 3, Cause: "no beat"}); err != nil {
		t.Fatal(err)
	}
	r.fails(409, rest.CodeStale, "POST", "/v1/board/pick", fmt.Sprintf(`{"worker": %q}`, worker))
	r.fails(409, rest.CodeStale, "POST", "/v1/board/alive", fmt.Sprintf(`{"worker": %q}`, worker))
	r.fails(409, rest.CodeStale, "POST", "/v1/jobs/"+job.ID+"/state", fmt.Sprintf(`{"worker": %q, "attempt": 1, "state": "DONE"}`, worker))
	// A worker that has long been forgotten is no reason for another answer.
	r.fails(409, rest.CodeStale, "POST", "/v1/jobs/"+job.ID+"/state", `{"worker": "w0000000099", "attempt": 1, "state": "DONE"}`)
	other := r.join(1)
	if again := r.pick(`{"worker": %q}`, other); len(again) != 1 || again[0].Attempt != 2 {
		t.Fatalf("picked %+v", again)
	}
	r.fails(409, rest.CodeStale, "POST", "/v1/jobs/"+job.ID+"/state", fmt.Sprintf(`{"worker": %q, "attempt": 1, "state": "DONE"}`, other))
	r.report(200, job.ID, `{"worker": %q, "attempt": 2, "state": "DONE"}`, other)
}

// TestADeposedLeaderRefusesNothing: a leader that was deposed and does not know it yet has an old state. That something is
// not in it is no reason to tell a worker so, nor that something is, to hand it out again.
func TestADeposedLeaderRefusesNothing(t *testing.T) {
	r := newRig(t)
	worker := r.join(2)
	r.submit(chain)
	job := r.pick(`{"worker": %q}`, worker)[0]
	lost := r.join(1)
	id, _ := fsm.ParseWorkerID(lost)
	if _, err := r.fake.Propose(t.Context(), &fsm.ReassignWorker{Worker: id, Incarnation: 1, Term: 3, Cause: "no beat"}); err != nil {
		t.Fatal(err)
	}
	r.fake.set(func() { r.fake.failWith = &cluster.NotLeaderError{} })
	for _, c := range []struct{ path, body string }{
		{"/v1/board/alive", `{"worker": "w0000000099"}`},
		{"/v1/board/alive", fmt.Sprintf(`{"worker": %q}`, lost)},
		{"/v1/board/pick", `{"worker": "w0000000099"}`},
		{"/v1/board/pick", fmt.Sprintf(`{"worker": %q, "running": []}`, worker)},
		{"/v1/jobs/j0000000099-00000/state", fmt.Sprintf(`{"worker": %q, "attempt": 1, "state": "DONE"}`, worker)},
		{"/v1/jobs/" + job.ID + "/state", `{"worker": "w0000000099", "attempt": 1, "state": "DONE"}`},
		{"/v1/jobs/" + job.ID + "/state", fmt.Sprintf(`{"worker": %q, "attempt": 2, "progress": 50}`, worker)},
		{"/v1/workers/w0000000099/drain", ""},
		{"/v1/sessions/s0000000099/close", ""},
	} {
		r.fails(503, rest.CodeNoLeader, "POST", c.path, c.body)
	}
}

// TestLostAnswer: a worker that says what it runs is given again what it never got to know of.
func TestLostAnswer(t *testing.T) {
	r := newRig(t)
	worker := r.join(4)
	r.submit(chain)
	lost := r.pick(`{"worker": %q}`, worker)
	if again := r.pick(`{"worker": %q, "running": []}`, worker); len(again) != 1 || again[0].ID != lost[0].ID || again[0].Attempt != 1 {
		t.Errorf("picked %+v, want %+v again", again, lost)
	}
	if fresh := r.pick(`{"worker": %q, "running": [{"id": %q, "attempt": 1}]}`, worker, lost[0].ID); len(fresh) != 0 {
		t.Errorf("picked %+v, which it runs", fresh)
	}
	if fresh := r.pick(`{"worker": %q}`, worker); len(fresh) != 0 {
		t.Errorf("picked %+v without saying that it lost it", fresh)
	}
}

func TestPickThatIsGivenUp(t *testing.T) {
	r := newRig(t)
	worker := r.join(1)
	ctx, cancel := context.WithCancel(t.Context())
	answers := r.later(ctx, "/v1/board/pick", fmt.Sprintf(`{"worker": %q, "wait": "60s"}`, worker))
	r.fake.until(t, "the order", func() bool { return r.fake.picks == 1 })
	cancel()
	await(t, answers)
	// The next pick waits for the end of the one before, whoever is first.
	if jobs := r.pick(`{"worker": %q}`, worker); len(jobs) != 0 {
		t.Errorf("picked %+v", jobs)
	}
	r.submit(oneJob)
	if list := as[rest.Jobs](t, r.call(200, "GET", "/v1/jobs?state=ready", "")); len(list.Jobs) != 1 {
		t.Errorf("granted to a call that was given up")
	}
}

func TestGrantOfAGivenUpPickGoesBack(t *testing.T) {
	r := newRig(t)
	worker := r.join(1)
	id, _ := fsm.ParseWorkerID(worker)
	v, _, _ := r.fake.Read(t.Context(), cluster.Stale)
	info, _ := v.Worker(id)
	p := &picking{s: r.server, worker: info, max: 1}
	if _, err := p.order(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r.submit(oneJob) // is granted at once
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, grants, err := p.end(gone); err != nil || len(grants) != 0 {
		t.Fatalf("end: %v %v", grants, err)
	}
	if jobs := r.pick(`{"worker": %q}`, worker); len(jobs) != 1 {
		t.Errorf("picked %+v", jobs)
	}
}

func TestNewerPickEndsTheOlder(t *testing.T) {
	r := newRig(t)
	worker := r.join(1)
	body := fmt.Sprintf(`{"worker": %q, "wait": "60s"}`, worker)
	first := r.later(t.Context(), "/v1/board/pick", body)
	r.fake.until(t, "the first order", func() bool { return r.fake.picks == 1 })
	second := r.later(t.Context(), "/v1/board/pick", body)
	if jobs := jobsOf(t, await(t, first)); len(jobs) != 0 {
		t.Errorf("the first got %+v", jobs)
	}
	r.fake.until(t, "the second order", func() bool { return r.fake.picks == 2 })
	r.submit(oneJob)
	if jobs := jobsOf(t, await(t, second)); len(jobs) != 1 {
		t.Errorf("the second got %+v", jobs)
	}
}

func TestStopEndsWaitingCalls(t *testing.T) {
	fake := newFake()
	s := New(fake, Config{})
	r := &rig{t: t, fake: fake, server: s, http: &http.Client{}}
	t.Cleanup(r.http.CloseIdleConnections)
	ctx, stop := context.WithCancel(t.Context())
	tcp, second := listener(t), listener(t)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, second, tcp) }()
	r.base = "http://" + tcp.Addr().String()
	got := r.raw("POST", "/v1/workers", `{"name": "w"}`)
	worker := as[rest.WorkerJoined](t, got).ID
	answers := r.later(t.Context(), "/v1/board/pick", fmt.Sprintf(`{"worker": %q, "wait": "60s"}`, worker))
	fake.until(t, "the order", func() bool { return fake.picks == 1 })
	second.Close() // ends itself alone
	events, err := r.http.Get(r.base + "/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	stop()
	if jobs := jobsOf(t, await(t, answers)); len(jobs) != 0 {
		t.Errorf("picked %+v", jobs)
	}
	if _, err := readAll(events); err != nil {
		t.Errorf("event stream: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestReportRepeats(t *testing.T) {
	j := fsm.JobInfo{Worker: 1, Attempt: 2, State: fsm.Failed, Reason: fsm.ReasonError}
	say := func(kind fsm.ReportKind, attempt uint32) fsm.JobReport {
		return fsm.JobReport{Kind: kind, Attempt: attempt}
	}
	got := []bool{
		repeats(j, 1, say(fsm.ReportFailed, 2)), repeats(j, 1, say(fsm.ReportFailed, 1)), repeats(j, 2, say(fsm.ReportFailed, 2)),
		repeats(j, 1, say(fsm.ReportDone, 2)), repeats(j, 1, say(fsm.ReportStart, 2)), repeats(j, 1, say(fsm.ReportReturn, 2)),
	}
	if want := []bool{true, false, false, false, false, false}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
