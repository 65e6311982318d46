package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/musterhq/muster/testing/harness"
	"github.com/musterhq/muster/testing/wftrace/wfformat"
)

// traceScale runs a recorded minute in 60 ms.
const traceScale = 0.001

// TestRecordedWorkflows runs real workflows' DAGs, with scaled run times, and checks by the cluster's own times that
// no job started before its parents had ended. MUSTER_WF_DATA names a directory of WfFormat files.
func TestRecordedWorkflows(t *testing.T) {
	paths := traces(t)
	c := start(t, harness.Options{Slots: 16})
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			runTrace(t, c.On(t), path)
		})
	}
}

// traces are the small one that is kept here and those of MUSTER_WF_DATA, or of a shared data directory beside the tree.
func traces(t *testing.T) []string {
	t.Helper()
	root := harness.Root(t)
	dir := os.Getenv("MUSTER_WF_DATA")
	if dir == "" {
		dir = filepath.Join(root, "..", "shared", "data", "wfinstances")
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Logf("no recorded workflows in %s: set MUSTER_WF_DATA to run more than the one that is kept here", dir)
	}
	return append(found, filepath.Join(root, "testing", "wftrace", "wfformat", "testdata", "diamond.json"))
}

func runTrace(t *testing.T, c *harness.Cluster, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	trace, err := wfformat.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := wfformat.Convert(trace, wfformat.Options{TimeScale: traceScale, Session: "traces"})
	if err != nil {
		t.Fatal(err)
	}
	r := c.Submit(harness.Spec(t, spec))
	end := c.WaitRequest(r.ID, "done")
	jobs := c.JobNames(r.ID)
	if len(jobs) != len(trace.Tasks) {
		t.Errorf("%d jobs for %d tasks", len(jobs), len(trace.Tasks))
	}
	for _, task := range trace.Tasks {
		j := jobs[task.ID]
		if j.Attempt != 1 {
			t.Errorf("%s ended as attempt %d", task.ID, j.Attempt)
		}
		for _, parent := range task.Parents {
			if j.Times.Started.Before(jobs[parent].Times.Ended) {
				t.Errorf("%s started at %v, before its parent %s ended at %v", task.ID, j.Times.Started, parent, jobs[parent].Times.Ended)
			}
		}
	}
	work, span := wfformat.Work(trace, traceScale)
	t.Logf("%d jobs, %v of work, longest chain %v: took %v", len(jobs), work, span, end.Ended.Sub(end.Created))
	if took := end.Ended.Sub(end.Created); took < span {
		t.Errorf("it took %v, less than its longest chain of %v", took, span)
	}
}
