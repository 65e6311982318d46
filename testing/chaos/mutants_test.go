package chaos

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/testing/harness"
	"github.com/musterhq/muster/testing/mutant"
)

// mutantSeed gives each mutant the same faults.
const mutantSeed = 1

// mutantPatience is short: some bugs leave requests that never end.
const mutantPatience = 20 * time.Second

// TestMutantsAreFound soaks real processes with a bug in them.
func TestMutantsAreFound(t *testing.T) {
	if testing.Short() || os.Getenv("MUSTER_CHAOS_MUTANTS") == "" {
		t.Skip("builds muster once for each mutant and soaks it: set MUSTER_CHAOS_MUTANTS=1")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		mutant.Mutant
		lasts time.Duration
		finds string
	}{
		{mutant.Mutant{Name: "lost dedupe table", File: "fsm/apply_request.go",
			Old: "m.db.keys.Get(c.Key); ok {", New: "m.db.keys.Get(c.Key); ok && m.index%2 == 0 {"}, 20 * time.Second, "is not linearizable"},
		{mutant.Mutant{Name: "a report acknowledged before it is committed", File: "cluster/tasker.go",
			Old: "func (t *Tasker) Propose(ctx context.Context, cmd fsm.Command) (any, error) {", New: `func (t *Tasker) Propose(ctx context.Context, cmd fsm.Command) (any, error) {
	if j, ok := cmd.(*fsm.JobStates); ok && t.IsLeader() {
		go t.reallyPropose(context.WithoutCancel(ctx), cmd)
		return make([]fsm.Code, len(j.Reports)), nil
	}
	return t.reallyPropose(ctx, cmd)
}

func (t *Tasker) reallyPropose(ctx context.Context, cmd fsm.Command) (any, error) {`}, 60 * time.Second, "is not linearizable"},
	} {
		t.Run(strings.ReplaceAll(m.Name, " ", "_"), func(t *testing.T) {
			dir := t.TempDir()
			flag, err := m.Flag(root, dir)
			if err != nil {
				t.Fatal(err)
			}
			binary := filepath.Join(dir, "muster")
			if out, err := exec.Command("go", "build", flag, "-o", binary, root+"/cmd/muster").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var out bytes.Buffer
			err = harness.Main(t.Context(), "mutant", &out, func(tb harness.TB) {
				Soak(t.Context(), tb, Options{Seed: mutantSeed, For: m.lasts, Patience: mutantPatience, Cluster: harness.Options{Binary: binary}})
			})
			if !errors.Is(err, harness.ErrFailed) || !strings.Contains(out.String(), m.finds) {
				t.Fatalf("not found in %v: %v\n%s", m.lasts, err, &out)
			}
			for line := range strings.Lines(out.String()) {
				if strings.Contains(line, m.finds) {
					t.Logf("found: %s", line)
					break
				}
			}
		})
	}
}
