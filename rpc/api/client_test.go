package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/rpc/rest"
)

func (r *rig) client(addrs ...string) *rest.Client {
	r.t.Helper()
	if addrs == nil {
		addrs = []string{r.address()}
	}
	c, err := rest.NewClient(addrs, "")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	return c
}

// TestClientSpeaksEveryCall drives the client against the server: what it sends is taken, what it gets is read.
func TestClientSpeaksEveryCall(t *testing.T) {
	r := newRig(t)
	c := r.client()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.OpenSession(ctx, "reports")
	must(err)
	sub, err := c.Submit(ctx, rest.RequestSpec{Session: "reports", Jobs: []rest.JobSpec{
		{Name: "a", Work: rest.Work{Shell: "x", StartAfter: rest.StartAfter{}, Timeout: rest.Duration(time.Minute)}},
		{Name: "b", Work: rest.Work{Command: []string{"x"}}, Needs: []rest.Need{{Job: "a"}}},
	}}, "key")
	must(err)
	w, err := c.JoinWorker(ctx, rest.WorkerJoin{Name: "w", Slots: 3, Queues: []string{"default"}, Labels: map[string]string{"gpu": "1"}})
	must(err)
	picked, err := c.Pick(ctx, rest.Pick{Worker: w.ID, Max: 3, Wait: rest.Duration(time.Second)})
	must(err)
	if len(picked.Jobs) != 1 || picked.Jobs[0].Spec.Timeout != rest.Duration(time.Minute) {
		t.Fatalf("picked %+v", picked)
	}
	a := picked.Jobs[0].ID
	_, err = c.Alive(ctx, rest.Alive{Worker: w.ID, Running: []rest.Attempt{{ID: a, Attempt: 1}}})
	must(err)
	percent := uint8(10)
	_, err = c.Report(ctx, a, rest.Report{Worker: w.ID, Attempt: 1, State: rest.ReportStart, Progress: &percent})
	must(err)
	_, err = c.Report(ctx, a, rest.Report{Worker: w.ID, Attempt: 1, State: rest.ReportDone, Result: rest.Raw(`[1]`)})
	must(err)
	job, err := c.Job(ctx, a)
	must(err)
	if b, err := job.ResultBytes(); err != nil || string(b) != "[1]" {
		t.Errorf("result %q %v", b, err)
	}
	_, err = c.JobHistory(ctx, a)
	must(err)
	jobs, err := c.Jobs(ctx, rest.JobQuery{Request: sub.ID, State: "done"})
	must(err)
	all, err := c.Jobs(ctx, rest.JobQuery{Page: rest.Page{Limit: 1}})
	must(err)
	if len(jobs.Jobs) != 1 || len(all.Jobs) != 1 || all.Next == "" {
		t.Errorf("jobs: %+v, %+v", jobs, all)
	}
	_, err = c.Graph(ctx, sub.ID, rest.Page{})
	must(err)
	r.fake.set(func() { r.fake.logs[a+"/1/1"] = []byte("hello world") })
	log, err := c.JobLogs(ctx, a, rest.LogQuery{Follow: true, Offset: 6})
	must(err)
	if b, err := io.ReadAll(log); err != nil || string(b) != "world" {
		t.Errorf("logs: %q %v", b, err)
	}
	log.Close()
	_, err = c.CancelRequest(ctx, sub.ID)
	must(err)
	re, err := c.RetryRequest(ctx, sub.ID)
	must(err)
	if re.Revived != 1 {
		t.Errorf("retried: %+v", re)
	}
	list, err := c.Requests(ctx, rest.RequestQuery{Session: s.ID, State: "running", Page: rest.Page{Limit: 3}})
	must(err)
	if len(list.Requests) != 1 {
		t.Errorf("requests: %+v", list)
	}
	_, err = c.Session(ctx, "reports")
	must(err)
	_, err = c.Sessions(ctx, rest.Page{})
	must(err)
	_, err = c.CloseSession(ctx, s.ID)
	must(err)
	_, err = c.DrainWorker(ctx, w.ID)
	must(err)
	_, err = c.UndrainWorker(ctx, w.ID)
	must(err)
	_, err = c.Workers(ctx, rest.Page{})
	must(err)
	st, err := c.Status(ctx)
	must(err)
	stale, err := c.StaleStatus(ctx)
	must(err)
	if !st.Fresh || stale.Fresh {
		t.Errorf("status: %+v, stale %+v", st, stale)
	}
	_, err = c.RaftServers(ctx)
	must(err)
	must(c.TransferLeadership(ctx, ""))
	must(c.RemoveServer(ctx, "n2"))
	var p *rest.Problem
	if _, err := c.Request(ctx, "r0000000099"); !errors.As(err, &p) || p.Code != rest.CodeNotFound || p.Status != 404 {
		t.Errorf("an unknown request: %v", err)
	}
}

