//go:build linux

package hard

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/testing/harness"
)

// atOnce is how many submits are under way when something breaks.
const atOnce = 60

// TestLeaderDeposedMidBatch: both followers stand still with a batch of submits in flight, so that the leader cannot
// commit and steps down. Nobody is told that its request is in unless it is; who is told that it is not finds it is
// not; who repeats under its key has it once; and an RPC client, which repeats by itself, is told the truth at the end.
func TestLeaderDeposedMidBatch(t *testing.T) {
	c := start(t, harness.Options{Workers: -1, Coordinator: []string{
		"--raft-heartbeat", "1s", "--raft-election", "1s", "--raft-lease", "900ms"}})
	leader, followers := c.Leader(), c.Followers()
	cl := dial(t, c)
	if _, err := cl.Submit(t.Context(), client.Request{Name: "warm", Jobs: []client.Job{{Name: "a", Shell: "true", Queue: "nobody"}}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*harness.BoundDefault)
	defer cancel()

	for _, f := range followers {
		f.Pause()
	}
	answers := submitAll(t, "http", atOnce, func(int) *harness.Node { return leader })
	var rpc sync.WaitGroup
	for i := range atOnce {
		rpc.Go(func() {
			r := client.Request{Name: fmt.Sprint("rpc-", i), Jobs: []client.Job{{Name: "a", Shell: "true", Queue: "nobody"}}}
			if _, err := cl.Submit(ctx, r); err != nil {
				t.Errorf("submit by RPC: %v", err)
			}
		})
	}
	outcomes := gather(ctx, t, answers, atOnce)
	t.Log(tally(outcomes))
	for _, o := range outcomes {
		if o.err != nil || o.a.Status != 503 || code(o.a) != "unknown_outcome" && code(o.a) != "no_leader" || o.a.Header.Get("Retry-After") == "" {
			t.Errorf("%s without a majority: %v, %v", o.name, o.a, o.err)
		}
	}
	for _, f := range followers {
		f.Resume()
	}
	c.WaitLeader()
	rpc.Wait()
	settle(t, c, outcomes)
	names := requestNames(c)
	for i := range atOnce {
		if n := names[fmt.Sprint("rpc-", i)]; n != 1 {
			t.Errorf("rpc-%d is there %d times", i, n)
		}
	}
	c.CheckHashes()
}

// TestSubmitRetriedAcrossLeaders: the leader is killed, again and again, while clients at every coordinator hand in
// requests; what they repeat under their keys is there once.
func TestSubmitRetriedAcrossLeaders(t *testing.T) {
	c := start(t, harness.Options{Workers: -1})
	ctx, cancel := context.WithTimeout(t.Context(), 4*harness.BoundDefault)
	defer cancel()
	var all []outcome
	for round := range 5 {
		nodes := c.Coordinators()
		leader := c.Leader()
		answers := submitAll(t, fmt.Sprint("round-", round), atOnce, func(i int) *harness.Node { return nodes[i%len(nodes)] })
		some := gather(ctx, t, answers, round*4) // each round the kill comes later
		leader.Kill()
		some = append(some, gather(ctx, t, answers, atOnce-len(some))...)
		t.Log(tally(some))
		all = append(all, some...)
		leader.Restart(t)
		healthy(t, c)
	}
	settle(t, c, all)
	c.CheckHashes()
}

// TestTwoOfThreeDown: two coordinators die with submits under way. From then on nothing is acknowledged and the one
// that is left says that it has no majority; when they are back all that was acknowledged is there, and only that.
func TestTwoOfThreeDown(t *testing.T) {
	c := start(t, harness.Options{Workers: -1})
	ctx, cancel := context.WithTimeout(t.Context(), 2*harness.BoundDefault)
	defer cancel()
	last := c.Leader()
	down := c.Followers()
	answers := submitAll(t, "before", atOnce, func(int) *harness.Node { return last })
	for _, n := range down {
		n.Kill()
	}
	outcomes := gather(ctx, t, answers, atOnce)
	t.Log(tally(outcomes))
	harness.Until(t, harness.BoundDefault, "the last coordinator to notice", func() error {
		s, err := last.Status()
		if err == nil && (s.Leader != nil || s.Health == "healthy" || !strings.Contains(s.Problem, "less than a majority")) {
			err = fmt.Errorf("it says %s, %q, leader %+v", s.Health, s.Problem, s.Leader)
		}
		return err
	})
	refused := gather(ctx, t, submitAll(t, "without", atOnce, func(int) *harness.Node { return last }), atOnce)
	for _, o := range refused {
		if o.err != nil || o.a.Status != 503 || code(o.a) != "no_leader" {
			t.Errorf("%s without a majority: %v, %v", o.name, o.a, o.err)
		}
	}
	short, stop := context.WithTimeout(ctx, 3*time.Second)
	defer stop()
	_, err := dial(t, c).Submit(short, client.Request{Name: "rpc", Jobs: []client.Job{{Name: "a", Shell: "true"}}})
	if err == nil || !strings.Contains(err.Error(), client.ErrNoLeader.Error()) {
		t.Errorf("an RPC client was told %v", err)
	}
	for _, n := range down {
		n.Restart(t)
	}
	healthy(t, c)
	if requestNames(c)["rpc"] != 0 {
		t.Error("the RPC client's request is there, though it never reached a leader")
	}
	settle(t, c, append(outcomes, refused...))
	c.CheckHashes()
}

// TestRollingRestartUnderLoad: every coordinator is stopped and started, one after the other, twice, while requests
// come in. Each stop is clean, every request ends, and as no worker was lost each job ran once.
func TestRollingRestartUnderLoad(t *testing.T) {
	c := start(t, harness.Options{Slots: 8})
	l := begin(t, c, 4, named(t, "load", object{"name": "a", "shell": "true"}, object{"name": "b", "needs": []string{"a"}, "shell": "true"}))
	for range 2 {
		for _, n := range c.Coordinators() {
			n.Terminate()
			if code, err := n.Wait(); err != nil || code != 0 {
				t.Errorf("%s on SIGTERM: code %d, %v", n.Name(), code, err)
			}
			n.Restart(t)
			healthy(t, c)
		}
	}
	ids := l.end()
	t.Logf("%d requests came in", len(ids))
	for _, id := range ids {
		c.WaitRequest(id, "done")
	}
	for _, id := range ids {
		for _, j := range c.Jobs(id) {
			if j.Attempt != 1 || j.Lost != 0 {
				t.Errorf("%s of %s: attempt %d, lost %d", j.Name, id, j.Attempt, j.Lost)
			}
		}
	}
	c.CheckHashes()
}

// TestStalledLeader: the leader stands still until another has been elected and has taken requests in, and goes on. From
// its first answer on it tells nothing of before as if it were now: a linearizable read has what its successor
// acknowledged, or is refused; and no worker is taken for lost because the leader was not listening.
func TestStalledLeader(t *testing.T) {
	c := start(t, harness.Options{Workers: 2, Coordinator: []string{"--lease-ttl", "6s"}})
	gate := harness.NewGate(t)
	held := c.Submit(named(t, "held", object{"name": "a", "shell": gate.Wait()}))
	c.WaitJobState(held.ID, "a", "running")
	for round := range 5 {
		old := c.Leader()
		old.Pause()
		c.WaitLeader()
		r := c.Submit(named(t, fmt.Sprint("round-", round), object{"name": "a", "shell": "true"}))
		c.WaitRequest(r.ID, "done")
		old.Resume()
		for range 50 { // from the first moment on
			a, err := old.Do("GET", "/v1/requests/"+r.ID, "")
			var got harness.Request
			switch {
			case err != nil || a.Status == 503:
			case a.Status != 200 || a.Decode(&got) != nil || got.State != "done":
				t.Fatalf("it answers %v", a)
			}
		}
		healthy(t, c)
	}
	gate.Open()
	c.WaitRequest(held.ID, "done")
	if j := c.JobNamed(held.ID, "a"); j.Attempt != 1 {
		t.Errorf("the job that ran meanwhile ended as attempt %d", j.Attempt)
	}
	c.CheckHashes()
}
