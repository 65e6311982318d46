package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

// lookEvery is how often a loader asks whether its request has ended.
const lookEvery = 100 * time.Millisecond

func marshal(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// waitOver waits until a request has ended. It returns an error when the request is not known or ctx ends.
func waitOver(ctx context.Context, c *harness.Cluster, id string) error {
	last := "unheard of"
	for {
		a, err := c.Ask(ctx, "GET", "/v1/requests/"+id, "")
		if err != nil {
			return fmt.Errorf("request %s was last %s: %w", id, last, err)
		}
		if a.Status != 200 {
			return fmt.Errorf("request %s, which was acknowledged: %v", id, a)
		}
		var r harness.Request
		if err := a.Decode(&r); err != nil {
			return err
		}
		if r.Over() {
			return nil
		}
		last = fmt.Sprintf("%s %v", r.State, r.Counts)
		t := time.NewTimer(lookEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("request %s has not ended: it is %s", id, last)
		case <-t.C:
		}
	}
}

// check compares what the cluster says with what was asked of it and what jobs noted when they ran. It returns the
// numbers of jobs and of runs.
func check(tb harness.TB, c *harness.Cluster, all []accepted, ran *harness.Lines) (jobs, runs int) {
	tb.Helper()
	noted := map[string]int{} // "job attempt" → how often it ran
	for _, line := range ran.Read() {
		noted[line]++
		if noted[line] == 2 {
			tb.Errorf("an attempt ran twice: %s", line)
		}
	}
	for _, a := range all {
		jobs += len(a.jobs)
		checkRequest(tb, c, a, noted)
	}
	checkNothingMore(tb, c, all)
	c.CheckHashes()
	return jobs, len(noted)
}

// checkNothingMore: a key that was sent several times has made one request only.
func checkNothingMore(tb harness.TB, c *harness.Cluster, all []accepted) {
	tb.Helper()
	known := map[string]string{}
	for _, a := range all {
		known[a.ID] = a.key
	}
	for _, r := range c.Requests() {
		if strings.HasPrefix(r.Name, keyPrefix) && known[r.ID] != r.Name {
			tb.Errorf("request %s (%s) is there, but %q was acknowledged under that id", r.ID, r.Name, known[r.ID])
		}
	}
}

func checkRequest(tb harness.TB, c *harness.Cluster, a accepted, noted map[string]int) {
	tb.Helper()
	wantJobs, wantRequest := a.outcome()
	if r := c.Request(a.ID); r.State != wantRequest || r.Name != a.key {
		tb.Errorf("request %s (%s) is %s, want %s", a.ID, r.Name, r.State, wantRequest)
	}
	jobs := c.Jobs(a.ID)
	if len(jobs) != len(a.jobs) {
		tb.Errorf("request %s has %d jobs, want %d", a.ID, len(jobs), len(a.jobs))
		return
	}
	histories := make([][]harness.Step, len(jobs))
	for i, j := range jobs {
		histories[i] = c.History(j.ID)
		if j.Name != name(i) || j.State != wantJobs[i] {
			tb.Errorf("job %s is %s %s (%s), want %s %s:\n%s", j.ID, j.Name, j.State, j.Reason, name(i), wantJobs[i], tell(histories[i]))
		}
		if err := harness.CheckSteps(j, histories[i]); err != nil {
			tb.Errorf("job %s: %v:\n%s", j.ID, err, tell(histories[i]))
		}
		if n := ends(histories[i]); n != 1 {
			tb.Errorf("job %s ended %d times:\n%s", j.ID, n, tell(histories[i]))
		}
		if j.State == "done" && noted[fmt.Sprintf("%s %d", j.ID, j.Attempt)] == 0 {
			tb.Errorf("job %s is done by attempt %d, which never ran", j.ID, j.Attempt)
		}
	}
	for i, j := range a.jobs {
		for _, n := range j.needs {
			if picked, done := first(histories[i], "picked"), last(histories[n], "done"); picked != 0 && (done == 0 || picked < done) {
				tb.Errorf("job %s was picked by entry %d, its need %s was done by %d", jobs[i].ID, picked, name(n), done)
			}
		}
	}
}

// ends is how many steps of a history ended the job. Nobody retries what the load's requests have come to.
func ends(steps []harness.Step) (n int) {
	for _, s := range steps {
		if s.Terminal() {
			n++
		}
	}
	return n
}

// first and last are the log index of a state in a history; 0: it is not there.
func first(steps []harness.Step, state string) uint64 {
	for _, s := range steps {
		if s.State == state {
			return s.Index
		}
	}
	return 0
}

func last(steps []harness.Step, state string) uint64 {
	for _, s := range slices.Backward(steps) {
		if s.State == state {
			return s.Index
		}
	}
	return 0
}

// tell writes a history for people.
func tell(steps []harness.Step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "  %d %s %s attempt %d on %s %s %s\n", s.Index, s.Time.Format(time.StampMilli), s.State, s.Attempt, s.Worker, s.Reason, s.Error)
	}
	return b.String()
}