// TestWaitRequest waits for a request while the coordinators it could ask come and go.
func TestWaitRequest(t *testing.T) {
	r := newRig(t)
	dead := listener(t)
	dead.Close()
	// A second coordinator of the same cluster, which goes away in the middle.
	doomed := New(r.fake, Config{})
	l := listener(t)
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	ended := make(chan error, 1)
	go func() { ended <- doomed.Serve(ctx, l) }()

	c := r.client(dead.Addr().String(), l.Addr().String(), r.address())
	sub := r.submit(chain)
	worker := r.join(1)
	waitCtx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	events := make(chan rest.Event, 100) // more than there will be
	var got rest.Request
	var err error
	go func() {
		defer close(events)
		got, err = c.WaitRequest(waitCtx, sub.ID, func(e rest.Event) { events <- e })
	}()
	step := func() {
		for _, j := range r.pick(`{"worker": %q}`, worker) {
			r.report(200, j.ID, `{"worker": %q, "attempt": 1, "state": "START"}`, worker)
			r.report(200, j.ID, `{"worker": %q, "attempt": 1, "state": "DONE"}`, worker)
		}
	}
	r.fake.until(t, "the watch", func() bool { return r.fake.watches > 0 })
	step()
	var states []string
	for e := range events {
		states = append(states, fmt.Sprintf("%s %s", e.JobName, e.State))
		if e.Type != rest.EventJob || e.State != "done" {
			continue
		}
		if e.JobName == "a" {
			kill()
			<-ended
		}
		step()
	}
	if err != nil || got.State != "done" {
		t.Fatalf("%+v %v", got, err)
	}
	for _, want := range []string{"a done", "b running", "b done", "c done", " done"} {
		if n := len(slices.DeleteFunc(slices.Clone(states), func(s string) bool { return s != want })); n != 1 {
			t.Errorf("%q was seen %d times in %q", want, n, states)
		}
	}
}

func TestUnreachable(t *testing.T) {
	r := newRig(t)
	r.fake.set(func() { r.fake.leading, r.fake.leader = false, nil })
	dead := listener(t)
	dead.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if calls++; calls == 3 {
			cancel()
		}
		r.server.ServeHTTP(w, req)
	}))
	defer srv.Close()
	c := r.client(dead.Addr().String(), srv.URL)
	_, err := c.Submit(ctx, rest.RequestSpec{Jobs: []rest.JobSpec{{Name: "a", Work: rest.Work{Shell: "x"}}}}, "")
	var (
		u *rest.UnreachableError
		p *rest.Problem
		d *net.OpError
	)
	if !errors.Is(err, rest.ErrUnreachable) || !errors.Is(err, context.Canceled) || !errors.As(err, &u) || len(u.Tried) != 2 ||
		!errors.As(err, &p) || p.Code != rest.CodeNoLeader || !errors.As(err, &d) {
		t.Errorf("got %v", err)
	}
}
