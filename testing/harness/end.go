package harness

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	// orphanBound is how long a child may outlive its killed worker: the kernel needs a moment.
	orphanBound = 10 * time.Second
	// dumpBound is how long one node may take to tell its state for a dump.
	dumpBound = 2 * time.Second
)

// end ends every process, then checks what must hold of any run.
func (c *Cluster) end() {
	if c.tb.Failed() {
		c.Dump()
	}
	var strays []*Node
	for _, n := range c.nodes() {
		if n.strayed() {
			strays = append(strays, n)
		}
	}
	for _, n := range c.nodes() {
		if n.disk != nil {
			n.disk.Heal() // whoever waits for it could not be ended
		}
		n.Kill()
	}
	for _, n := range c.nodes() {
		n.unmount(c.tb)
	}
	c.launch.close()
	c.client.CloseIdleConnections()
	c.hosts.close()
	if c.fabric != nil {
		c.fabric.close()
	}
	for _, n := range strays {
		c.tb.Errorf("%s ended by itself with code %d:\n%s", n.name, n.ExitCode(), n.logTail())
	}
	for _, n := range c.nodes() {
		if a := n.alarm(); a != nil {
			c.tb.Errorf("%s logged:\n%s", n.name, a)
		}
	}
	c.checkOrphans()
}

// checkOrphans fails the test when a child of this cluster's processes still lives, and ends it.
func (c *Cluster) checkOrphans() {
	var left []int
	deadline := time.Now().Add(orphanBound)
	for left = c.children(); len(left) > 0 && time.Now().Before(deadline); left = c.children() {
		<-time.After(pollEvery)
	}
	for _, pid := range left {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may be gone by now
		c.tb.Errorf("process %d (%q) outlived its worker", pid, text)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// children are the living processes that this cluster's processes have started: its data directory is in their
// environment, as the mark that nodes inherit or as where a job finds its input.
func (c *core) children() []int {
	var found []int
	nodes := map[int]bool{}
	for _, n := range c.nodes() {
		if pid, running := n.live(); running {
			nodes[pid] = true
		}
	}
	for _, pid := range WithEnv(c.data) {
		if !nodes[pid] {
			found = append(found, pid)
		}
	}
	return found
}

// JobProcesses are the ids of the living processes of jobs that this cluster's workers run.
func (c *Cluster) JobProcesses() []int { return WithEnv(c.data, "MUSTER_JOB_ID=") }

// Dump logs what each node says of itself, and the end of its log; once for a cluster, however many views of it fail.
func (c *Cluster) Dump() { c.dumped.Do(c.dump) }

func (c *Cluster) dump() {
	for _, n := range c.nodes() {
		if n.PID() == 0 {
			continue
		}
		c.tb.Logf("=== %s: pid %d, running %v, paused %v, %+v", n.name, n.PID(), n.Running(), n.Running() && !n.Responsive(), n.Addresses())
		if n.coordinator && n.Responsive() {
			for _, path := range []string{"/v1/status", "/v1/requests?limit=20&consistency=stale"} {
				a, err := n.try(context.Background(), dumpBound, "GET", path, "", nil)
				c.tb.Logf("%s %s: %d %v %s", n.name, path, a.Status, err, a.Body)
			}
		}
		c.tb.Logf("%s log:\n%s", n.name, n.logTail())
	}
}
