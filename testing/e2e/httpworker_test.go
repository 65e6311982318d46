package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

// plain is a worker in any language: nothing but HTTP calls.
type plain struct {
	t   *testing.T
	c   *harness.Cluster
	id  string
	ttl time.Duration
}

// assignment is a job that a plain worker was given.
type assignment struct {
	ID      string                     `json:"id"`
	Attempt int                        `json:"attempt"`
	Name    string                     `json:"name"`
	Spec    struct{ Handler string }   `json:"spec"`
	Payload json.RawMessage            `json:"payload"`
	Parents map[string]json.RawMessage `json:"parents"`
}

type attempt struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt"`
}

// join registers a plain worker.
func join(t *testing.T, c *harness.Cluster, doc object) *plain {
	t.Helper()
	a := c.Call("POST", "/v1/workers", harness.Spec(t, doc))
	var joined struct{ ID, TTL string }
	if err := a.Decode(&joined); err != nil || a.Status/100 != 2 {
		t.Fatalf("join: %v", a)
	}
	ttl, err := time.ParseDuration(joined.TTL)
	if err != nil || ttl <= 0 || joined.ID == "" {
		t.Fatalf("join: %v", a)
	}
	return &plain{t, c, joined.ID, ttl}
}

// pick asks for jobs until it has n.
func (w *plain) pick(n int) []assignment {
	w.t.Helper()
	var got []assignment
	harness.Until(w.t, harness.BoundDefault, fmt.Sprintf("%d jobs for a worker over HTTP", n), func() error {
		got = append(got, w.pickOnce(n-len(got), "2s")...)
		if len(got) < n {
			return fmt.Errorf("got %+v", got)
		}
		return nil
	})
	return got
}

func (w *plain) pickOnce(n int, wait string) []assignment {
	w.t.Helper()
	a := w.c.Call("POST", "/v1/board/pick", harness.Spec(w.t, object{"worker": w.id, "max": n, "wait": wait}))
	var page struct{ Jobs []assignment }
	if err := a.Decode(&page); err != nil || a.Status != http.StatusOK {
		w.t.Fatalf("pick: %v", a)
	}
	return page.Jobs
}

// alive beats and returns what the worker is told to stop.
func (w *plain) alive(running ...attempt) []attempt {
	w.t.Helper()
	a := w.c.Call("POST", "/v1/board/alive", harness.Spec(w.t, object{"worker": w.id, "running": running}))
	var answer struct{ Stop []attempt }
	if err := a.Decode(&answer); err != nil || a.Status != http.StatusOK {
		w.t.Fatalf("alive: %v", a)
	}
	return answer.Stop
}

// report says something of an attempt and returns the answer's status.
func (w *plain) report(j assignment, doc object) int {
	w.t.Helper()
	doc["worker"] = w.id
	if _, has := doc["attempt"]; !has {
		doc["attempt"] = j.Attempt
	}
	return w.c.Call("POST", "/v1/jobs/"+j.ID+"/state", harness.Spec(w.t, doc)).Status
}

func (w *plain) mustReport(j assignment, doc object) {
	w.t.Helper()
	if got := w.report(j, doc); got != http.StatusOK {
		w.t.Fatalf("report %v: %d", doc, got)
	}
}

