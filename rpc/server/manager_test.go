package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

// job is a client.Job that runs true.
func job(name string, needs ...string) client.Job {
	return client.Job{Name: name, Command: []string{"true"}, Needs: needs}
}

func submit(t *testing.T, c *client.Client, jobs ...client.Job) wire.Submitted {
	t.Helper()
	s, err := c.Submit(within(t, time.Minute), client.Request{Name: "request", Session: "session", Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestARequestsWholeWay(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(10)
		defer c.Close()
		defer w.end()
		first := job("first")
		first.Payload, first.Env, first.Dir, first.Timeout = map[string]int{"n": 1}, map[string]string{"K": "v"}, "/tmp", time.Minute
		s := submit(t, c, first, job("second", "first"))

		ended := make(chan wire.RequestInfo, 1)
		go func() {
			info, err := c.Wait(background, s.ID)
			if err != nil {
				t.Error(err)
			}
			ended <- info
		}()
		granted := w.take()
		want := []wire.Assignment{{
			Job: wire.JobID{Request: s.ID}, Attempt: 1, Name: "first", ArrayIndex: -1, Payload: []byte(`{"n":1}`),
			Request: &wire.RequestRef{Name: "request", Session: s.Session, SessionName: "session"},
			Spec:    &wire.RunSpec{Kind: wire.WorkCommand, Args: []string{"true"}, Env: []wire.Pair{{Key: "K", Value: "v"}}, Dir: "/tmp", Timeout: time.Minute, Slots: 1},
		}}
		if diff := cmp.Diff(want, granted); diff != "" {
			t.Fatalf("want -, granted +:\n%s", diff)
		}
		w.report(wire.ReportStart, nil, granted...)
		if !w.link.Progress([]wire.ProgressItem{{Job: granted[0].Job, Attempt: 1, Percent: 50, Text: "half"}}) {
			t.Error("progress was dropped")
		}
		synctest.Wait()
		r.do(func() {
			if diff := cmp.Diff([]fsm.ProgressItem{{Job: fsmJobID(granted[0].Job), Attempt: 1, Percent: 50, Text: "half"}}, r.progress); diff != "" {
				t.Error(diff)
			}
		})
		if codes := w.report(wire.ReportDone, []byte(`"result"`), granted...); !slices.Equal(codes, []wire.Code{wire.CodeOK}) {
			t.Errorf("codes %v", codes)
		}
		granted = w.take()
		if len(granted) != 1 || granted[0].Name != "second" {
			t.Fatalf("granted %+v", granted)
		}
		if diff := cmp.Diff([]wire.Parent{{Job: 0, Name: "first", Result: []byte(`"result"`), JSON: true}}, granted[0].Parents); diff != "" {
			t.Errorf("parents: %s", diff)
		}
		select {
		case <-ended:
			t.Error("it has not ended")
		default:
		}
		w.report(wire.ReportStart, nil, granted...)
		w.report(wire.ReportDone, nil, granted...)
		if info := <-ended; info.State != wire.Done || info.Jobs != 2 || info.Counts[wire.Done] != 2 || info.SessionName != "session" || info.Ended.IsZero() {
			t.Errorf("ended as %+v", info)
		}
		info, err := c.Job(within(t, time.Second), wire.JobID{Request: s.ID, Index: 1})
		if err != nil || info.Name != "second" || info.State != wire.Done || info.Attempt != 1 || info.WorkerName != "w" || info.Times.Ended.IsZero() {
			t.Errorf("%+v, %v", info, err)
		}
	})
}

func TestARequestIsHeldAndPaused(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(1)
		defer c.Close()
		defer w.end()
		ctx := within(t, time.Minute)
		s, err := c.Submit(ctx, client.Request{Hold: true, Jobs: []client.Job{job("a")}})
		if err != nil {
			t.Fatal(err)
		}
		for _, pause := range []bool{false, true} {
			if pause {
				if s, err = c.Submit(ctx, client.Request{Jobs: []client.Job{job("first"), job("a", "first")}}); err != nil {
					t.Fatal(err)
				}
				first := w.take()
				if err := c.Pause(ctx, s.ID); err != nil {
					t.Fatal(err)
				}
				w.report(wire.ReportDone, nil, first...)
			}
			synctest.Wait()
			if j, err := c.Job(ctx, wire.JobID{Request: s.ID, Index: s.Jobs - 1}); err != nil || j.State != wire.Ready {
				t.Errorf("kept from workers it is %s, %v", j.State, err)
			}
			if err := c.Resume(ctx, s.ID); err != nil {
				t.Fatal(err)
			}
			w.report(wire.ReportDone, nil, w.take()...)
			if info, err := c.Wait(ctx, s.ID); err != nil || info.State != wire.Done {
				t.Errorf("%+v, %v", info, err)
			}
		}
	})
}

