package browser

import (
	"fmt"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// TestLeaderKilledWhileOpen kills the leader that the page came from, then a second coordinator, then the last. The page
// goes on with who is left, acts through it, and says what it does not know.
func TestLeaderKilledWhileOpen(t *testing.T) {
	b := open(t)
	c := harness.Start(t, harness.Options{})
	first, second := newGate(t), newGate(t)
	sub := c.Submit(harness.Spec(t, object{"name": "long haul", "jobs": []object{job("first", first.wait()), job("second", second.wait(), "first"), job("third", second.wait())}}))
	c.WaitJobState(sub.ID, "first", "running")
	leader := c.Leader()
	b.visit(leader, "#/requests/"+sub.ID)
	b.until("it is live", inGraph("first, running"))
	b.act("window.loadedOnce = true")

	leader.Kill()
	first.open(t)
	b.until("events come by another coordinator", inGraph("first, done")+"&&"+inGraph("second, running"))
	b.until("it says who answers", fmt.Sprintf(`document.querySelector('.link-state[data-ok=yes]') && !document.querySelector('.link-state').textContent.endsWith(%q)`, leader.Name()))
	b.goTo("#/")
	b.shows("2 of 3 voters answer; none may fail", "does not answer")
	b.shot("leader-killed")
	b.goTo("#/requests/" + sub.ID)
	b.press("Cancel", true)
	b.shows("The request is cancelled.", "3 of 3 jobs ended")
	c.WaitRequest(sub.ID, "cancelled")

	other := c.Leader()
	other.Kill()
	b.until("it says that there is no majority", `document.querySelector('.banner')`)
	b.shot("no-majority")
	other.Begin(t)
	b.until("it is well again", `!document.querySelector('.banner')`)

	for _, n := range c.Coordinators() {
		if n.Running() {
			n.Kill()
		}
	}
	b.shows("No connection.", "What you see is from", "3 of 3 jobs ended")
	b.shot("no-connection")
	leader.Begin(t)
	other.Begin(t)
	b.until("it has found them again", `!document.querySelector('.banner') && document.querySelector('.link-state[data-ok=yes]')`)
	b.until("nothing was loaded again", "window.loadedOnce")
}
