package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// TestSeedDiagram walks the seed's sequence diagram, message by message: A runs and reports half its progress; its
// DONE releases B; B runs and reports FAILED, which cancels C that depends on it and D that depends on C. E, which
// depends on none of them, is not touched.
func TestSeedDiagram(t *testing.T) {
	c := start(t, harness.Options{})
	gate := harness.NewGate(t)
	r := c.Submit(request(t,
		object{"name": "A", "shell": "echo 50% half >> $MUSTER_PROGRESS; " + gate.Wait()},
		object{"name": "B", "needs": []string{"A"}, "shell": "echo no ink > $MUSTER_ERROR; exit 9"},
		object{"name": "C", "needs": []string{"B"}, "shell": "true"},
		object{"name": "D", "needs": []string{"C", "A"}, "shell": "true"},
		object{"name": "E", "shell": "true"},
	))
	events := watch(t, c, r.ID)

	c.WaitJob(r.ID, "A", "running at 50 %", func(j harness.Job) bool {
		return j.State == "running" && j.Progress == 50 && j.ProgressText == "half"
	})
	for _, name := range []string{"B", "C", "D"} {
		if j := c.JobNamed(r.ID, name); j.State != "waiting" || j.Attempt != 0 {
			t.Errorf("while A runs, %s is %s, attempt %d", name, j.State, j.Attempt)
		}
	}
	gate.Open()
	end := c.WaitRequest(r.ID, "failed")
	if end.Counts["done"] != 2 || end.Counts["failed"] != 1 || end.Counts["cancelled"] != 2 {
		t.Errorf("counts %v", end.Counts)
	}
	checkSeedJobs(t, c, r.ID)
	checkSeedEvents(t, <-events)
}

func checkSeedJobs(t *testing.T, c *harness.Cluster, id string) {
	jobs := c.JobNames(id)
	steps := map[string][]harness.Step{}
	for name, want := range map[string]struct {
		states []string
		reason string
	}{
		"A": {[]string{"picked", "running", "done"}, ""},
		"B": {[]string{"waiting", "ready", "picked", "running", "failed"}, "error"},
		"C": {[]string{"waiting", "cancelled"}, "needs"},
		"D": {[]string{"waiting", "cancelled"}, "needs"},
		"E": {[]string{"picked", "running", "done"}, ""},
	} {
		j := jobs[name]
		steps[name] = c.History(j.ID)
		checkHistory(t, j, steps[name])
		if !inOrder(states(steps[name]), want.states...) {
			t.Errorf("%s went through %v, want %v", name, states(steps[name]), want.states)
		}
		if last := want.states[len(want.states)-1]; j.State != last || j.Reason != want.reason {
			t.Errorf("%s is %s %q, want %s %q", name, j.State, j.Reason, last, want.reason)
		}
	}
	if j := jobs["B"]; j.Error != "no ink" || j.ExitCode == nil || *j.ExitCode != 9 || j.Attempt != 1 {
		t.Errorf("B: error %q, exit code %v, attempt %d", j.Error, j.ExitCode, j.Attempt)
	}
	for _, name := range []string{"C", "D"} {
		if j := jobs[name]; j.Cause == nil || j.Attempt != 0 {
			t.Errorf("%s: cause %+v, attempt %d", name, j.Cause, j.Attempt)
		}
	}
	released, done := stepOf(t, steps["B"], "ready").Index, stepOf(t, steps["A"], "done").Index
	if released != done {
		t.Errorf("B was released by entry %d, A was done in entry %d", released, done)
	}
	failed := stepOf(t, steps["B"], "failed").Index
	for _, name := range []string{"C", "D"} {
		if at := stepOf(t, steps[name], "cancelled").Index; at != failed {
			t.Errorf("%s was cancelled by entry %d, B failed in entry %d", name, at, failed)
		}
	}
}

// event is one of GET /v1/events.
type event struct {
	ID      string `json:"-"`
	Type    string `json:"type"`
	Index   uint64 `json:"index"`
	State   string `json:"state"`
	JobName string `json:"job_name"`
	Attempt int    `json:"attempt"`
	Percent int    `json:"progress"`
}

// watch reads a request's events until it has ended. It returns once the stream is open.
func watch(t *testing.T, c *harness.Cluster, id string) <-chan []event {
	t.Helper()
	from := c.Request(id).Index - 1
	ctx, cancel := context.WithTimeout(t.Context(), harness.BoundDefault)
	url := fmt.Sprintf("http://%s/v1/events?request=%s&from=%d", c.Leader().Addresses().HTTP, id, from)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("events: %d %s", resp.StatusCode, resp.Header)
	}
	out := make(chan []event, 1)
	go func() {
		defer cancel()
		defer resp.Body.Close()
		defer close(out)
		out <- readEvents(resp)
	}()
	return out
}

func readEvents(resp *http.Response) (all []event) {
	var e event
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "id":
			e.ID = value
		case "data":
			if json.Unmarshal([]byte(value), &e) != nil {
				e.Type = "unreadable: " + value
			}
		case "":
			if e.Type != "" {
				all = append(all, e)
			}
			if e.Type == "request" && e.State != "running" {
				return all
			}
			e = event{}
		}
	}
	return all
}

func checkSeedEvents(t *testing.T, events []event) {
	t.Helper()
	var said []string
	var last uint64
	for _, e := range events {
		if e.Index < last {
			t.Errorf("event %+v comes after index %d", e, last)
		}
		last = e.Index
		switch e.Type {
		case "job":
			said = append(said, e.JobName+" "+e.State)
		case "progress":
			said = append(said, fmt.Sprintf("%s %d%%", e.JobName, e.Percent))
		case "request":
			said = append(said, "request "+e.State)
		}
	}
	want := []string{"A picked", "A running", "A 50%", "A done", "B picked", "B running", "B failed"}
	if !inOrder(said, want...) {
		t.Errorf("events %q lack %q in order", said, want)
	}
	for _, s := range []string{"C cancelled", "D cancelled", "request failed"} {
		if !slices.Contains(said, s) {
			t.Errorf("events %q lack %q", said, s)
		}
	}
}