// TestWorkerInAnyLanguage drives two jobs of a request to done over HTTP alone: the first waits in a long poll before
// there is anything to pick; the second gets the first one's result.
func TestWorkerInAnyLanguage(t *testing.T) {
	c := start(t, harness.Options{Workers: -1})
	w := join(t, c, object{"name": "py", "queues": []string{"py"}, "labels": object{"lang": "python"}, "slots": 2})

	picked := make(chan []assignment, 1)
	go func() {
		a, err := c.Leader().Do("POST", "/v1/board/pick", fmt.Sprintf(`{"worker": %q, "max": 1, "wait": "30s"}`, w.id))
		var page struct{ Jobs []assignment }
		if err == nil {
			err = a.Decode(&page)
		}
		if err != nil {
			t.Errorf("long poll: %v", err)
		}
		picked <- page.Jobs
	}()
	r := c.Submit(request(t,
		object{"name": "resize", "handler": "resize", "payload": object{"width": 640}, "queue": "py", "labels": object{"lang": "python"}},
		object{"name": "publish", "handler": "publish", "needs": []string{"resize"}, "queue": "py"},
	))
	jobs := <-picked
	if len(jobs) != 1 {
		t.Fatalf("the long poll answered %+v", jobs)
	}
	j := jobs[0]
	if j.Name != "resize" || j.Attempt != 1 || j.Spec.Handler != "resize" || string(j.Payload) != `{"width":640}` {
		t.Errorf("picked %+v", j)
	}
	if stop := w.alive(attempt{j.ID, j.Attempt}); len(stop) != 0 {
		t.Errorf("told to stop %v", stop)
	}
	w.mustReport(j, object{"state": "START"})
	w.mustReport(j, object{"progress": 30})
	c.WaitJob(r.ID, "resize", "running at 30 %", func(j harness.Job) bool { return j.State == "running" && j.Progress == 30 })
	if got := w.report(j, object{"state": "DONE", "attempt": 2}); got != http.StatusConflict {
		t.Errorf("a report of an attempt to come: %d, want 409", got)
	}
	w.mustReport(j, object{"state": "DONE", "result": object{"bytes": 4096}})
	if got := w.report(j, object{"state": "FAILED", "error": "second thoughts"}); got != http.StatusConflict {
		t.Errorf("FAILED after DONE: %d, want 409", got)
	}

	next := w.pick(1)[0]
	if next.Name != "publish" || string(next.Parents["resize"]) != `{"bytes":4096}` {
		t.Errorf("picked %+v", next)
	}
	w.mustReport(next, object{"state": "START"})
	w.mustReport(next, object{"state": "DONE"})
	c.WaitRequest(r.ID, "done")
	for _, j := range c.Jobs(r.ID) {
		checkHistory(t, j, c.History(j.ID))
	}
}

// TestPlainWorkerIsToldToStop: the beat's answer names what is no longer the worker's own, and retry: false ends a job
// that would be retried.
func TestPlainWorkerIsToldToStop(t *testing.T) {
	c := start(t, harness.Options{Workers: -1})
	w := join(t, c, object{"name": "py", "queues": []string{"py"}, "slots": 2})
	r := c.Submit(request(t, object{"name": "a", "handler": "x", "queue": "py"}))
	j := w.pick(1)[0]
	w.mustReport(j, object{"state": "START"})
	if a := c.Call("POST", "/v1/requests/"+r.ID+"/cancel", ""); a.Status/100 != 2 {
		t.Fatalf("cancel: %v", a)
	}
	own := attempt{j.ID, j.Attempt}
	if stop := w.alive(own); !slices.Contains(stop, own) {
		t.Errorf("after a cancel told to stop %v, want %v", stop, own)
	}
	if got := w.report(j, object{"state": "DONE"}); got != http.StatusConflict {
		t.Errorf("DONE after a cancel: %d, want 409", got)
	}
	if got := c.WaitRequest(r.ID, "cancelled"); got.Counts["cancelled"] != 1 {
		t.Errorf("counts %v", got.Counts)
	}

	r = c.Submit(request(t, object{"name": "a", "handler": "x", "queue": "py", "retry": object{"limit": 3}}))
	j = w.pick(1)[0]
	w.mustReport(j, object{"state": "START"})
	w.mustReport(j, object{"state": "FAILED", "error": "no such picture", "retry": false})
	c.WaitRequest(r.ID, "failed")
	if got := c.Job(j.ID); got.Attempt != 1 || got.Error != "no such picture" {
		t.Errorf("attempt %d, error %q", got.Attempt, got.Error)
	}
}

// TestSilentWorkerIsLost: a worker that stops beating loses its job to another as attempt 2, and its late word of
// attempt 1 is refused.
func TestSilentWorkerIsLost(t *testing.T) {
	c := start(t, harness.Options{Workers: -1})
	silent := join(t, c, object{"name": "silent", "queues": []string{"py"}, "slots": 1})
	r := c.Submit(request(t, object{"name": "a", "handler": "x", "queue": "py"}))
	j := silent.pick(1)[0]
	silent.mustReport(j, object{"state": "START"})

	other := join(t, c, object{"name": "other", "queues": []string{"py"}, "slots": 1})
	again := other.pick(1)[0]
	if again.ID != j.ID || again.Attempt != 2 {
		t.Errorf("the other worker got %+v", again)
	}
	if got := silent.report(j, object{"state": "DONE"}); got != http.StatusConflict {
		t.Errorf("late DONE: %d, want 409", got)
	}
	other.mustReport(again, object{"state": "START"})
	other.mustReport(again, object{"state": "DONE"})
	c.WaitRequest(r.ID, "done")
	if got := c.Job(j.ID); got.Lost != 1 || got.WorkerName != "other" {
		t.Errorf("lost %d, on %s", got.Lost, got.WorkerName)
	}
}