func TestAFailedRequestIsCancelledAndRetried(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(1)
		defer c.Close()
		defer w.end()
		ctx := within(t, time.Minute)
		s := submit(t, c, job("a"), job("b", "a"))
		a := w.take()
		w.report(wire.ReportFailed, nil, a...)
		info, err := c.Wait(ctx, s.ID)
		if err != nil || info.State != wire.Failed || info.Counts[wire.Cancelled] != 1 {
			t.Errorf("%+v, %v", info, err)
		}
		if codes := w.report(wire.ReportDone, nil, a...); !slices.Equal(codes, []wire.Code{wire.CodeStale}) {
			t.Errorf("DONE after FAILED: %v", codes)
		}
		if n, err := c.Retry(ctx, s.ID); err != nil || n != 2 {
			t.Errorf("%d jobs revived, %v", n, err)
		}
		again := w.take()
		if len(again) != 1 || again[0].Attempt != 2 {
			t.Fatalf("granted %+v", again)
		}
		if err := c.Cancel(ctx, s.ID); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if want := []wire.Attempt{{Job: again[0].Job, Attempt: 2}}; !slices.Equal(w.stopped, want) {
			t.Errorf("stopped %v", w.stopped)
		}
		if _, err := c.Retry(ctx, s.ID+1); !errors.Is(err, wire.ErrNotFound) {
			t.Errorf("retry of no request: %v", err)
		}
		if _, err := c.Wait(ctx, s.ID+1); !errors.Is(err, wire.ErrNotFound) {
			t.Errorf("wait for no request: %v", err)
		}
	})
}

func TestSessionsAndDrain(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(1)
		defer c.Close()
		defer w.end()
		ctx := within(t, time.Minute)
		one, err := c.OpenSession(ctx, "s")
		two, err2 := c.OpenSession(ctx, "s")
		if err != nil || err2 != nil || !one.Created || two.Created || one.ID != two.ID {
			t.Errorf("%+v, %v; %+v, %v", one, err, two, err2)
		}
		if err := c.CloseSession(ctx, one.ID); err != nil {
			t.Error(err)
		}
		if _, err := c.Submit(ctx, client.Request{Session: "s", Jobs: []client.Job{job("a")}}); !errors.Is(err, wire.ErrConflict) {
			t.Errorf("submit to a closed session: %v", err)
		}
		j, _ := w.link.Joined()
		if err := c.Drain(ctx, j.ID, false); err != nil {
			t.Error(err)
		}
		submit(t, c, job("a"))
		if got := w.take(); len(got) != 0 {
			t.Errorf("granted to a draining worker: %+v", got)
		}
		if err := c.Drain(ctx, j.ID, true); err != nil {
			t.Error(err)
		}
		if got := w.take(); len(got) != 1 {
			t.Errorf("granted %+v after the drain was undone", got)
		}
		st, err := c.Status(ctx)
		if err != nil || st.Cluster != "test" || !st.Leader.Self || len(st.Servers) != 3 {
			t.Errorf("%+v, %v", st, err)
		}
	})
}

func TestTheSameKeyAnswersTheSameRequest(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c := r.client()
		defer c.Close()
		ctx := within(t, time.Minute)
		req := client.Request{Name: "n", IdempotencyKey: "k", Jobs: []client.Job{job("a")}}
		one, err := c.Submit(ctx, req)
		if err != nil || one.Repeat {
			t.Fatalf("%+v, %v", one, err)
		}
		r.kill("a:1")
		r.elect("b:1")
		two, err := c.Submit(ctx, req)
		if err != nil || !two.Repeat || two.ID != one.ID {
			t.Errorf("%+v, %v", two, err)
		}
		req.Name = "another"
		if _, err := c.Submit(ctx, req); !errors.Is(err, wire.ErrConflict) {
			t.Errorf("another body: %v", err)
		}
	})
}

