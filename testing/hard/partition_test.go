//go:build linux

package hard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

// networked starts a cluster on a network of its own.
func networked(t *testing.T, opt harness.Options) *harness.Cluster {
	t.Helper()
	if err := harness.NetworkAllowed(); err != nil {
		t.Skipf("this machine does not let the test break a network: %v", err)
	}
	opt.Network = true
	return start(t, opt)
}

// group makes a list of nodes.
func group(nodes ...*harness.Node) []*harness.Node { return nodes }

// leaderOtherThan waits until another coordinator than one leads.
func leaderOtherThan(t *testing.T, c *harness.Cluster, old *harness.Node) *harness.Node {
	t.Helper()
	var leader *harness.Node
	harness.Until(t, harness.BoundDefault, "another leader than "+old.Name(), func() (err error) {
		if leader, err = c.FindLeader(); err == nil && leader == old {
			err = errors.New("it still leads")
		}
		return err
	})
	return leader
}

// term is the highest term that a coordinator knows.
func term(t *testing.T, c *harness.Cluster) (highest uint64) {
	t.Helper()
	for _, n := range c.Coordinators() {
		s, err := n.Status()
		if err != nil {
			t.Fatal(err)
		}
		highest = max(highest, s.Raft.Term)
	}
	return highest
}

