//go:build linux

package hard

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

func openFiles(t *testing.T, n *harness.Node) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.PID()))
	if err != nil {
		t.Skipf("this system does not list open files: %v", err)
	}
	return len(list)
}

// TestMemoryRunsShort: coordinators with 300 MiB each are handed requests within every limit until no more are taken. They
// are refused as overloaded, with a time to come again; nobody dies, what runs ends, reads answer, and nothing that was
// acknowledged is lost by a restart.
func TestMemoryRunsShort(t *testing.T) {
	const limit = 300 << 20
	c := start(t, harness.Options{
		Workers: 1, Env: []string{fmt.Sprintf("GOMEMLIMIT=%d", limit)}, Coordinator: []string{"--max-body", "16777216"},
	})
	running := c.Submit(named(t, "runs", object{"name": "a", "shell": "until test -e " + t.TempDir() + "/go; do sleep 0.1; done"}))
	c.WaitJobState(running.ID, "a", "running")
	const jobs = 2000
	list := make([]object, jobs)
	for i := range list {
		list[i] = object{"name": fmt.Sprint("job-", i), "handler": "x", "queue": "nobody", "payload": strings.Repeat("x", 2<<10)}
	}
	spec := named(t, "full", list...)
	taken := 0
	harness.Until(t, 4*harness.BoundDefault, "a request to be refused for want of memory", func() error {
		a, err := c.Leader().Do("POST", "/v1/requests", spec)
		switch {
		case err != nil:
			return err
		case a.Status == http.StatusCreated:
			taken++
			return fmt.Errorf("%d were taken", taken)
		case code(a) == "overloaded" && strings.Contains(string(a.Body), "memory"):
			return nil
		}
		return fmt.Errorf("answered %v", a)
	})
	var most int64
	for _, n := range c.Coordinators() {
		most = max(most, memory(t, n))
	}
	t.Logf("%d requests of %d jobs were taken; the largest coordinator has %d MiB", taken, jobs, most>>20)
	if taken == 0 || most > limit+limit/2 {
		t.Errorf("%d were taken, and the largest coordinator has %d MiB", taken, most>>20)
	}
	if a := c.Call("POST", "/v1/requests/"+running.ID+"/cancel", ""); a.Status/100 != 2 {
		t.Errorf("cancel: %v", a)
	}
	c.WaitRequest(running.ID, "cancelled")
	for _, n := range c.Coordinators() {
		n.Restart(t)
	}
	c.WaitLeader()
	if n := len(c.Requests()); n != taken+1 {
		t.Errorf("after a restart there are %d requests, want %d", n, taken+1)
	}
	c.CheckHashes()
}
