package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// start starts a cluster for a test that runs beside others.
func start(t *testing.T, opt harness.Options) *harness.Cluster {
	t.Helper()
	beside(t)
	return harness.Start(t, opt)
}

// beside lets a test run beside others, unless it is left out.
func beside(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("end-to-end tests are left out under -short")
	}
	t.Parallel()
}

// scene is one story on a cluster that it shares with others.
type scene struct {
	name string
	play func(*testing.T, *harness.Cluster)
}

// play runs scenes side by side on one cluster.
func play(t *testing.T, c *harness.Cluster, scenes []scene) {
	t.Helper()
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.play(t, c.On(t))
		})
	}
}

// object is JSON written in Go.
type object map[string]any

// request writes a request of these jobs.
func request(t *testing.T, jobs ...object) string {
	t.Helper()
	return harness.Spec(t, object{"jobs": jobs})
}

// states are the states that a job went through, the same one in a row only once.
func states(steps []harness.Step) []string {
	var list []string
	for _, s := range steps {
		list = append(list, s.State)
	}
	return slices.Compact(list)
}

// inOrder says whether want appears in list in that order, others between allowed.
func inOrder(list []string, want ...string) bool {
	for _, s := range list {
		if len(want) > 0 && s == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

// stepOf finds the first step in a state.
func stepOf(t *testing.T, steps []harness.Step, state string) harness.Step {
	t.Helper()
	i := slices.IndexFunc(steps, func(s harness.Step) bool { return s.State == state })
	if i < 0 {
		t.Fatalf("no step %s in %+v", state, steps)
	}
	return steps[i]
}

// checkHistory fails the test when a job's history does not hold together, see harness.CheckSteps.
func checkHistory(t *testing.T, job harness.Job, steps []harness.Step) {
	t.Helper()
	if err := harness.CheckSteps(job, steps); err != nil {
		t.Errorf("job %s: %v: %+v", job.Name, err, steps)
	}
}

// text is a JSON string's value.
func text(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatalf("%s is no JSON string: %v", raw, err)
	}
	return s
}

// mentions fails the test unless got contains each of the texts.
func mentions(t *testing.T, what, got string, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !strings.Contains(got, s) {
			t.Errorf("%s does not mention %q:\n%s", what, s, got)
		}
	}
}
