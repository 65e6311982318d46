//go:build linux

package hard

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// smallDisk is the size of a data directory that fills up.
const smallDisk = 64 << 20

// confine puts a coordinator's data directory on a small file system of its own, with what is in it.
func confine(t *testing.T, n *harness.Node) *volume {
	t.Helper()
	n.Kill()
	if err := os.Rename(n.Data, n.Data+".before"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(n.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", n.Data, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", smallDisk)); err != nil {
		t.Skipf("this machine does not let the test mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		n.Kill()
		if err := syscall.Unmount(n.Data, 0); err != nil {
			t.Errorf("unmount %s: %v", n.Data, err)
		}
	})
	if out, err := exec.Command("cp", "-a", n.Data+".before/.", n.Data).CombinedOutput(); err != nil {
		t.Fatalf("copy the data directory: %v: %s", err, out)
	}
	n.Restart(t)
	return &volume{t, n.Data, filepath.Join(n.Data, "ballast")}
}

// volume is a small file system.
type volume struct {
	t       *testing.T
	dir     string
	ballast string
}

// leave fills it until at most so many bytes are free.
func (v *volume) leave(free int64) {
	v.t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(v.dir, &s); err != nil {
		v.t.Fatal(err)
	}
	f, err := os.OpenFile(v.ballast, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	if n := int64(s.Bavail)*s.Bsize - free; n > 0 {
		if _, err := f.Write(make([]byte, n)); err != nil && !errors.Is(err, syscall.ENOSPC) {
			v.t.Fatal(err)
		}
	}
}

// drain makes room again.
func (v *volume) drain() {
	v.t.Helper()
	if err := os.Remove(v.ballast); err != nil {
		v.t.Fatal(err)
	}
}

// lead makes a coordinator the leader.
func lead(t *testing.T, c *harness.Cluster, n *harness.Node) {
	t.Helper()
	healthy(t, c)
	harness.Until(t, harness.BoundDefault, n.Name()+" to lead", func() error {
		l, err := c.FindLeader()
		if err != nil || l == n {
			return err
		}
		a, err := l.Do("POST", "/v1/operator/raft/transfer", harness.Spec(t, object{"to": n.Name()}))
		return fmt.Errorf("%s leads; transfer: %v, %v", l.Name(), a, err)
	})
}

// big is a request whose log entry is about a mebibyte.
func big(t *testing.T, name string) string {
	t.Helper()
	var jobs []object
	for i := range 4 {
		jobs = append(jobs, object{"name": fmt.Sprint("j", i), "shell": "true", "queue": "nobody",
			"payload": strings.Repeat(fmt.Sprintf("%08x", i*7919), 31<<10)})
	}
	return named(t, name, jobs...)
}

// TestDiskFullOnLeader: first the leader's disk is short of space: new requests are refused with 507 and a word on it,
// reads go on, and what is under way ends; all is well again once there is room. Then it is full to the last byte: the
// leader ends itself and says why, the others go on, and it comes back when there is room, with nothing lost.
func TestDiskFullOnLeader(t *testing.T) {
	c := start(t, harness.Options{})
	leader := c.Coordinators()[0]
	disk := confine(t, leader)
	lead(t, c, leader)
	gate := harness.NewGate(t)
	r := c.Submit(named(t, "under way", object{"name": "a", "shell": gate.Wait()}, object{"name": "b", "needs": []string{"a"}, "shell": "true"}))
	c.WaitJobState(r.ID, "a", "running")

	disk.leave(smallDisk / 20)
	small := named(t, "refused", object{"name": "a", "shell": "true"})
	var refusal harness.Answer
	harness.Until(t, harness.BoundDefault, "a submit to be refused for want of space", func() (err error) {
		refusal, err = leader.Do("POST", "/v1/requests", small, "Idempotency-Key", "refused")
		if err == nil && refusal.Status != http.StatusInsufficientStorage {
			err = fmt.Errorf("it was answered %v", refusal)
		}
		return err
	})
	if code(refusal) != "disk_full" || !strings.Contains(string(refusal.Body), "space") {
		t.Errorf("the refusal is %v", refusal)
	}
	if a, err := c.Followers()[0].Do("POST", "/v1/requests", small, "Idempotency-Key", "refused"); err != nil || a.Status != http.StatusInsufficientStorage {
		t.Errorf("by a follower: %v, %v", a, err)
	}
	if res := c.Run(harness.Command{Args: []string{"submit", "--timeout", "1s", "-"}, Stdin: strings.NewReader(small)}); res.Code == 0 || !strings.Contains(res.Stderr, "space") {
		t.Errorf("muster submit: code %d, %s", res.Code, res.Stderr)
	}
	if a, err := leader.Do("GET", "/v1/requests/"+r.ID, ""); err != nil || a.Status != http.StatusOK {
		t.Errorf("a read: %v, %v", a, err)
	}
	if s, err := leader.Status(); err != nil || s.Health == "healthy" || !strings.Contains(s.Problem, "disk") {
		t.Errorf("its status is %q %q, %v", s.Health, s.Problem, err)
	}
	gate.Open()
	c.WaitRequest(r.ID, "done") // what is under way may still write
	disk.drain()
	after := c.Submit(named(t, "after", object{"name": "a", "shell": "true"}))
	c.WaitRequest(after.ID, "done")
	lead(t, c, leader)

	disk.leave(0)
	leader.Excuse()
	acknowledged := untilItEnds(t, leader)
	if leader.ExitCode() <= 0 {
		t.Errorf("%s ended with code %d", leader.Name(), leader.ExitCode())
	}
	says(t, leader, "disk is full", leader.Data)
	live := c.Submit(named(t, "without it", object{"name": "a", "shell": "true"}))
	c.WaitRequest(live.ID, "done")
	disk.drain()
	leader.Restart(t)
	healthy(t, c)
	c.CheckHashes()
	t.Logf("%d workers joined before the last byte was written", len(acknowledged))
	for _, name := range acknowledged {
		c.WorkerNamed(name)
	}
}

// TestDiskFullOnFollower: a follower's disk fills up. It ends itself and says why, the others go on taking requests,
// and it catches up when there is room.
func TestDiskFullOnFollower(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	follower := c.Coordinators()[2]
	disk := confine(t, follower)
	lead(t, c, c.Coordinators()[0])
	disk.leave(2 << 20)
	follower.Excuse()
	n := 0
	harness.Until(t, harness.BoundDefault, "the follower to end itself", func() error {
		if !follower.Running() {
			return nil
		}
		c.Submit(big(t, fmt.Sprint("big-", n)))
		n++
		return fmt.Errorf("it runs after %d submits", n)
	})
	if follower.ExitCode() <= 0 {
		t.Errorf("it ended with code %d", follower.ExitCode())
	}
	says(t, follower, "disk is full", follower.Data)
	c.Submit(big(t, "without it"))
	disk.drain()
	follower.Restart(t)
	healthy(t, c)
	c.CheckHashes()
	if got := len(c.Requests()); got != n+1 {
		t.Errorf("%d requests are there, %d were acknowledged", got, n+1)
	}
}

// untilItEnds hands in what is not refused for want of space, until a node has ended itself. It returns the workers
// whose joining was acknowledged on the way.
func untilItEnds(t *testing.T, n *harness.Node) (acknowledged []string) {
	t.Helper()
	harness.Until(t, harness.BoundDefault, n.Name()+" to end itself", func() error {
		if !n.Running() {
			return nil
		}
		name := fmt.Sprint("fill-", len(acknowledged))
		a, err := n.Do("POST", "/v1/workers", harness.Spec(t, object{"name": name, "slots": 1, "queues": []string{strings.Repeat("q", 200)}}))
		if err == nil && a.Status/100 == 2 {
			acknowledged = append(acknowledged, name)
		}
		return fmt.Errorf("it runs; a worker joins: %v, %v", a, err)
	})
	return acknowledged
}

// TestDiskFullEverywhere: all disks fill up to the last byte under load and every coordinator ends itself. With room
// again they come back by themselves, and all that was acknowledged is there.
func TestDiskFullEverywhere(t *testing.T) {
	c := start(t, harness.Options{Workers: -1})
	var disks []*volume
	for _, n := range c.Coordinators() {
		disks = append(disks, confine(t, n))
		healthy(t, c)
		n.Excuse()
	}
	kept := c.Submit(big(t, "kept"))
	for _, d := range disks {
		d.leave(0)
	}
	joined := 0
	harness.Until(t, harness.BoundDefault, "a majority to end itself", func() error {
		var running []*harness.Node
		for _, n := range c.Coordinators() {
			if n.Running() {
				running = append(running, n)
			}
		}
		if len(running) < 2 {
			return nil
		}
		a, err := running[0].Do("POST", "/v1/workers", harness.Spec(t, object{"name": fmt.Sprint("fill-", joined), "slots": 1}))
		if err == nil && a.Status/100 == 2 {
			joined++
		}
		return fmt.Errorf("%d run; a worker joins: %v, %v", len(running), a, err)
	})
	for i, n := range c.Coordinators() {
		disks[i].drain()
		n.Restart(t)
	}
	healthy(t, c)
	if got := c.Request(kept.ID); got.Jobs != kept.Jobs {
		t.Errorf("the request that was acknowledged is %+v", got)
	}
	for i := range joined {
		c.WorkerNamed(fmt.Sprint("fill-", i))
	}
	after := c.Submit(big(t, "after"))
	if after.Jobs != kept.Jobs {
		t.Errorf("%+v", after)
	}
	c.CheckHashes()
}
