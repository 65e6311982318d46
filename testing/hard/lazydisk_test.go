//go:build linux

package hard

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/testing/harness"
	"github.com/musterhq/muster/testing/lazydisk"
)

// disked starts a cluster with each coordinator's data on a disk that can be broken.
func disked(t *testing.T, opt harness.Options) *harness.Cluster {
	t.Helper()
	if err := lazydisk.Allowed(); err != nil {
		t.Skipf("this machine does not let the test break a disk: %v", err)
	}
	opt.Disks = true
	return start(t, opt)
}

// pair is a request that a worker is done with at once.
func pair(t *testing.T, name string) string {
	t.Helper()
	return named(t, name, object{"name": "a", "shell": "true"}, object{"name": "b", "needs": []string{"a"}, "shell": "true"})
}

// TestSlowDisks: each fsync of one coordinator, and then of two, takes 5, 50 and 500 ms longer. Requests go on, but for
// 500 ms on two with the profile for a LAN: a vote takes six fsyncs, which is longer than an election, and no leader holds
// until the disks are better.
func TestSlowDisks(t *testing.T) {
	for _, profile := range []string{"lan", "wan"} {
		t.Run(profile, func(t *testing.T) { slowDisks(t, profile) })
	}
}

func slowDisks(t *testing.T, profile string) {
	const each = 4 * time.Second
	c := disked(t, harness.Options{Slots: 8, Coordinator: []string{"--raft-profile", profile}})
	l := begin(t, c, 4, pair(t, "load"))
	l.await(t, 20)
	for _, delay := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond, 500 * time.Millisecond} {
		for n := 1; n <= 2; n++ {
			slow := c.Followers()[:n]
			before, count := term(t, c), l.count()
			for _, f := range slow {
				f.Disk().SlowSync(delay)
			}
			last(t, each)
			if n == 1 || delay <= 50*time.Millisecond || profile == "wan" {
				l.await(t, 3)
			}
			t.Logf("%v on %d: %d requests, the term went from %d to %d", delay, n, l.count()-count, before, term(t, c))
			for _, f := range slow {
				f.Disk().Heal()
			}
			healthy(t, c)
			l.await(t, 3)
		}
	}
	for _, id := range l.end() {
		c.WaitRequest(id, "done")
	}
	c.CheckHashes()
}

// endsItself is what a coordinator logs when it gives up on its disk.
const endsItself = "this node ends itself"