// last lets a fault last.
func last(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// TestPartitionedLeader: the leader is cut off from the others, workers included, with submits under way at both sides.
// It acknowledges nothing from then on and serves no read as if it led; the others go on. Healed, they are one cluster
// in which everything that was acknowledged is there, once.
func TestPartitionedLeader(t *testing.T) {
	c := networked(t, harness.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 4*harness.BoundDefault)
	defer cancel()
	var outcomes []outcome
	for round := range 3 {
		old, before := c.Leader(), term(t, c)
		answers := submitAll(t, fmt.Sprint("under way-", round), atOnce, func(int) *harness.Node { return old })
		c.Network().Cut(group(old), append(c.Coordinators(), c.Workers()...))
		outcomes = append(outcomes, gather(ctx, t, answers, atOnce)...)
		next := leaderOtherThan(t, c, old)
		alone := gather(ctx, t, submitAll(t, fmt.Sprint("alone-", round), atOnce, func(int) *harness.Node { return old }), atOnce)
		for _, o := range alone {
			if o.acknowledged() {
				t.Errorf("%s was acknowledged by a leader without a majority: %v", o.name, o.a)
			}
		}
		both := gather(ctx, t, submitAll(t, fmt.Sprint("majority-", round), atOnce, func(int) *harness.Node { return next }), atOnce)
		r := c.Submit(named(t, fmt.Sprint("job-", round), object{"name": "a", "shell": "true"}))
		c.WaitRequest(r.ID, "done")
		if a, err := old.Do("GET", "/v1/requests/"+r.ID, ""); err != nil || a.Status != 503 {
			t.Errorf("a read from the one that is cut off: %v, %v", a, err)
		}
		c.Network().Heal()
		healthy(t, c)
		outcomes = append(append(outcomes, alone...), both...)
		if grown := term(t, c) - before; grown > 5 {
			t.Errorf("the term grew by %d", grown)
		}
		t.Logf("round %d: alone: %s; majority: %s; the term went from %d to %d", round, tally(alone), tally(both), before, term(t, c))
	}
	settle(t, c, outcomes)
	c.CheckHashes()
}

// TestOneWayCuts: of every two coordinators, one gets nothing from the other for a while, which still gets what is sent to
// it; then all packets between them are lost, while the third reaches both. Requests go on, and terms do not run away.
func TestOneWayCuts(t *testing.T) {
	const each = 3 * time.Second
	c := networked(t, harness.Options{Slots: 8})
	l := begin(t, c, 2, named(t, "load", object{"name": "a", "shell": "true"}))
	nodes := c.Coordinators()
	for _, a := range nodes {
		for _, b := range nodes {
			if a == b {
				continue
			}
			for _, both := range []bool{false, true} {
				if both && a.Name() > b.Name() {
					continue // it is the same as the other way round
				}
				before, leader, count := term(t, c), c.Leader().Name(), l.count()
				what := fmt.Sprintf("%s → %s cut", a.Name(), b.Name())
				if both {
					what = fmt.Sprintf("%s ↔ %s cut", a.Name(), b.Name())
					c.Network().Cut(group(a), group(b))
				} else {
					c.Network().Drop(a, b)
				}
				last(t, each)
				l.await(t, 5)
				during := term(t, c)
				c.Network().Heal()
				healthy(t, c)
				after := term(t, c)
				t.Logf("%s, %s led: the term went from %d to %d, and to %d healed; %d requests", what, leader, before, during, after, l.count()-count)
				if after-before > 6 {
					t.Errorf("%s: the term ran from %d to %d", what, before, after)
				}
			}
		}
	}
	for _, id := range l.end() {
		c.WaitRequest(id, "done")
	}
	c.CheckHashes()
}

// TestFlappingLink: a link of the leader is down for 200 ms and up for 200 ms, again and again. Requests go on, and neither
// goroutines nor memory are left behind.
func TestFlappingLink(t *testing.T) {
	const flaps, every = 40, 200 * time.Millisecond
	c := networked(t, harness.Options{Slots: 8})
	l := begin(t, c, 2, named(t, "load", object{"name": "a", "shell": "true"}))
	l.await(t, 50)
	leader, follower := c.Leader(), c.Followers()[0]
	before, memoryBefore, termBefore, count := goroutines(t, leader), memory(t, leader), term(t, c), l.count()
	for range flaps {
		c.Network().Cut(group(leader), group(follower))
		last(t, every)
		c.Network().Heal()
		last(t, every)
	}
	l.await(t, 20)
	healthy(t, c)
	t.Logf("%d requests meanwhile; the term went from %d to %d", l.count()-count, termBefore, term(t, c))
	for _, id := range l.end() {
		c.WaitRequest(id, "done")
	}
	harness.Until(t, harness.BoundDefault, "the goroutines to be as few as before", func() error {
		if now := goroutines(t, leader); now > before+30 {
			return fmt.Errorf("%d, then %d", before, now)
		}
		return nil
	})
	if now := memory(t, leader); now > memoryBefore+128<<20 {
		t.Errorf("it grew from %d to %d MiB", memoryBefore>>20, now>>20)
	}
	c.CheckHashes()
}

// goroutines is how many a coordinator has.
func goroutines(t *testing.T, n *harness.Node) int {
	t.Helper()
	a, err := n.Do("GET", "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(a.Body)) {
		if text, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			v, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatal("no go_goroutines")
	return 0
}

// TestLeaderVanishesInSnapshot: the leader's host vanishes while it sends a snapshot, so that no end of the connection
// comes. The follower that waits for the rest is free again in time to elect the other one, whose majority it is.
func TestLeaderVanishesInSnapshot(t *testing.T) {
	c := networked(t, harness.Options{Workers: -1, Coordinator: []string{"--raft-snapshot-bytes", "1048576", "--raft-trailing-logs", "8"}})
	for i := range 40 {
		c.Submit(big(t, fmt.Sprint("big-", i)))
	}
	for try := range 5 {
		leader := c.Leader()
		says(t, leader, "snapshot complete")
		follower := c.Followers()[0]
		follower.Kill()
		for i := range 30 { // behind all that the log keeps
			c.Submit(big(t, fmt.Sprintf("more-%d-%d", try, i)))
		}
		before := len(follower.Log())
		follower.Restart(t)
		harness.Until(t, harness.BoundDefault, "the snapshot to come", func() error {
			if parts, _ := filepath.Glob(filepath.Join(follower.Data, "snapshots", "*.tmp", "*")); len(parts) > 0 || strings.Contains(follower.Log()[before:], "Installed remote snapshot") {
				return nil
			}
			return os.ErrNotExist
		})
		follower.Pause()
		if strings.Contains(follower.Log()[before:], "Installed remote snapshot") {
			t.Log("it was too quick; once more")
			follower.Resume()
			healthy(t, c)
			continue
		}
		c.Network().Cut(group(leader), c.Coordinators())
		leader.Kill()
		begun := time.Now()
		follower.Resume()
		next := leaderOtherThan(t, c, leader)
		c.Submit(big(t, "after"))
		t.Logf("%s leads and commits after %v", next.Name(), time.Since(begun).Round(time.Millisecond))
		c.Network().Heal()
		leader.Restart(t)
		healthy(t, c)
		if got, want := len(c.Requests()), 40+30*(try+1)+1; got != want {
			t.Errorf("%d requests, want %d", got, want)
		}
		c.CheckHashes()
		return
	}
	t.Skip("the snapshot was there each time before the leader could be cut off")
}
