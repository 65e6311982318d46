package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/musterhq/muster/testing/harness"
)

// axe is axe-core as its authors built it, see testdata/README.md.
//
//go:embed testdata/axe.min.js
var axe string

// accessible fails the test for what axe finds wrong with the page as it is.
func (b *tab) accessible(where string) {
	b.t.Helper()
	if !value[bool](b, "'axe' in window") {
		value[bool](b, axe+";true")
	}
	const look = `axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}).then((r) =>
		JSON.stringify(r.violations.map((v) => ({rule: v.id, help: v.help, where: v.nodes.slice(0, 3).map((n) => n.html + ' ' + n.failureSummary)}))))`
	text := value[string](b, look)
	var violations []struct {
		Rule, Help string
		Where      []string
	}
	if err := json.Unmarshal([]byte(text), &violations); err != nil {
		b.t.Fatalf("axe: %v: %s", err, text)
	}
	for _, v := range violations {
		b.t.Errorf("%s: %s (%s): %q", where, v.Help, v.Rule, v.Where)
	}
}

// place is one page of the dashboard and what it must show.
type place struct {
	name, at string
	shows    []string
}

// TestPages walks through every page while work goes on: what each shows is what the cluster says, and it moves without
// being loaded again. Each is looked at by axe, in light, in the dark and on a narrow screen.
func TestPages(t *testing.T) {
	b := open(t)
	c := harness.Start(t, harness.Options{})
	half, end := newGate(t), newGate(t)
	sub := c.Submit(harness.Spec(t, object{"name": "nightly report", "session": "reports", "jobs": []object{
		job("extract", `echo 12873 rows; echo '{"rows":12873}' > "$MUSTER_RESULT"`),
		job("geocode-eu", lines(`echo "chunk 1 of 10"; echo 40% > "$MUSTER_PROGRESS"`, half.wait(), `echo "chunk 7 of 10"; echo 70% > "$MUSTER_PROGRESS"`, end.wait()), "extract"),
		job("geocode-us", lines(`echo 55% > "$MUSTER_PROGRESS"`, end.wait()), "extract"),
		job("geocode-asia", `echo "quota of 5000 used up" > "$MUSTER_ERROR"; exit 3`, "extract"),
		job("join", "true", "geocode-eu", "geocode-us"), job("asia-report", "true", "geocode-asia"),
		job("charts", "true", "join"), job("tables", "true", "join"), job("publish", "true", "charts", "tables"),
	}}))
	eu := c.WaitJob(sub.ID, "geocode-eu", "at 40 %", func(j harness.Job) bool { return j.Progress == 40 })
	c.WaitJobState(sub.ID, "geocode-asia", "failed")
	leader := c.Leader()
	b.visit(c.Followers()[0], "")
	b.act("window.loadedOnce = true")
	for _, p := range []place{
		{"overview", "#/", []string{leader.Name(), "3 of 3 voters answer; 1 more may fail", "jobs ended a second", "nightly report", "2 workers", "9 kept, 6 to do"}},
		{"requests", "#/requests", []string{sub.ID, "nightly report", "reports", "running", "33 %"}},
		{"request", "#/requests/" + sub.ID, []string{"3 of 9 jobs ended", "geocode-asia", "cancelled", "cancel dependents"}},
		{"job", "#/jobs/" + eu.ID, []string{"chunk 1 of 10", eu.WorkerName, "40 %", "geocode-eu", "History"}},
		{"workers", "#/workers", []string{"w1", "w2", "of 4", "default", "ago"}},
		{"sessions", "#/sessions", []string{"reports", "open"}},
		{"cluster", "#/cluster", []string{"c1", "c2", "c3", "State hash", "Disk free", "Save a snapshot"}},
	} {
		b.goTo(p.at)
		b.shows(p.shows...)
		for _, scheme := range []string{"light", "dark"} {
			b.colours(scheme)
			b.accessible(p.name + ", " + scheme)
			b.shot(p.name + "-" + scheme)
		}
		b.colours("light")
		b.size(390, 800)
		b.until(p.name+" fits a narrow screen", "document.documentElement.scrollWidth <= innerWidth")
		b.accessible(p.name + ", narrow")
		b.shot(p.name + "-narrow")
		b.size(1280, 900)
	}

	b.goTo("#/requests/" + sub.ID)
	b.until("the graph has the running job", inGraph("geocode-eu 40 %, running"))
	b.until("the graph has the failed job", inGraph("geocode-asia, failed"))
	b.press("Pause", true)
	b.shows("The request is paused.", "(paused)")
	b.press("Resume", false)
	b.until("it goes on", `!document.querySelector('.summary').textContent.includes('(paused)')`)
	half.open(t)
	b.until("progress moves", inGraph("geocode-eu 70 %, running"))
	end.open(t)
	b.until("the last job is done", inGraph("publish, done"))
	b.shows("9 of 9 jobs ended", "1 of 9 jobs failed")
	b.act("document.querySelector('details').open = true")
	b.shows("Critical path: extract → geocode-", "→ join →", "w1", "w2") // by either of two that are as long
	b.accessible("timeline")
	b.shot("timeline")
	b.press("Retry", true)
	b.shows("2 jobs put to work again")
	if j := c.WaitJob(sub.ID, "geocode-asia", "tried again", func(j harness.Job) bool { return j.Attempt == 2 && j.State == "failed" }); j.Attempt != 2 {
		t.Errorf("retried: %+v", j)
	}
	b.goTo("#/jobs/" + c.JobNamed(sub.ID, "geocode-asia").ID)
	b.shows("quota of 5000 used up", "exit code 3", "Attempts")
	b.goTo("#/jobs/" + c.JobNamed(sub.ID, "extract").ID)
	b.shows(`"rows": 12873`, "12873 rows", "complete")

	b.goTo("#/workers")
	b.press("Drain", true)
	b.shows("draining", "Undrain")
	b.press("Undrain", false)
	b.until("it is alive again", `!document.body.innerText.includes('Undrain')`)
	b.goTo("#/requests?state=running")
	b.shows("No request is like that.")
	b.goTo("#/requests?state=failed")
	b.shows(sub.ID)
	b.act("document.querySelector('th a').focus()")
	b.do("press Enter", chromedp.KeyEvent("\r"))
	b.until("a link works by keyboard", fmt.Sprintf("location.hash.endsWith(%q)", sub.ID))
	b.goTo("#/sessions")
	b.press("Close", true)
	b.shows("closed")
	b.until("nothing was loaded again", "window.loadedOnce")
	b.allFetched()
}
