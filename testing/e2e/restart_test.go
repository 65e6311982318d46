package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/testing/harness"
)

// TestAllCoordinatorsRestarted: every coordinator is stopped, cleanly or by SIGKILL, and started again. Nothing is
// missing, nothing has changed, and what was under way goes on.
func TestAllCoordinatorsRestarted(t *testing.T) {
	c := start(t, harness.Options{})
	ended := c.Submit(request(t,
		object{"name": "good", "shell": "echo 7 > $MUSTER_RESULT"},
		object{"name": "bad", "shell": "exit 3"},
		object{"name": "after", "needs": []string{"bad"}, "shell": "true"},
	))
	c.WaitRequest(ended.ID, "failed")

	for _, how := range []struct {
		name string
		end  func(*testing.T, *harness.Node)
	}{
		{"terminated", stop},
		{"killed", func(_ *testing.T, n *harness.Node) { n.Kill() }},
	} {
		gate := harness.NewGate(t)
		live := c.Submit(request(t,
			object{"name": "running", "shell": gate.Wait()},
			object{"name": "next", "needs": []string{"running"}, "shell": "true"},
			object{"name": "nowhere", "needs": []string{"next"}, "shell": "true", "queue": "later-" + how.name},
		))
		c.WaitJobState(live.ID, "running", "running")
		before := snapshotOf(c)

		for _, n := range c.Coordinators() {
			how.end(t, n)
		}
		for _, n := range c.Coordinators() {
			n.Restart(t)
		}
		if diff := cmp.Diff(before, snapshotOf(c)); diff != "" {
			t.Errorf("%s: what was there changed (-before +after):\n%s", how.name, diff)
		}
		gate.Open()
		c.WaitJobState(live.ID, "next", "done")
		if j := c.JobNamed(live.ID, "running"); j.State != "done" || j.Attempt != 1 {
			t.Errorf("%s: the job that ran meanwhile is %s, attempt %d", how.name, j.State, j.Attempt)
		}
		c.AddWorker("--queues", "later-"+how.name)
		c.WaitRequest(live.ID, "done")
	}
	c.CheckHashes()
}

func stop(t *testing.T, n *harness.Node) {
	t.Helper()
	n.Terminate()
	stopped(t, n)
}

// stopped waits until a node that was told to stop has done so cleanly.
func stopped(t *testing.T, n *harness.Node) {
	t.Helper()
	if code, err := n.Wait(); err != nil || code != 0 {
		t.Errorf("%s on SIGTERM: code %d, %v", n.Name(), code, err)
	}
}

// memory is all that a cluster knows of its requests.
type memory struct {
	Requests []harness.Request
	Jobs     map[string][]harness.Job
	Steps    map[string][]harness.Step
}

func snapshotOf(c *harness.Cluster) memory {
	m := memory{Requests: c.Requests(), Jobs: map[string][]harness.Job{}, Steps: map[string][]harness.Step{}}
	for _, r := range m.Requests {
		m.Jobs[r.ID] = c.Jobs(r.ID)
		for _, j := range m.Jobs[r.ID] {
			m.Steps[j.ID] = c.History(j.ID)
		}
	}
	return m
}

// TestEverythingKilled: every process of the cluster dies at once. What ran runs again, the rest is as it was.
func TestEverythingKilled(t *testing.T) {
	c := start(t, harness.Options{})
	gate := harness.NewGate(t)
	r := c.Submit(request(t,
		object{"name": "a", "shell": "true"},
		object{"name": "b", "needs": []string{"a"}, "shell": gate.Wait()},
		object{"name": "c", "needs": []string{"b"}, "shell": "true"},
	))
	c.WaitJobState(r.ID, "b", "running")
	for _, n := range append(c.Coordinators(), c.Workers()...) {
		n.Kill()
	}
	for _, n := range append(c.Coordinators(), c.Workers()...) {
		n.Restart(t)
	}
	gate.Open()
	c.WaitRequest(r.ID, "done")
	jobs := c.JobNames(r.ID)
	// What b's first worker lost may have been given to the other one before that was back: one lost worker more.
	if b := jobs["b"]; b.Attempt < 2 || b.Lost != b.Attempt-1 || jobs["a"].Attempt != 1 || jobs["c"].Attempt != 1 {
		t.Errorf("a ended as attempt %d, b as %d after %d lost workers, c as %d", jobs["a"].Attempt, b.Attempt, b.Lost, jobs["c"].Attempt)
	}
	for _, j := range jobs {
		checkHistory(t, j, c.History(j.ID))
	}
}

// TestCoordinatorsMove: nodes come back at other addresses, one by one, as containers do, until none is where it was;
// the cluster and its workers find them again.
func TestCoordinatorsMove(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	for _, n := range c.Coordinators() {
		n.Move(t)
		r := c.Submit(request(t, object{"name": "a", "shell": "true"}))
		c.WaitRequest(r.ID, "done")
		harness.Until(t, harness.BoundDefault, "all to know "+n.Name()+" at its new address", func() error {
			for _, other := range c.Coordinators() {
				s, err := other.Status()
				if err != nil {
					return err
				}
				if s.Health != "healthy" || !fresh(s, n) {
					return fmt.Errorf("%s says %+v", other.Name(), s)
				}
			}
			return recorded(c, n)
		})
		c.CheckHashes() // all have what the log says of the new address: whoever moves next finds the others by it
	}
	c.CheckHashes()
}

// recorded says whether a leader has put a coordinator's new address into Raft's configuration.
func recorded(c *harness.Cluster, n *harness.Node) error {
	for _, other := range c.Coordinators() {
		for line := range strings.Lines(other.Log()) {
			if strings.Contains(line, "coordinator address changed") && strings.Contains(line, n.Addresses().RPC) {
				return nil
			}
		}
	}
	return fmt.Errorf("nobody has recorded that %s is at %s", n.Name(), n.Addresses().RPC)
}

// fresh says whether a status shows a coordinator alive where it is now.
func fresh(s harness.Status, n *harness.Node) bool {
	for _, c := range s.Coordinators {
		if c.Name == n.Name() {
			return c.Alive && c.RPC == n.Addresses().RPC
		}
	}
	return false
}
