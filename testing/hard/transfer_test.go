//go:build linux

package hard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

// TestTransferToOneThatHangs: an operator hands the leadership to a coordinator that stands still. The command ends soon,
// with who did not take it and what to do; the leader stays the leader and serves on. One that is known not to answer is
// refused without trying. When it comes back the cluster is whole, and the hand-over works.
func TestTransferToOneThatHangs(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	healthy(t, c)
	leader, hangs := c.Leader(), c.Followers()[0]
	transfer := func() harness.Result {
		t.Helper()
		// A call to one that hangs would show the client's patience and not the leader's.
		return c.Run(harness.Command{Args: []string{"operator", "raft", "transfer", hangs.Name()},
			Env: []string{"MUSTER_ADDR=" + leader.Addresses().HTTP}, Bound: harness.BoundDefault})
	}
	serves := func(name string) {
		t.Helper()
		a, err := leader.Do("POST", "/v1/requests", named(t, name, object{"name": "a", "shell": "true"}))
		if err != nil || a.Status/100 != 2 {
			t.Fatalf("%s: %v, %v", name, a, err)
		}
	}

	hangs.Pause()
	begin := time.Now()
	if r := transfer(); r.Code == 0 || !strings.Contains(r.Stderr, hangs.Name()+" did not take the leadership over") || !strings.Contains(r.Stderr, "muster status") {
		t.Errorf("hand-over to one that hangs: %d %s", r.Code, r.Stderr)
	}
	t.Logf("the hand-over ends %s after the pause", time.Since(begin).Round(time.Millisecond))
	for range 3 { // with entries that it does not have, and again at once, which would hold Raft up
		serves("meanwhile")
		if r := transfer(); r.Code == 0 || !strings.Contains(r.Stderr, "a hand-over has just failed: try again in") && !strings.Contains(r.Stderr, "has not answered for") {
			t.Errorf("again: %d %s", r.Code, r.Stderr)
		}
	}
	harness.Until(t, harness.BoundDefault, "one that does not answer to be refused at once", func() error {
		r := transfer()
		if r.Code == 0 || !strings.Contains(r.Stderr, "has not answered for") {
			return fmt.Errorf("%d %s", r.Code, r.Stderr)
		}
		return nil
	})
	serves("after")
	if l := c.Leader(); l != leader {
		t.Errorf("%s leads", l.Name())
	}

	hangs.Resume()
	healthy(t, c)
	lead(t, c, hangs)
	for _, r := range c.Requests() {
		c.WaitRequest(r.ID, "done")
	}
	if n := len(c.Requests()); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
	c.CheckHashes()
}
