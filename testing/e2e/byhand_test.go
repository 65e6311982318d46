package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// TestStartedByHand starts three coordinators and two workers with the documented flags, one after the other, on ports
// that the system chooses, and asks each coordinator for the status.
func TestStartedByHand(t *testing.T) {
	beside(t)
	c := harness.Prepare(t, harness.Options{})
	first := c.AddCoordinator("--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0", "--gossip", "127.0.0.1:0", "--bootstrap-expect", "3")
	for range 2 {
		c.AddCoordinator("--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0", "--gossip", "127.0.0.1:0",
			"--bootstrap-expect", "3", "--join", first.Addresses().Gossip)
	}
	leader := c.WaitLeader()
	join := c.Coordinators()[1].Addresses().Gossip
	c.AddWorker("--gossip", "127.0.0.1:0", "--join", join, "--queues", "default,a", "--labels", "zone=1,disk=ssd", "--slots", "3")
	var rpc []string
	for _, n := range c.Coordinators() {
		rpc = append(rpc, n.Addresses().RPC)
	}
	c.AddWorker("--gossip", "127.0.0.1:0", "--join", "", "--coordinators", strings.Join(rpc, ","), "--queues", "b")
	c.WaitWorkers(2)
	if w := c.WorkerNamed("w1"); w.Slots != 3 || w.Labels["zone"] != "1" || w.Labels["disk"] != "ssd" || len(w.Queues) != 2 {
		t.Errorf("w1 is registered as %+v", w)
	}

	for _, n := range c.Coordinators() {
		harness.Until(t, harness.BoundDefault, "the status of "+n.Name()+" to be whole", func() error {
			s, err := n.Status()
			if err != nil {
				return err
			}
			if s.Leader == nil || s.Leader.Name != leader.Name() || len(s.Coordinators) != 3 || len(s.Workers) != 2 || s.Tolerates != 1 || s.Health != "healthy" {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
		r := c.Run(harness.Command{Args: []string{"status", "--addr", n.Addresses().HTTP}})
		if r.Code != 0 {
			t.Errorf("status of %s: code %d, %s", n.Name(), r.Code, r.Stderr)
		}
		mentions(t, "status of "+n.Name(), r.Stdout, "c1", "c2", "c3", "2 alive", "healthy")
	}

	ended := c.Submit(request(t, object{"name": "a", "shell": "true", "queue": "a"}, object{"name": "b", "shell": "true", "queue": "b"}))
	c.WaitRequest(ended.ID, "done")
	jobs := c.JobNames(ended.ID)
	if jobs["a"].WorkerName != "w1" || jobs["b"].WorkerName != "w2" {
		t.Errorf("a ran on %s, b on %s", jobs["a"].WorkerName, jobs["b"].WorkerName)
	}
}

// TestWorkersFollowTheLeader kills the leader three times in a row; a worker that was given one gossip address, of a
// coordinator that is gone, and one that was given a static list both get work each time.
func TestWorkersFollowTheLeader(t *testing.T) {
	c := start(t, harness.Options{Workers: -1})
	var rpc []string
	for _, n := range c.Coordinators() {
		rpc = append(rpc, n.Addresses().RPC)
	}
	first := c.Leader()
	c.AddWorker("--join", first.Addresses().Gossip, "--queues", "gossip")
	c.AddWorker("--join", "", "--coordinators", strings.Join(rpc, ","), "--queues", "static")
	c.WaitWorkers(2)
	for range 3 {
		old := c.Leader()
		old.Kill()
		r := c.Submit(request(t, object{"name": "a", "shell": "true", "queue": "gossip"}, object{"name": "b", "shell": "true", "queue": "static"}))
		c.WaitRequest(r.ID, "done")
		old.Restart(t)
	}
}
