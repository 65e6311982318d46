//go:build linux

package hard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// TestZombieWorker: a worker is stopped for longer than its lease and goes on after its jobs run elsewhere. Of one of
// them its process has ended meanwhile and it reports DONE, which is refused; the other still runs and is killed.
func TestZombieWorker(t *testing.T) {
	c := start(t, harness.Options{Workers: 1, Coordinator: quickLeases(), Worker: []string{"--log-level", "debug"}})
	first, second, runs := harness.NewGate(t), harness.NewGate(t), harness.NewLines(t)
	r := c.Submit(named(t, "zombie",
		object{"name": "ends", "shell": runs.Add("ends $MUSTER_ATTEMPT") + "; if [ $MUSTER_ATTEMPT = 1 ]; then " + first.Wait() +
			"; else " + second.Wait() + "; fi; " + runs.Add("ended $MUSTER_ATTEMPT") + "; echo $MUSTER_ATTEMPT > $MUSTER_RESULT"},
		object{"name": "runs", "shell": runs.Add("runs $MUSTER_ATTEMPT") + "; " + second.Wait() + "; echo $MUSTER_ATTEMPT > $MUSTER_RESULT"},
	))
	c.WaitJobState(r.ID, "ends", "running")
	c.WaitJobState(r.ID, "runs", "running")
	awaitLines(t, runs, "ends 1", "runs 1")
	zombies := c.JobProcesses()
	zombie := c.Node("w1")
	zombie.Pause()
	c.AddWorker()
	for _, name := range []string{"ends", "runs"} {
		c.WaitJob(r.ID, name, "attempt 2 running", func(j harness.Job) bool { return j.Attempt == 2 && j.State == "running" })
	}
	awaitLines(t, runs, "ends 2", "runs 2")
	first.Open()
	awaitLines(t, runs, "ended 1")
	if c.JobNamed(r.ID, "ends").Ended() {
		t.Error("the job ended though its worker stands still")
	}

	zombie.Resume()
	harness.Until(t, harness.BoundDefault, "the processes of attempt 1 to end", func() error {
		for _, pid := range zombies {
			if harness.Alive(pid) {
				return fmt.Errorf("process %d lives", pid)
			}
		}
		return nil
	})
	c.WaitWorkers(2)
	late := harness.Spec(t, object{"worker": c.WorkerNamed("w1").ID, "attempt": 1, "state": "DONE", "result": "late"})
	if a := c.Call("POST", "/v1/jobs/"+c.JobNamed(r.ID, "ends").ID+"/state", late); a.Status != 409 || code(a) != "stale_attempt" {
		t.Errorf("a report of attempt 1: %v, want 409 stale_attempt", a)
	}
	for _, name := range []string{"ends", "runs"} {
		if j := c.JobNamed(r.ID, name); j.Attempt != 2 || j.State != "running" || j.WorkerName != "w2" {
			t.Errorf("%s is %s, attempt %d on %s; the zombie's word counted", name, j.State, j.Attempt, j.WorkerName)
		}
	}
	second.Open()
	c.WaitRequest(r.ID, "done")
	for _, j := range c.Jobs(r.ID) {
		if got := strings.Trim(string(j.Result), "\"\\n "); got != "2" || j.Lost != 1 {
			t.Errorf("%s has result %s, lost %d", j.Name, j.Result, j.Lost)
		}
		checkEnds(t, c, j)
	}
}

// awaitLines waits until each of the lines was written.
func awaitLines(t *testing.T, l *harness.Lines, want ...string) {
	t.Helper()
	harness.Until(t, harness.BoundDefault, fmt.Sprintf("jobs to write %q", want), func() error {
		got := "\n" + strings.Join(l.Read(), "\n") + "\n"
		for _, w := range want {
			if !strings.Contains(got, "\n"+w+"\n") {
				return fmt.Errorf("they wrote %q", got)
			}
		}
		return nil
	})
}

// TestWorkerLostWhileCancelled: a worker is lost just before, and just after, its request is cancelled. Either way each
// job ends cancelled, once, and is not run again.
func TestWorkerLostWhileCancelled(t *testing.T) {
	for _, order := range []string{"cancelled first", "lost first", "at once"} {
		t.Run(order, func(t *testing.T) {
			c := start(t, harness.Options{Workers: 2, Coordinator: quickLeases()})
			runs := harness.NewLines(t)
			stubborn := runs.Add("$MUSTER_ATTEMPT") + "; trap '' TERM; while :; do sleep 0.05; done"
			r := c.Submit(named(t, "doomed", object{"name": "a", "shell": stubborn}, object{"name": "b", "needs": []string{"a"}, "shell": "true"}))
			j := c.WaitJobState(r.ID, "a", "running")
			awaitLines(t, runs, "1")
			w := c.WorkerNode(j.Worker)
			cancel := func() {
				if a := c.Call("POST", "/v1/requests/"+r.ID+"/cancel", ""); a.Status/100 != 2 {
					t.Errorf("cancel: %v", a)
				}
			}
			switch order {
			case "cancelled first":
				cancel()
				w.Kill()
			case "lost first":
				w.Kill()
				cancel()
			case "at once":
				killed := make(chan struct{})
				go func() { defer close(killed); w.Kill() }()
				cancel()
				<-killed
			}
			c.WaitRequest(r.ID, "cancelled")
			harness.Until(t, harness.BoundDefault, "the worker to be given up", func() error {
				for _, x := range c.WorkerList() {
					if x.Name == w.Name() && x.State == "alive" {
						return fmt.Errorf("it is %s", x.State)
					}
				}
				return nil
			})
			after := c.Submit(named(t, "after", object{"name": "a", "shell": "true"}))
			c.WaitRequest(after.ID, "done") // whatever the loss was to bring has come by now
			for _, j := range c.Jobs(r.ID) {
				if j.State != "cancelled" {
					t.Errorf("%s is %s", j.Name, j.State)
				}
				checkEnds(t, c, j)
			}
			if n := len(c.JobProcesses()); n != 0 {
				t.Errorf("%d processes of jobs live on", n)
			}
		})
	}
}

// TestPoisonJob: a job that kills every worker it is run by ends as failed once it has cost lost_limit workers and one
// more; the worker after that is spared.
func TestPoisonJob(t *testing.T) {
	const limit = 2
	c := start(t, harness.Options{Workers: limit + 2, Slots: 1, Coordinator: quickLeases()})
	for _, w := range c.Workers() {
		w.Excuse()
	}
	r := c.Submit(named(t, "poison", object{"name": "poison", "shell": "kill -9 $PPID; sleep 1000", "lost_limit": limit}))
	c.WaitRequest(r.ID, "failed")
	j := c.JobNamed(r.ID, "poison")
	if j.Reason != "lost" || j.Attempt != limit+1 || !strings.Contains(j.Error, "lost_limit") {
		t.Errorf("the job ended %s (%s) as attempt %d: %s", j.State, j.Reason, j.Attempt, j.Error)
	}
	checkEnds(t, c, j)
	var spared int
	for _, w := range c.Workers() {
		if w.Running() {
			spared++
		}
	}
	if spared != 1 {
		t.Errorf("%d workers live, want 1", spared)
	}
	after := c.Submit(named(t, "after", object{"name": "a", "shell": "true"}))
	c.WaitRequest(after.ID, "done")
}
