package sim

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is a bug planted on purpose: a run must find it, or the checks are worth nothing.
type mutant struct {
	name     string
	module   string // whose file it is; empty: ours
	file     string // in the module
	old, new string
	args     []string
	finds    string // a part of what the failure says
}

// alone makes only the search for an order count, so that it is seen to find the bug by itself.
var alone = []string{"-only=" + disorder}

// disorder is what a history says that has no order.
const disorder = "is not linearizable"

var mutants = []mutant{
	{name: "no attempt check", file: "fsm/apply_job.go",
		old: "if j.attempt != p.Attempt || j.worker != w {", new: "if false {", finds: "attempt"},
	{name: "lost dedupe table", file: "fsm/apply_request.go",
		old: "m.db.keys.Get(c.Key); ok {", new: "m.db.keys.Get(c.Key); ok && m.index%2 == 0 {", finds: "key"},
	{name: "clock read in apply", file: "fsm/machine.go",
		old: "m.now = max(m.now, now)", new: "m.now = max(m.now, now, time.Now().UnixNano())", finds: "saw"},
	{name: "release before the need is done", file: "fsm/apply_job.go",
		old: "\tj.started = m.stamp()\n", new: "\tj.started = m.stamp()\n\tfor _, dep := range m.dispatcher.done(&m.db, r, i) {\n\t\tm.release(r, dep)\n\t}\n"},
	{name: "read without asking a majority", file: "cluster/leader.go",
		old: "return c.node.raft.VerifyLeader().Error()", new: "return nil", finds: "had ended"},
	{name: "a leader begins with its own clock", file: "cluster/coordinator.go",
		old: "if len(walls) <= voters/2 {", new: "if false {", finds: "ahead of the true time"},
	{name: "pipelines that do not end", file: "cluster/raftnode.go",
		old: "sureTransport{t})", new: "t)"},
	{name: "no fsync", args: []string{"-lag=500ms"}},
	{name: "no attempt check, found by linearizability", file: "fsm/apply_job.go",
		old: "if j.attempt != p.Attempt || j.worker != w {", new: "if false {", args: alone, finds: disorder},
	{name: "read without asking a majority, found by linearizability", file: "cluster/leader.go",
		old: "return c.node.raft.VerifyLeader().Error()", new: "return nil", args: alone, finds: disorder},
	{name: "lost dedupe table, found by linearizability", file: "fsm/apply_request.go",
		old: "m.db.keys.Get(c.Key); ok {", new: "m.db.keys.Get(c.Key); ok && m.index%2 == 0 {", args: alone, finds: disorder},
	{name: "release and acknowledge before a majority has it, found by linearizability", module: "github.com/hashicorp/raft", file: "commitment.go",
		old: "matched[(len(matched)-1)/2]", new: "matched[len(matched)-1]", args: alone, finds: disorder},
	{name: "acknowledge a report before it is committed, found by linearizability", file: "cluster/tasker.go",
		old: "\tanswer, err := l.committer.propose(", new: `	if j, ok := cmd.(fsm.JobStates); ok {
		err := l.committer.enqueue(proposal{command: fsm.Encode(cmd), answer: make(chan outcome, 1)})
		return make([]fsm.Code, len(j.Reports)), err
	}
	answer, err := l.committer.propose(`, args: alone, finds: disorder},
}

// mutantSeeds are enough for each of them.
const mutantSeeds = "60"

func TestMutantsAreFound(t *testing.T) {
	if testing.Short() || os.Getenv("MUSTER_SIM_MUTANTS") == "" {
		t.Skip("builds the module once for each mutant: set MUSTER_SIM_MUTANTS=1")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			args := []string{"test", "-count=1", "-run=TestSeeds"}
			switch {
			case m.module != "":
				args = append(args, "-modfile="+m.modfile(t, root))
			case m.file != "":
				args = append(args, "-overlay="+m.overlay(t, root))
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

// overlay writes the mutant of the file and what go build needs to take it instead.
func (m mutant) overlay(t *testing.T, root string) string {
	t.Helper()
	path := filepath.Join(root, filepath.FromSlash(m.file))
	dir := t.TempDir()
	mutated := filepath.Join(dir, "mutant.go")
	m.mutate(t, path, mutated)
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{path: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// mutate writes the file at to, with the bug in it.
func (m mutant) mutate(t *testing.T, path, to string) {
	t.Helper()
	code, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(code), m.old) == 0 {
		t.Fatalf("%s has no %q any more", path, m.old)
	}
	if err := os.WriteFile(to, []byte(strings.ReplaceAll(string(code), m.old, m.new)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// modfile makes a copy of the module with the bug in it, and a go.mod that takes that one: an overlay may not replace what
// lies in the module cache.
func (m mutant) modfile(t *testing.T, root string) string {
	t.Helper()
	where, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", m.module).Output()
	if err != nil {
		t.Fatalf("find %s: %v", m.module, err)
	}
	from := strings.TrimSpace(string(where))
	dir := t.TempDir()
	mutated := filepath.Join(dir, "mutant")
	if err := os.CopyFS(mutated, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(mutated, filepath.FromSlash(m.file))
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	m.mutate(t, path, path)
	file := filepath.Join(dir, "go.mod")
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err == nil && name == "go.mod" {
			text = append(text, "\nreplace "+m.module+" => "+mutated+"\n"...)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return file
}
