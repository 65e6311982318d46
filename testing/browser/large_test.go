package browser

import (
	"fmt"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// TestTenThousandJobs opens a request of 10,000 jobs that runs. What is drawn stays small whatever the list and the graph
// hold, and is right when ten thousand events come at once. How long things took is told, and judges nothing.
func TestTenThousandJobs(t *testing.T) {
	b := open(t)
	c := harness.Start(t, harness.Options{})
	hold := newGate(t)
	jobs := []object{job("split", "true")}
	jobs = append(jobs, repeat(5000, "map", hold.wait(), func(int) []string { return []string{"split"} })...)
	jobs = append(jobs, repeat(4998, "reduce", "true", func(i int) []string { return []string{fmt.Sprintf("map-%d", i)} })...)
	jobs = append(jobs, job("report", "true", "reduce-0", "reduce-4997"))
	sub := c.Submit(harness.Spec(t, object{"name": "ten thousand", "max_running": 8, "jobs": jobs}))
	c.WaitJobState(sub.ID, "split", "done")
	b.visit(c.Leader(), "#/requests/"+sub.ID)
	b.shows("of 10,000 jobs ended", "map-*", "reduce-*")
	paint := value[float64](b, "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
	ready := value[float64](b, "performance.now()")

	// The slowest turn of the page's loop while it works.
	b.act(`let last = performance.now(); window.slowest = 0; window.lags = [];
		const turn = () => { const now = performance.now(); window.slowest = Math.max(window.slowest, now - last); last = now;
			const lag = Number(document.querySelector('.graph')?.dataset.lag); if (lag) window.lags.push(lag); requestAnimationFrame(turn); };
		turn();`)
	b.until("few rows are drawn", `(n => n > 10 && n < 120)(document.querySelectorAll('.rows .row').length)`)
	b.until("few boxes are drawn", `document.querySelectorAll('.graph .node').length === 4`)
	b.act(`document.querySelector('.rows').scrollTop = 1e9`)
	b.until("the last job is in reach", `[...document.querySelectorAll('.rows .row')].some((r) => r.textContent.startsWith('report'))`)
	b.until("few rows are drawn at the end", `document.querySelectorAll('.rows .row').length < 120`)
	b.act(`document.querySelector('.graph .node.group').dispatchEvent(new MouseEvent('click', {bubbles: true}))`)
	b.shows("5,000 of 10,000 jobs", "only map-*")
	b.shot("ten-thousand")
	hold.open(t)
	b.until("jobs end as it is looked at", `/\d/.test(document.querySelector('.summary').textContent) && !document.querySelector('.summary').textContent.includes('1 of 10,000')`)
	b.press("Cancel", true)
	b.shows("10,000 of 10,000 jobs ended")
	r := c.WaitRequest(sub.ID, "cancelled")
	for _, state := range []string{"done", "cancelled"} {
		b.until("it counts what the cluster counts", fmt.Sprintf(`[...document.querySelectorAll('.legend li')].some((l) => l.textContent.replace(/[ ,]/g, '') === %q)`, fmt.Sprint(state, r.Counts[state])))
	}
	slowest := value[float64](b, "window.slowest")
	lag := value[float64](b, "window.lags.sort((a, b) => a - b)[Math.floor(window.lags.length / 2)] || 0")
	t.Logf("10,000 jobs: first paint after %.0f ms, all drawn after %.0f ms; events drawn %.0f ms after they happened (median); slowest turn of the page %.0f ms", paint, ready, lag, slowest)
	b.allFetched()
}
