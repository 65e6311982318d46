package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// manyJobs is how many jobs a request has that must be under way when something is killed.
const manyJobs = 1000

// TestLeaderKilledMidRequest: the leader dies by SIGKILL while a thousand jobs run. All end, each exactly once, and as
// no worker was lost each ran exactly once too.
func TestLeaderKilledMidRequest(t *testing.T) {
	c := start(t, harness.Options{Slots: 8})
	ran := harness.NewLines(t)
	jobs := make([]object, manyJobs)
	for i := range jobs {
		jobs[i] = object{"name": fmt.Sprint("job-", i), "shell": ran.Add("$MUSTER_JOB $MUSTER_ATTEMPT")}
	}
	r := c.Submit(request(t, jobs...))

	harness.Until(t, harness.BoundDefault, "a fifth of the jobs", func() error {
		if n := len(ran.Read()); n < manyJobs/5 {
			return fmt.Errorf("%d have run", n)
		}
		return nil
	})
	old := c.Leader()
	old.Kill()
	if c.Request(r.ID).Over() {
		t.Log("the request was over before the leader died: this run shows little")
	}
	end := c.WaitRequest(r.ID, "done")
	if end.Counts["done"] != manyJobs {
		t.Errorf("counts %v", end.Counts)
	}
	for _, j := range c.Jobs(r.ID) {
		if j.State != "done" || j.Attempt != 1 {
			t.Errorf("%s is %s, attempt %d", j.Name, j.State, j.Attempt)
		}
		checkHistory(t, j, c.History(j.ID))
	}
	lines := ran.Read()
	slices.Sort(lines)
	if n := len(slices.Compact(slices.Clone(lines))); n != manyJobs || len(lines) != manyJobs {
		t.Errorf("%d runs of %d jobs, want each of %d once", len(lines), n, manyJobs)
	}

	old.Restart(t)
	c.CheckHashes()
}

// TestWorkerKilled: a worker dies by SIGKILL. Its children die with it, its jobs run elsewhere as attempt 2, and what
// still comes of attempt 1 is refused.
func TestWorkerKilled(t *testing.T) {
	c := start(t, harness.Options{})
	gate, pids := harness.NewGate(t), harness.NewLines(t)
	r := c.Submit(request(t, object{
		"name": "long", "shell": pids.Add("$MUSTER_ATTEMPT $$") + "; sleep 1000 & " + gate.Wait() + "; kill $!; echo $MUSTER_ATTEMPT > $MUSTER_RESULT",
	}))
	first := c.WaitJobState(r.ID, "long", "running")
	harness.Until(t, harness.BoundDefault, "the job's first line", func() error {
		if len(pids.Read()) == 0 {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	children := c.JobProcesses()
	if len(children) < 2 {
		t.Errorf("the job has processes %v, want at least two", children)
	}

	c.WorkerNode(first.Worker).Kill()
	harness.Until(t, harness.BoundDefault, "the children of the killed worker to end", func() error {
		for _, pid := range children {
			if harness.Alive(pid) {
				return fmt.Errorf("process %d lives", pid)
			}
		}
		return nil
	})
	second := c.WaitJob(r.ID, "long", "attempt 2 running", func(j harness.Job) bool { return j.Attempt == 2 && j.State == "running" })
	if second.Worker == first.Worker || second.Lost != 1 || second.Retries != 0 {
		t.Errorf("attempt 2 is on worker %s (attempt 1 on %s), lost %d, retries %d", second.Worker, first.Worker, second.Lost, second.Retries)
	}

	late := harness.Spec(t, object{"worker": first.Worker, "attempt": 1, "state": "DONE", "result": "late"})
	a := c.Call("POST", "/v1/jobs/"+first.ID+"/state", late)
	if a.Status != http.StatusConflict {
		t.Errorf("late report of attempt 1: %v, want 409", a)
	}
	mentions(t, "the refusal", string(a.Body), "stale")

	gate.Open()
	c.WaitRequest(r.ID, "done")
	j := c.Job(first.ID)
	if strings.TrimSpace(text(t, quoted(j.Result))) != "2" {
		t.Errorf("the result is %s, want that of attempt 2", j.Result)
	}
	steps := c.History(j.ID)
	checkHistory(t, j, steps)
	if !inOrder(states(steps), "picked", "running", "ready", "picked", "running", "done") {
		t.Errorf("history %v", states(steps))
	}
}

// quoted makes a JSON string of a JSON value that is none.
func quoted(raw []byte) []byte {
	if len(raw) > 0 && raw[0] != '"' {
		return []byte(strconv.Quote(string(raw)))
	}
	return raw
}

// TestIdempotentSubmitAcrossLeaders: one key is one request, whoever leads; another body under it is refused.
func TestIdempotentSubmitAcrossLeaders(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	spec := request(t, object{"name": "a", "shell": "true"})
	other := request(t, object{"name": "a", "shell": "false"})
	const key = "nightly-2026-11-22"

	submit := func(spec string, want int) string {
		t.Helper()
		a := c.Call("POST", "/v1/requests", spec, "Idempotency-Key", key)
		var s harness.Submitted
		if err := a.Decode(&s); err != nil || a.Status != want {
			t.Fatalf("submit: %v, want %d", a, want)
		}
		return s.ID
	}
	first := submit(spec, http.StatusCreated)
	for _, when := range []string{"under the same leader", "under the next leader", "after a restart"} {
		switch when {
		case "under the next leader":
			c.Leader().Kill()
		case "after a restart":
			for _, n := range c.Coordinators() {
				n.Kill()
			}
			for _, n := range c.Coordinators() {
				n.Restart(t)
			}
		}
		if again := submit(spec, http.StatusOK); again != first {
			t.Errorf("%s the repeat is %s, the first was %s", when, again, first)
		}
		submit(other, http.StatusConflict)
	}
	c.WaitRequest(first, "done")
	if all := c.Requests(); len(all) != 1 {
		t.Errorf("there are %d requests: %+v", len(all), all)
	}
}

// TestCrashedLeaderIsReplacedAtOnce: with heartbeats that would take minutes to be missed, a killed leader is replaced by
// what its closed connections tell; the killed one's next process, and the next leader, too.
func TestCrashedLeaderIsReplacedAtOnce(t *testing.T) {
	c := start(t, harness.Options{Coordinator: []string{"--raft-heartbeat", "2m", "--raft-election", "2m", "--raft-lease", "2m"}})
	for range 3 {
		old := c.Leader()
		c.CheckHashes() // all logs are equally long
		old.Kill()
		r := c.Submit(request(t, object{"name": "a", "shell": "true"}))
		c.WaitRequest(r.ID, "done")
		old.Restart(t)
	}
	c.CheckHashes()
}

// TestSilentLeaderIsReplaced: a leader that stands still keeps its connections, so nothing is concluded from them: it is
// replaced when its heartbeats have been missed.
func TestSilentLeaderIsReplaced(t *testing.T) {
	c := start(t, harness.Options{})
	old := c.Leader()
	old.Pause()
	r := c.Submit(request(t, object{"name": "a", "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	for _, n := range c.Coordinators() {
		if strings.Contains(n.Log(), "the leader's process has ended") {
			t.Errorf("%s took %s for dead", n.Name(), old.Name())
		}
	}
	old.Resume()
	c.CheckHashes()
}
