package e2e

import (
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// TestPauseAndResume: what is paused or held is not granted, over a change of the leader too; what runs goes on, and others are
// served; why says so; resumed, it ends.
func TestPauseAndResume(t *testing.T) {
	c := start(t, harness.Options{Workers: 1, Slots: 1})
	gate := harness.NewGate(t)
	r := c.Submit(request(t,
		object{"name": "first", "shell": gate.Wait()},
		object{"name": "second", "needs": []string{"first"}, "shell": "true"},
		object{"name": "free", "shell": "true"},
	))
	c.WaitJobState(r.ID, "first", "running")
	mentions(t, "muster pause", want(t, c.CLI("pause", r.ID), 0).Stdout, "running, paused")
	held := strings.TrimSpace(want(t, c.CLI("submit", file(t, "hold: true\njobs: [{name: h, shell: 'true'}]")), 0).Stdout)
	flagged := strings.TrimSpace(want(t, c.CLI("submit", "--hold", file(t, "jobs: [{name: h, shell: 'true'}]")), 0).Stdout)

	gate.Open()
	c.WaitJobState(r.ID, "first", "done")
	other := c.Submit(request(t, object{"name": "x", "shell": "true"}, object{"name": "y", "needs": []string{"x"}, "shell": "true"}))
	c.WaitRequest(other.ID, "done")
	c.Leader().Kill()
	c.WaitLeader()
	again := c.Submit(request(t, object{"name": "x", "shell": "true"}))
	c.WaitRequest(again.ID, "done")
	for _, j := range []harness.Job{c.JobNamed(r.ID, "second"), c.JobNamed(r.ID, "free"), c.JobNamed(held, "h"), c.JobNamed(flagged, "h")} {
		if j.State != "ready" || j.Attempt != 0 {
			t.Errorf("job %s is %s at attempt %d while others were served", j.Name, j.State, j.Attempt)
		}
	}
	if y := ask(t, c, c.JobNamed(r.ID, "second").ID); y.Causes[0].Kind != "paused" {
		t.Errorf("why: %+v", y)
	}
	mentions(t, "muster why", want(t, c.CLI("why", held), 0).Stdout, "held: its request was submitted on hold")

	for _, id := range []string{r.ID, held, flagged} {
		want(t, c.CLI("resume", id), 0)
		c.WaitRequest(id, "done")
	}
	want(t, c.CLI("pause", r.ID), 7)
	want(t, c.CLI("resume", "r0000000999"), 6)
}
