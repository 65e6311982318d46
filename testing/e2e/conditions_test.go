package e2e

import (
	"fmt"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// conditions is a request whose build succeeds when the gate is open.
func conditions(t *testing.T, gate *harness.Gate) string {
	return request(t,
		object{"name": "build", "shell": gate.Test()},
		object{"name": "alarm", "needs": []object{{"job": "build", "when": "failed"}}, "shell": "true"},
		object{"name": "told", "needs": []string{"alarm"}, "shell": "true"},
		object{"name": "publish", "needs": []string{"build"}, "shell": "true"},
		object{"name": "clean", "needs": []object{{"job": "publish", "when": "ended"}, {"job": "alarm", "when": "ended"}}, "shell": "true"},
		object{"name": "either", "needs_any": []any{"publish", "told"}, "shell": "true"},
	)
}

// outcomes are a request's jobs with how each ended, in their order.
func outcomes(c *harness.Cluster, request string) (list []string) {
	for _, j := range c.Jobs(request) {
		s := j.Name + " " + j.State
		if j.State == "cancelled" {
			s += " " + j.Reason
		}
		list = append(list, s)
	}
	return list
}

// TestConditions: jobs that run when another fails, that always clean up, that any of several lets go; a branch that is not
// needed shows as such, does not fail its request and can say why; over a change of the leader and a retry.
func TestConditions(t *testing.T) {
	c := start(t, harness.Options{})
	gate := harness.NewGate(t)
	r := c.Submit(conditions(t, gate))
	c.WaitRequest(r.ID, "failed")
	want1 := "[build failed alarm done told done publish cancelled needs clean done either done]"
	if got := fmt.Sprint(outcomes(c, r.ID)); got != want1 {
		t.Errorf("after a failure %s, want %s", got, want1)
	}

	c.Leader().Kill()
	c.WaitLeader()
	gate.Open()
	want(t, c.CLI("retry", r.ID), 0)
	c.WaitRequest(r.ID, "done")
	want2 := "[build done alarm done told done publish done clean done either done]"
	if got := fmt.Sprint(outcomes(c, r.ID)); got != want2 {
		t.Errorf("after a retry %s, want %s", got, want2)
	}

	good := c.Submit(conditions(t, gate))
	c.WaitRequest(good.ID, "done")
	want3 := "[build done alarm cancelled unneeded told cancelled unneeded publish done clean done either done]"
	if got := fmt.Sprint(outcomes(c, good.ID)); got != want3 {
		t.Errorf("without a failure %s, want %s", got, want3)
	}
	out := want(t, c.CLI("why", good.ID+"/told"), 0)
	mentions(t, "muster why", out.Stdout, "unneeded", "alarm is cancelled", "build is done")
	out = want(t, c.CLI("graph", good.ID), 0)
	mentions(t, "muster graph", out.Stdout, "alarm  cancelled (unneeded)  (needs build (failed))", "(needs any of publish, told)")
	bad := file(t, "jobs: [{name: a, shell: x, needs_any: [b]}, {name: b, shell: x, needs: [{job: a, when: faild}]}]")
	mentions(t, "the refusal", want(t, c.CLI("submit", bad), 2).Stderr, "must be done or failed or ended")
}
