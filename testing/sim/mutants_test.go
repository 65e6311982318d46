package sim

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/mutant"
)

// planted is a bug planted on purpose: a run must find it, or the checks are worth nothing.
type planted struct {
	mutant.Mutant
	args  []string
	finds string // a part of what the failure says
}

// alone makes only the search for an order count, so that it is seen to find the bug by itself.
var alone = []string{"-only=" + disorder}

// disorder is what a history says that has no order.
const disorder = "is not linearizable"

// What is said of a state's time.
const (
	early = "ahead of the true time"
	late  = "before the beginning"
)

var mutants = []planted{
	{Mutant: mutant.Mutant{Name: "no attempt check", File: "fsm/apply_job.go",
		Old: "if j.attempt != p.Attempt || j.worker != w {", New: "if false {"}, finds: "attempt"},
	{Mutant: mutant.Mutant{Name: "lost dedupe table", File: "fsm/apply_request.go",
		Old: "m.db.keys.Get(c.Key); ok {", New: "m.db.keys.Get(c.Key); ok && m.index%2 == 0 {"}, finds: "key"},
	{Mutant: mutant.Mutant{Name: "clock read in apply", File: "fsm/machine.go",
		Old: "m.now = max(m.now, now)", New: "m.now = max(m.now, now, time.Now().UnixNano())"}, finds: "saw"},
	{Mutant: mutant.Mutant{Name: "release before the need is done", File: "fsm/apply_job.go",
		Old: "\tj.started = m.stamp()\n", New: "\tj.started = m.stamp()\n\tfor _, dep := range m.dispatcher.done(&m.db, r, i) {\n\t\tm.release(r, dep)\n\t}\n"}},
	{Mutant: mutant.Mutant{Name: "read without asking a majority", File: "cluster/leader.go",
		Old: "return c.node.raft.VerifyLeader().Error()", New: "return nil"}, finds: "had ended"},
	{Mutant: mutant.Mutant{Name: "a leader begins with its own clock", File: "cluster/leader.go",
		Old: "walls, err := c.enoughWalls(ctx, last)", New: "walls, err := c.walls(voterIDs(c.node.raft.GetConfiguration().Configuration())), error(nil)"},
		args: []string{"-only=" + early}, finds: early},
	{Mutant: mutant.Mutant{Name: "the first leader begins with one of two clocks", File: "cluster/clock.go",
		Old: "case last == 0 && !bearOut(", New: "case false && !bearOut("}, args: []string{"-only=" + late}, finds: late},
	{Mutant: mutant.Mutant{Name: "pipelines that do not end", File: "cluster/raftnode.go",
		Old: "sureTransport{t, cfg.Election})", New: "t)"}},
	{Mutant: mutant.Mutant{Name: "no fsync"}, args: []string{"-lag=500ms"}},
	{Mutant: mutant.Mutant{Name: "no attempt check, found by linearizability", File: "fsm/apply_job.go",
		Old: "if j.attempt != p.Attempt || j.worker != w {", New: "if false {"}, args: alone, finds: disorder},
	{Mutant: mutant.Mutant{Name: "read without asking a majority, found by linearizability", File: "cluster/leader.go",
		Old: "return c.node.raft.VerifyLeader().Error()", New: "return nil"}, args: alone, finds: disorder},
	{Mutant: mutant.Mutant{Name: "lost dedupe table, found by linearizability", File: "fsm/apply_request.go",
		Old: "m.db.keys.Get(c.Key); ok {", New: "m.db.keys.Get(c.Key); ok && m.index%2 == 0 {"}, args: alone, finds: disorder},
	{Mutant: mutant.Mutant{Name: "release and acknowledge before a majority has it, found by linearizability", Module: "github.com/hashicorp/raft", File: "commitment.go",
		Old: "matched[(len(matched)-1)/2]", New: "matched[len(matched)-1]"}, args: alone, finds: disorder},
	{Mutant: mutant.Mutant{Name: "acknowledge a report before it is committed, found by linearizability", File: "cluster/tasker.go",
		Old: "func (t *Tasker) Propose(ctx context.Context, cmd fsm.Command) (any, error) {", New: `func (t *Tasker) Propose(ctx context.Context, cmd fsm.Command) (any, error) {
	if j, ok := cmd.(fsm.JobStates); ok && t.IsLeader() {
		go t.reallyPropose(context.WithoutCancel(ctx), cmd)
		return make([]fsm.Code, len(j.Reports)), nil
	}
	return t.reallyPropose(ctx, cmd)
}

func (t *Tasker) reallyPropose(ctx context.Context, cmd fsm.Command) (any, error) {`}, args: alone, finds: disorder},
}

// mutantSeeds are enough for each of them.
const mutantSeeds = "200"

func TestMutantsHaveTheirPlace(t *testing.T) {
	for _, m := range mutants {
		if m.File != "" && m.Module == "" {
			if _, err := m.Flag(filepath.Join("..", ".."), t.TempDir()); err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
		}
	}
}

func TestMutantsAreFound(t *testing.T) {
	if testing.Short() || os.Getenv("MUSTER_SIM_MUTANTS") == "" {
		t.Skip("builds the module once for each mutant: set MUSTER_SIM_MUTANTS=1")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.Name, " ", "_"), func(t *testing.T) {
			args := []string{"test", "-count=1", "-run=TestSeeds"}
			if m.File != "" {
				flag, err := m.Flag(root, t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				args = append(args, flag)
			}
			args = append(args, ".", "-seeds="+mutantSeeds, "-first")
			out, err := exec.Command("go", append(args, m.args...)...).CombinedOutput()
			switch {
			case err == nil:
				t.Fatalf("not found in %s seeds:\n%s", mutantSeeds, out)
			case !strings.Contains(string(out), "--- FAIL: TestSeeds") || !strings.Contains(string(out), m.finds):
				t.Fatalf("ended otherwise than by being found:\n%s", out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "seed ") {
					t.Logf("found by%s", line)
					break
				}
			}
		})
	}
}
