package chaos

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
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
	if report := Soak(t.Context(), t, o); !t.Failed() {
		t.Logf("%v", report)
	}
}

func TestASeedIsASchedule(t *testing.T) {
	one, same, other := newPlan(7, network|disks, nil), newPlan(7, network|disks, nil), newPlan(8, network|disks, nil)
	kinds, differs := map[Kind]bool{}, false
	for range 5000 {
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

func TestAMachineGetsTheFaultsThatItAllows(t *testing.T) {
	for _, has := range []need{0, network, disks} {
		plan := newPlan(7, has, nil)
		for range 5000 {
			f := plan.Next()
			for _, s := range shapes {
				if s.kind == f.Kind && s.needs&^has != 0 {
					t.Fatalf("%s comes on a machine that has %b", f.Kind, has)
				}
			}
		}
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
