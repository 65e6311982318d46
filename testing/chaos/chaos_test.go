package chaos

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

// TestShortSoak is a soak of a few faults. MUSTER_SOAK says for how long instead, MUSTER_SEED with which seed.
func TestShortSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("soaks are left out under -short")
	}
	o := Options{Seed: rand.Uint64(), Faults: 5}
	if text := os.Getenv("MUSTER_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("MUSTER_SEED: %v", err)
		}
		o.Seed = seed
	}
	if text := os.Getenv("MUSTER_SOAK"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("MUSTER_SOAK: %v", err)
		}
		o.Faults, o.For = 0, d
	}
	t.Logf("replay with: MUSTER_SEED=%d MUSTER_SOAK=%v go test ./testing/chaos -run TestShortSoak", o.Seed, max(o.For, time.Minute))
	report := Soak(t.Context(), t, o)
	t.Logf("%v", report)
}

func TestASeedIsASchedule(t *testing.T) {
	one, same, other := NewPlan(7), NewPlan(7), NewPlan(8)
	kinds, differs := map[Kind]bool{}, false
	for range 2000 {
		f := one.Next()
		kinds[f.Kind] = true
		if f != same.Next() {
			t.Fatal("the same seed gives another schedule")
		}
		differs = differs || f != other.Next()
		if f.Hold < 0 || f.Gap < 0 || f.Gap > gapMost {
			t.Errorf("%+v", f)
		}
	}
	if !differs || len(kinds) != len(shapes) {
		t.Errorf("another seed differs: %v; kinds %v", differs, kinds)
	}
}

func TestWorkIsADAGWithAKnownEnd(t *testing.T) {
	random := stream(1, 1)
	seen := map[string]int{}
	for n := range 500 {
		w := generate(random, 1, n)
		jobs, request := w.outcome()
		for i, j := range w.jobs {
			for _, need := range j.needs {
				if need >= i {
					t.Fatalf("job %d needs %d", i, need)
				}
			}
			seen[jobs[i]]++
		}
		if (request == "failed") != slices.Contains(jobs, "failed") {
			t.Errorf("%v ends %s", jobs, request)
		}
	}
	if len(seen) != 3 {
		t.Errorf("the load has jobs that end %v", seen)
	}
}

func TestCheckStepsSeesWhatIsWrong(t *testing.T) {
	step := func(index uint64, state string, attempt int) harness.Step {
		return harness.Step{Index: index, State: state, Attempt: attempt}
	}
	good := []harness.Step{step(1, "ready", 0), step(1, "picked", 1), step(2, "running", 1), step(3, "done", 1)}
	done := harness.Job{State: "done", Attempt: 1}
	if err := checkSteps(done, good); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string][]harness.Step{
		"ended twice":         append(slices.Clone(good), step(4, "failed", 1)),
		"never ended":         good[:3],
		"index goes back":     {step(2, "ready", 0), step(1, "done", 0)},
		"attempt goes back":   {step(1, "picked", 2), step(2, "done", 1)},
		"attempt left out":    {step(1, "ready", 0), step(2, "picked", 2), step(3, "done", 2)},
		"goes on after ended": {step(1, "done", 1), step(2, "running", 1)},
	} {
		if checkSteps(done, bad) == nil {
			t.Errorf("%s is not noticed", name)
		}
	}
}
