//go:build linux

package hard

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// load hands in requests from a few users at once until it is stopped.
type load struct {
	stop  context.CancelFunc
	users sync.WaitGroup
	mu    sync.Mutex
	ids   []string
}

// begin starts a load of requests like spec.
func begin(t *testing.T, c *harness.Cluster, users int, spec string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel}
	for range users {
		l.users.Go(func() {
			for ctx.Err() == nil {
				s, err := c.TrySubmit(ctx, rand.Text(), spec)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					t.Errorf("submit: %v", err)
					return
				}
				l.mu.Lock()
				l.ids = append(l.ids, s.ID)
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { l.end() })
	return l
}

// count is how many requests were acknowledged so far.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids)
}

// await waits until n more requests are in.
func (l *load) await(t *testing.T, n int) {
	t.Helper()
	want := l.count() + n
	harness.Until(t, harness.BoundDefault, fmt.Sprint(n, " more requests"), func() error {
		if got := l.count(); got < want {
			return fmt.Errorf("%d are to come", want-got)
		}
		return nil
	})
}

// end stops the load and returns the requests that were acknowledged.
func (l *load) end() []string {
	l.stop()
	l.users.Wait()
	return l.ids
}

// TestLaggingFollower: a follower is down while snapshots are taken under load and the log behind them is dropped. It
// comes back with the load going on, is sent a snapshot, and has the same state as the others.
func TestLaggingFollower(t *testing.T) {
	c := start(t, harness.Options{Slots: 8, Coordinator: []string{"--raft-snapshot-bytes", "1048576", "--raft-trailing-logs", "16"}})
	leader := c.Leader()
	follower := c.Followers()[0]
	l := begin(t, c, 4, named(t, "load", object{"name": "a", "shell": "true", "payload": strings.Repeat("x", 8<<10)},
		object{"name": "b", "needs": []string{"a"}, "shell": "true"}))
	l.await(t, 20)
	follower.Kill()
	l.await(t, 200)
	says(t, leader, "snapshot complete")
	follower.Restart(t)
	says(t, follower, "Installed remote snapshot")
	says(t, follower, "dropping what the log has in front of an installed snapshot") // Raft would keep it
	l.await(t, 50)
	healthy(t, c)
	ids := l.end()
	t.Logf("%d requests", len(ids))
	for _, id := range ids {
		c.WaitRequest(id, "done")
	}
	c.CheckHashes()
}

// TestEmptyHanded: a coordinator comes back without its data directory, first a follower, then the leader. It is taken in
// under a new identity, never with its old vote; what it was stays a member, and the leader says so, until a person
// removes it. The cluster goes on meanwhile.
func TestEmptyHanded(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	r := c.Submit(named(t, "before", object{"name": "a", "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	for _, n := range []*harness.Node{c.Followers()[0], c.Leader()} {
		s, err := n.Status()
		if err != nil {
			t.Fatal(err)
		}
		n.Kill()
		if err := os.RemoveAll(n.Data); err != nil {
			t.Fatal(err)
		}
		n.Restart(t)
		awaitVoters(t, n, 4, s.Node)
		says(t, c.Leader(), "another has its address", s.Node)
		after := c.Submit(named(t, "after", object{"name": "a", "shell": "true"}))
		c.WaitRequest(after.ID, "done")
		if res := c.CLI("operator", "raft", "remove", s.Node); res.Code != 0 {
			t.Fatalf("remove: %d %s", res.Code, res.Stderr)
		}
		awaitVoters(t, n, 3, s.Node)
		healthy(t, c)
		c.CheckHashes()
	}
	if got := len(c.Requests()); got != 3 {
		t.Errorf("%d requests", got)
	}
}

// awaitVoters waits until a coordinator is one of n voters under another identity than the one it lost.
func awaitVoters(t *testing.T, node *harness.Node, n int, lost string) {
	t.Helper()
	harness.Until(t, harness.BoundDefault, fmt.Sprintf("%s to be one of %d voters", node.Name(), n), func() error {
		s, err := node.Status()
		if err != nil {
			return err
		}
		voters := map[string]bool{}
		for _, m := range s.Coordinators {
			if m.Voter {
				voters[m.ID] = true
			}
		}
		if s.Node == lost || !voters[s.Node] || len(voters) != n {
			return fmt.Errorf("it was %s, is %s, voters %v", lost, s.Node, voters)
		}
		return nil
	})
}
