package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// TestDrainHandsBack: on SIGTERM a worker takes nothing new, waits, and hands back what has not ended, which costs the
// job neither a retry nor one of its lost workers.
func TestDrainHandsBack(t *testing.T) {
	c := start(t, harness.Options{Workers: 1, Worker: []string{"--drain-timeout", "1s"}})
	gate, pids := harness.NewGate(t), harness.NewLines(t)
	r := c.Submit(request(t, object{"name": "long", "lost_limit": 0, "shell": pids.Add("$$") + "; " + gate.Wait()}))
	c.WaitJobState(r.ID, "long", "running")
	w1 := c.Node("w1")
	w1.Terminate()
	other := c.AddWorker()
	again := c.WaitJob(r.ID, "long", "running on "+other.Name(), func(j harness.Job) bool {
		return j.State == "running" && j.WorkerName == other.Name()
	})
	if again.Retries != 0 || again.Lost != 0 {
		t.Errorf("handing back cost %d retries and %d lost workers", again.Retries, again.Lost)
	}
	stopped(t, w1)
	noneAliveBut(t, pids, again)
	gate.Open()
	c.WaitRequest(r.ID, "done")
	steps := c.History(again.ID)
	checkHistory(t, c.Job(again.ID), steps)
	back := false
	for _, s := range steps {
		back = back || s.State == "ready" && s.Reason == "returned"
	}
	if !back {
		t.Errorf("no step says that the job was handed back: %+v", steps)
	}
}

// noneAliveBut checks that of the processes a job has had only the last attempt's may live.
func noneAliveBut(t *testing.T, pids *harness.Lines, j harness.Job) {
	t.Helper()
	harness.Until(t, harness.BoundDefault, "each attempt's process", func() error {
		if n := len(pids.Read()); n != 2 {
			return fmt.Errorf("%d wrote their id, the job is at attempt %d", n, j.Attempt)
		}
		return nil
	})
	var first int
	if _, err := fmt.Sscan(pids.Read()[0], &first); err != nil {
		t.Fatal(err)
	}
	if harness.Alive(first) {
		t.Errorf("process %d of the first attempt outlived its worker", first)
	}
}

// TestDrainLetsJobsEnd: what ends within the drain time ends as if nothing was, and nothing new is picked meanwhile.
func TestDrainLetsJobsEnd(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	gate := harness.NewGate(t)
	r := c.Submit(request(t,
		object{"name": "long", "shell": gate.Wait()},
		object{"name": "next", "needs": []string{"long"}, "shell": "true"},
	))
	c.WaitJobState(r.ID, "long", "running")
	w1 := c.Node("w1")
	w1.Terminate()
	harness.Until(t, harness.BoundDefault, "w1 to drain", func() error {
		if !strings.Contains(w1.Log(), "taking no further jobs") {
			return fmt.Errorf("it does not say so")
		}
		return nil
	})
	gate.Open()
	stopped(t, w1)
	if j := c.JobNamed(r.ID, "long"); j.State != "done" || j.Attempt != 1 {
		t.Errorf("long is %s, attempt %d", j.State, j.Attempt)
	}
	if j := c.JobNamed(r.ID, "next"); j.State != "ready" {
		t.Errorf("next is %s though no worker takes jobs", j.State)
	}
	c.AddWorker()
	c.WaitRequest(r.ID, "done")
}

// TestDrainByOperator: a drained worker gets nothing until it is undrained.
func TestDrainByOperator(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	id := c.WorkerNamed("w1").ID
	if r := c.CLI("drain", id); r.Code != 0 {
		t.Fatalf("drain: %+v", r)
	}
	r := c.Submit(request(t, object{"name": "a", "shell": "true"}))
	other := c.AddWorker("--queues", "other")
	fence := c.Submit(request(t, object{"name": "a", "shell": "true", "queue": "other"}))
	c.WaitRequest(fence.ID, "done")
	if j := c.JobNamed(r.ID, "a"); j.State != "ready" {
		t.Errorf("the job is %s though the only fitting worker is drained and %s is not fit", j.State, other.Name())
	}
	if w := c.WorkerNamed("w1"); w.State != "draining" {
		t.Errorf("w1 is %s", w.State)
	}
	if r := c.CLI("undrain", id); r.Code != 0 {
		t.Fatalf("undrain: %+v", r)
	}
	c.WaitRequest(r.ID, "done")
}
