//go:build linux

package hard

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/testing/harness"
)

// object is JSON written in Go.
type object map[string]any

// start starts a cluster for one test, unless it is left out.
func start(t *testing.T, opt harness.Options) *harness.Cluster {
	t.Helper()
	if testing.Short() || os.Getenv("MUSTER_HARD") == "" {
		t.Skip("the hard cases take some minutes and mount small disks: set MUSTER_HARD=1 for them")
	}
	return harness.Start(t, opt)
}

// named writes a request of that name with these jobs.
func named(t *testing.T, name string, jobs ...object) string {
	t.Helper()
	return harness.Spec(t, object{"name": name, "jobs": jobs})
}

// quickLeases are the flags of coordinators that count a silent worker as lost soon.
func quickLeases() []string { return []string{"--lease-ttl", "2s", "--lease-reconnect-grace", "500ms"} }

// dial makes an RPC client of the cluster that is closed with the test.
func dial(t *testing.T, c *harness.Cluster) *client.Client {
	t.Helper()
	cl := client.New(client.Config{Coordinators: rpcAddresses(c), Name: t.Name()})
	t.Cleanup(cl.Close)
	return cl
}

func rpcAddresses(c *harness.Cluster) []string {
	var list []string
	for _, n := range c.Coordinators() {
		list = append(list, n.Addresses().RPC)
	}
	return list
}

// code is the code of a refused HTTP call.
func code(a harness.Answer) string {
	var p struct{ Code string }
	if a.Decode(&p) != nil {
		return ""
	}
	return p.Code
}

// outcome is what a client was told of its submit.
type outcome struct {
	name string
	a    harness.Answer
	err  error
}

// acknowledged says whether the client was told that its request is in.
func (o outcome) acknowledged() bool {
	return o.err == nil && (o.a.Status == http.StatusCreated || o.a.Status == http.StatusOK)
}

// submitAll hands in n requests at once, each under its name as the key, the i-th at to(i), each once.
func submitAll(t *testing.T, prefix string, n int, to func(int) *harness.Node) <-chan outcome {
	t.Helper()
	answers := make(chan outcome, n)
	for i := range n {
		name := fmt.Sprintf("%s-%d", prefix, i)
		spec, node := named(t, name, object{"name": "a", "shell": "true", "queue": "nobody"}), to(i)
		go func() {
			a, err := node.Do("POST", "/v1/requests", spec, "Idempotency-Key", name)
			answers <- outcome{name, a, err}
		}()
	}
	return answers
}

// settle hands in again, under the same key, what was not acknowledged, and checks that each name is there exactly
// once and that nothing is that was refused for certain.
func settle(t *testing.T, c *harness.Cluster, outcomes []outcome) {
	t.Helper()
	before := requestNames(c)
	for _, o := range outcomes {
		switch n := before[o.name]; {
		case n > 1:
			t.Errorf("%s is there %d times", o.name, n)
		case o.acknowledged() && n != 1:
			t.Errorf("%s was acknowledged (%v) and is not there", o.name, o.a)
		case o.err == nil && code(o.a) == "no_leader" && n != 0:
			t.Errorf("%s was refused for certain (%v) and is there", o.name, o.a)
		}
	}
	for _, o := range outcomes {
		if !o.acknowledged() {
			c.SubmitAs(o.name, named(t, o.name, object{"name": "a", "shell": "true", "queue": "nobody"}))
		}
	}
	after := requestNames(c)
	for _, o := range outcomes {
		if after[o.name] != 1 {
			t.Errorf("after the retry %s is there %d times", o.name, after[o.name])
		}
	}
}

func requestNames(c *harness.Cluster) map[string]int {
	names := map[string]int{}
	for _, r := range c.Requests() {
		names[r.Name]++
	}
	return names
}

// gather waits for n outcomes.
func gather(ctx context.Context, t *testing.T, answers <-chan outcome, n int) []outcome {
	t.Helper()
	var list []outcome
	for range n {
		select {
		case o := <-answers:
			list = append(list, o)
		case <-ctx.Done():
			t.Fatalf("%d of %d submits were answered: %v", len(list), n, ctx.Err())
		}
	}
	return list
}

// tally counts outcomes, for the log.
func tally(outcomes []outcome) string {
	counts := map[string]int{}
	for _, o := range outcomes {
		switch {
		case o.err != nil:
			counts["connection lost"]++
		case o.acknowledged():
			counts["acknowledged"]++
		default:
			counts[fmt.Sprintf("%d %s", o.a.Status, code(o.a))]++
		}
	}
	return fmt.Sprint(counts)
}

// checkEnds checks that a job has ended, once, and that its history holds together.
func checkEnds(t *testing.T, c *harness.Cluster, job harness.Job) {
	t.Helper()
	steps := c.History(job.ID)
	if err := harness.CheckSteps(job, steps); err != nil || !job.Ended() {
		t.Errorf("job %s is %s: %v: %+v", job.Name, job.State, err, steps)
	}
}

// says waits until a node has logged each of the texts in one line.
func says(t *testing.T, n *harness.Node, texts ...string) string {
	t.Helper()
	var found string
	harness.Until(t, harness.BoundDefault, fmt.Sprintf("%s to log %q", n.Name(), texts), func() error {
		for line := range strings.Lines(n.Log()) {
			if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) }) {
				found = line
				return nil
			}
		}
		return fmt.Errorf("it has not")
	})
	return found
}

// healthy waits until every running coordinator finds the cluster healthy.
func healthy(t *testing.T, c *harness.Cluster) {
	t.Helper()
	harness.Until(t, harness.BoundDefault, "the cluster to be healthy", func() error {
		for _, n := range c.Coordinators() {
			if !n.Running() {
				continue
			}
			if s, err := n.Status(); err != nil || s.Health != "healthy" {
				return fmt.Errorf("%s: %s %s, %v", n.Name(), s.Health, s.Problem, err)
			}
		}
		return nil
	})
}