// TestHungDisk: the fsyncs of the leader's disk, then of a follower's, never return. The coordinator gives up, as far as the
// system lets it, and the others go on.
func TestHungDisk(t *testing.T) {
	c := disked(t, harness.Options{})
	l := begin(t, c, 2, pair(t, "load"))
	l.await(t, 20)
	for _, who := range []string{"leader", "follower"} {
		n := c.Leader()
		if who == "follower" {
			n = c.Followers()[0]
		}
		n.Excuse()
		before, begun := len(n.Log()), time.Now()
		n.Disk().Hang()
		gap := taken(t, c, n)
		harness.Until(t, harness.BoundDefault, n.Name()+" to give up", func() error {
			if !strings.Contains(n.Log()[before:], endsItself) {
				return fmt.Errorf("it has not said %q", endsItself)
			}
			return nil
		})
		t.Logf("the %s: the others take a request after %v, it gives up after %v", who, gap.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
		says(t, n, endsItself, "disk_stall_limit", n.Data)
		n.Disk().Heal()
		if code, err := n.Wait(); err != nil || code <= 0 {
			t.Errorf("it ended with code %d, %v", code, err)
		}
		n.Restart(t)
		healthy(t, c)
	}
	for _, id := range l.end() {
		c.WaitRequest(id, "done")
	}
	c.CheckHashes()
}

// taken waits until the coordinators other than one take a request, and returns how long that took.
func taken(t *testing.T, c *harness.Cluster, without *harness.Node) time.Duration {
	t.Helper()
	begun := time.Now()
	harness.Until(t, harness.BoundDefault, "a request to be taken without "+without.Name(), func() error {
		err := fmt.Errorf("nobody is asked")
		for _, n := range c.Coordinators() {
			if n == without {
				continue
			}
			var a harness.Answer
			a, err = n.Do("POST", "/v1/requests", pair(t, "meanwhile"), "Idempotency-Key", "without-"+without.Name())
			if err == nil && a.Status/100 == 2 {
				return nil
			}
			err = fmt.Errorf("%v, %v", a, err)
		}
		return err
	})
	return time.Since(begun)
}

// TestFsyncFailsOnce: one fsync of the leader, then of a follower, answers EIO, after which the next would succeed with
// nothing written. The coordinator ends itself rather than go on; and what it has then lost, as its disk loses power too, is
// nothing that was acknowledged.
func TestFsyncFailsOnce(t *testing.T) {
	c := disked(t, harness.Options{})
	l := begin(t, c, 2, pair(t, "load"))
	l.await(t, 20)
	for round, find := range []func() *harness.Node{c.Leader, func() *harness.Node { return c.Followers()[0] }} {
		n := find()
		n.Excuse()
		n.Disk().FailSync(1)
		harness.Until(t, harness.BoundDefault, n.Name()+" to end itself", func() error {
			if n.Running() {
				return fmt.Errorf("it runs")
			}
			return nil
		})
		if n.ExitCode() <= 0 {
			t.Errorf("it ended with code %d", n.ExitCode())
		}
		says(t, n, endsItself, "input/output error", n.Data)
		n.PowerLoss(t, rand.New(rand.NewPCG(uint64(round), 0)))
		n.Restart(t)
		healthy(t, c)
		l.await(t, 5)
	}
	for _, id := range l.end() {
		c.WaitRequest(id, "done")
	}
	c.CheckHashes()
}

// TestPowerLossEverywhere: all coordinators lose their power at once under load, again and again; what was not fsynced is
// lost, kept or torn. Nothing that was acknowledged is lost.
func TestPowerLossEverywhere(t *testing.T) {
	for _, store := range []string{"boltdb", "wal"} {
		t.Run(store, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			c := disked(t, harness.Options{Coordinator: []string{
				"--raft-log-store", store, "--raft-snapshot-bytes", "1048576", "--raft-trailing-logs", "64"}})
			var all []string
			for round := range 6 {
				l := begin(t, c, 4, named(t, fmt.Sprint("round-", round), object{"name": "a", "shell": "true", "payload": strings.Repeat("x", 32<<10)},
					object{"name": "b", "needs": []string{"a"}, "shell": "true"}))
				l.await(t, 40)
				for _, n := range c.Coordinators() {
					n.Kill()
				}
				all = append(all, l.end()...)
				for i, n := range c.Coordinators() {
					random := rand.New(rand.NewPCG(seed, uint64(round*10+i)))
					if round == 0 {
						random = nil // all that can be lost
					}
					n.PowerLoss(t, random)
				}
				for _, n := range c.Coordinators() {
					n.Begin(t)
				}
				healthy(t, c)
			}
			for _, id := range all {
				c.WaitRequest(id, "done")
			}
			t.Logf("%d requests were acknowledged and are there", len(all))
			c.CheckHashes()
		})
	}
}

// TestPowerLossIsNoticed shows that TestPowerLossEverywhere can fail: on disks that ignore fsync, as if the program did not
// call it, a request that was acknowledged is gone.
func TestPowerLossIsNoticed(t *testing.T) {
	c := disked(t, harness.Options{Workers: -1})
	kept := c.Submit(pair(t, "with fsync"))
	c.CheckHashes() // it is everywhere
	for _, n := range c.Coordinators() {
		n.Disk().IgnoreSync(true)
	}
	lost := c.Submit(pair(t, "without"))
	for _, n := range c.Coordinators() {
		n.Kill()
	}
	for _, n := range c.Coordinators() {
		n.PowerLoss(t, nil)
	}
	for _, n := range c.Coordinators() {
		n.Begin(t)
	}
	healthy(t, c)
	if a := c.Call("GET", "/v1/requests/"+kept.ID, ""); a.Status != 200 {
		t.Errorf("the request that was fsynced: %v", a)
	}
	if a := c.Call("GET", "/v1/requests/"+lost.ID, ""); a.Status != 404 {
		t.Errorf("the request that was not: %v; nothing would have shown that fsync is missing", a)
	}
}
