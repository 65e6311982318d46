package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// why is the document of GET /v1/jobs/{id}/why, as far as these tests look at it.
type why struct {
	State  string
	Causes []struct {
		Kind, Text, Reason, State string
		Jobs                      []struct{ Name, State, Worker string }
		Workers                   []struct {
			Name  string
			Lacks []struct{ What, Key, Want, Has string }
		}
		Limit, Count, Attempt int
		Until                 string
	}
}

// ask gets it over HTTP.
func ask(t *testing.T, c *harness.Cluster, job string) (y why) {
	t.Helper()
	if err := c.Call(http.MethodGet, "/v1/jobs/"+job+"/why", "").Decode(&y); err != nil {
		t.Fatal(err)
	}
	return y
}

// causes are the kinds of a job's causes.
func causes(y why) (kinds []string) {
	for _, c := range y.Causes {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

// wantCauses waits until a job has these causes: what a worker says comes when it comes.
func wantCauses(t *testing.T, c *harness.Cluster, job string, kinds ...string) (y why) {
	t.Helper()
	harness.Until(t, harness.BoundDefault, fmt.Sprintf("the causes %v of job %s", kinds, job), func() error {
		if y = ask(t, c, job); fmt.Sprint(causes(y)) != fmt.Sprint(kinds) {
			return fmt.Errorf("they are %v", y)
		}
		return nil
	})
	return y
}

// TestWhy asks for the causes that people meet, over HTTP and on the command line.
func TestWhy(t *testing.T) {
	c := start(t, harness.Options{Workers: 1, Slots: 2, Worker: []string{"--labels", "disk=ssd"}})
	gate := harness.NewGate(t)
	defer gate.Open()
	r := c.Submit(harness.Spec(t, object{"max_running": 1, "jobs": []object{
		{"name": "first", "shell": gate.Wait(), "priority": 1},
		{"name": "second", "shell": "true"},
		{"name": "after", "needs": []string{"first"}, "shell": "true"},
		{"name": "later", "start_after": "2099-01-01T00:00:00Z", "shell": "true"},
		{"name": "odd", "labels": object{"disk": "tape"}, "shell": "true"},
		{"name": "wide", "slots": 64, "shell": "true"},
	}}))
	c.WaitJobState(r.ID, "first", "running")
	id := func(name string) string { return c.JobNamed(r.ID, name).ID }

	wantCauses(t, c, id("first"), "running")
	if y := wantCauses(t, c, id("second"), "max_running"); y.Causes[0].Limit != 1 || y.Causes[0].Jobs[0].Name != "first" || y.Causes[0].Jobs[0].Worker == "" {
		t.Errorf("max_running: %+v", y)
	}
	if y := wantCauses(t, c, id("after"), "needs"); y.Causes[0].Jobs[0].Name != "first" || y.Causes[0].Jobs[0].State != "running" {
		t.Errorf("needs: %+v", y)
	}
	if y := wantCauses(t, c, id("later"), "start_after"); y.Causes[0].Until != "2099-01-01T00:00:00Z" {
		t.Errorf("start_after: %+v", y)
	}
	if y := wantCauses(t, c, id("odd"), "max_running", "no_worker"); fmt.Sprint(y.Causes[1].Workers[0].Lacks) != "[{label disk tape ssd}]" {
		t.Errorf("no worker with the label: %+v", y)
	}
	if y := wantCauses(t, c, id("wide"), "max_running", "no_worker"); fmt.Sprint(y.Causes[1].Workers[0].Lacks) != "[{slots  64 2}]" {
		t.Errorf("no worker with so many slots: %+v", y)
	}

	out := want(t, c.CLI("why", r.ID+"/after"), 0)
	mentions(t, "muster why", out.Stdout, "after is waiting", "needs: it needs first (running)")
	var doc why
	out = want(t, c.CLI("why", r.ID+"/after", "-o", "json"), 0)
	if err := json.Unmarshal([]byte(out.Stdout), &doc); err != nil || len(doc.Causes) != 1 || doc.Causes[0].Kind != "needs" {
		t.Errorf("muster why -o json: %v, %s", err, out.Stdout)
	}
	want(t, c.CLI("why", "j0000000999-00000"), 6)
}

// TestWhyItEnded follows a failure from what it cancelled to its cause, and an attempt that was moved from a lost worker.
func TestWhyItEnded(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	gate := harness.NewGate(t)
	defer gate.Open()
	bad := c.Submit(request(t,
		object{"name": "bad", "shell": "echo no such table > $MUSTER_ERROR; exit 4", "retry": object{"limit": 1, "backoff": "1ms"}},
		object{"name": "next", "needs": []string{"bad"}, "shell": "true"},
		object{"name": "last", "needs": []string{"next"}, "shell": "true"},
	))
	c.WaitRequest(bad.ID, "failed")
	wantCauses(t, c, c.JobNamed(bad.ID, "bad").ID, "failed", "retried")
	y := wantCauses(t, c, c.JobNamed(bad.ID, "last").ID, "cancelled")
	if jobs := y.Causes[0].Jobs; len(jobs) != 2 || jobs[0].Name != "next" || jobs[1].Name != "bad" || y.Causes[0].Reason != "needs" {
		t.Errorf("the chain: %+v", y)
	}
	mentions(t, "muster why", want(t, c.CLI("why", bad.ID+"/last"), 0).Stdout, "bad is failed", "no such table")

	moved := c.Submit(request(t, object{"name": "long", "shell": gate.Wait()}))
	c.WaitJobState(moved.ID, "long", "running")
	c.Node("w1").Kill()
	wantCauses(t, c, c.JobNamed(moved.ID, "long").ID, "no_worker", "moved")
	c.AddWorker()
	y = wantCauses(t, c, c.JobNamed(moved.ID, "long").ID, "running", "moved")
	if y.Causes[0].Attempt != 2 || y.Causes[1].Attempt != 1 || y.Causes[1].Reason != "lost" {
		t.Errorf("moved: %+v", y)
	}

	drained := c.WorkerList()
	want(t, c.CLI("drain", drained[len(drained)-1].ID), 0)
	idle := c.Submit(request(t, object{"name": "idle", "shell": "true"}))
	wantCauses(t, c, c.JobNamed(idle.ID, "idle").ID, "drained")
}
