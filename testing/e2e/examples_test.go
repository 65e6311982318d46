package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// failing are the examples that are meant to fail: they show what a failure does to what depends on it.
var failing = []string{"seed.yaml", "conditions.yaml"}

// heldExample waits for somebody: see TestHeldExample.
const heldExample = "hold.yaml"

// TestHeldExample does what the comment of the example says; the pause is for TestPauseAndResume.
func TestHeldExample(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	path := filepath.Join(harness.Root(t), "examples", heldExample)
	id := strings.TrimSpace(want(t, c.CLI("submit", path), 0).Stdout)
	mentions(t, "muster why", want(t, c.CLI("why", id+"/step-1"), 0).Stdout, "held: its request was submitted on hold")
	want(t, c.CLI("resume", "@last"), 0)
	c.WaitRequest(id, "done")
}

// TestExamples runs every example the way the README tells a newcomer to, and looks for the file that it says it wrote.
func TestExamples(t *testing.T) {
	beside(t)
	root := harness.Root(t)
	files, err := filepath.Glob(filepath.Join(root, "examples", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		if name == heldExample {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c := harness.Prepare(t, harness.Options{})
			r := c.Run(harness.Command{
				Args: []string{"dev", "--http", "127.0.0.1:0", "--data", t.TempDir(), "--run", filepath.Join("examples", name)},
				Dir:  root,
			})
			code := 0
			if slices.Contains(failing, name) {
				code = 1
			}
			want(t, r, code)
			mentions(t, "muster dev --run", r.Stderr, "Dashboard  http://127.0.0.1:", "/#/requests/r")
			for _, result := range named(r.Stdout + r.Stderr) {
				if info, err := os.Stat(inRoot(root, result)); err != nil || info.Size() == 0 {
					t.Errorf("the example says that its result is in %s: %v", result, err)
				}
			}
			if code == 0 && len(named(r.Stdout+r.Stderr)) == 0 {
				t.Errorf("the example does not say where its result is:\n%s\n%s", r.Stdout, r.Stderr)
			}
		})
	}
}

// resultFile is how an output names the file that a person is to open.
var resultFile = regexp.MustCompile(`[^\s"'(]+\.(?:svg|html|png|txt|md)\b`)

// named are the files that a text names.
func named(text string) []string { return resultFile.FindAllString(text, -1) }

func inRoot(root, path string) string {
	path = strings.TrimPrefix(path, "file://")
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}