func TestJobsComeInPages(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c := r.client()
		defer c.Close()
		var jobs []client.Job
		for i := range 50 {
			j := job(fmt.Sprintf("j%d", i))
			j.Payload = strings.Repeat("x", 100<<10) // ten to a page
			jobs = append(jobs, j)
		}
		s := submit(t, c, jobs...)
		for _, limit := range []uint32{0, 3} {
			q, pages, n := wire.ListJobs{Request: s.ID, Limit: limit}, 0, 0
			for more := true; more; pages++ {
				page, err := c.Jobs(within(t, time.Minute), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, j := range page.Jobs {
					if j.ID.Index != uint32(n) || j.Name != jobs[n].Name {
						t.Fatalf("job %d is %s", n, j.Name)
					}
					n++
				}
				q.Skip, more = page.Next, page.More
			}
			if n != 50 || limit == 0 && pages > 7 || limit == 3 && pages != 17 {
				t.Errorf("%d jobs in %d pages", n, pages)
			}
		}
		page, err := c.Jobs(within(t, time.Minute), wire.ListJobs{Request: s.ID, HasState: true, State: wire.Done})
		if err != nil || len(page.Jobs) != 0 || page.More {
			t.Errorf("done: %d jobs, %v", len(page.Jobs), err)
		}
	})
}

func TestWorkAndWaitsGoOnOverElections(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(1)
		defer c.Close()
		defer w.end()
		s := submit(t, c, job("a"), job("b", "a"), job("c", "b"))
		ended := make(chan wire.RequestInfo, 1)
		go func() {
			info, err := c.Wait(background, s.ID)
			if err != nil {
				t.Error(err)
			}
			ended <- info
		}()
		for _, next := range []string{"b:1", "c:1", "a:1"} {
			a := w.take()
			if len(a) == 0 {
				t.Fatal("nothing granted")
			}
			r.kill(r.leader)
			r.elect("")
			time.Sleep(300 * time.Millisecond)
			r.start(next)
			r.elect(next)
			w.report(wire.ReportStart, nil, a[0])
			w.report(wire.ReportDone, nil, a[0])
		}
		if info := <-ended; info.State != wire.Done {
			t.Errorf("ended as %+v", info)
		}
	})
}

func TestWaitIsAnsweredInTimeWithoutAnEnd(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c := r.client()
		defer c.Close()
		s := submit(t, c, job("a"))
		raw := r.raw("a:1")
		defer raw.end()
		began := time.Now()
		var info wire.RequestInfo
		err := raw.Call(background, wire.MethodWait, &wire.Wait{ID: s.ID, Max: 7 * time.Second}, &info)
		if d := time.Since(began); err != nil || info.State != wire.Running || d != 7*time.Second {
			t.Errorf("after %s: %s, %v", d, info.State, err)
		}
		began = time.Now()
		err = raw.Call(background, wire.MethodWait, &wire.Wait{ID: s.ID, Max: 1 << 62}, &info)
		if d := time.Since(began); err != nil || d != waitMax {
			t.Errorf("after %s: %v", d, err)
		}
	})
}

func TestManyWaitForOneEnd(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(1)
		defer c.Close()
		defer w.end()
		s := submit(t, c, job("a"))
		ended := make(chan error, 100)
		for range 100 {
			go func() {
				info, err := c.Wait(background, s.ID)
				if err == nil && info.State != wire.Done {
					err = fmt.Errorf("state %s", info.State)
				}
				ended <- err
			}()
		}
		w.report(wire.ReportDone, nil, w.take()...)
		for range 100 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if ends := &r.servers["a:1"].ends; ends.waiting != 0 || len(ends.news) != 0 {
			t.Errorf("%d still wait for %d", ends.waiting, len(ends.news))
		}
	})
}
