package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// badSpecs are requests that must be refused, with what the answer must say.
var badSpecs = []struct {
	name, body string
	status     int
	says       []string
}{
	{"cycle", "jobs:\n- {name: z, shell: x, needs: [c]}\n- {name: a, shell: x, needs: [b]}\n- {name: c, shell: x, needs: [a]}\n- {name: b, shell: x, needs: [c]}\n", 400, []string{"a -> b -> c -> a"}},
	{"needs itself", "jobs: [{name: a, shell: x, needs: [a]}]", 400, []string{"a -> a"}},
	{"unknown need", "jobs:\n- {name: train, shell: x}\n- {name: report, shell: x, needs: [trian]}\n", 400, []string{`"report"`, `"trian"`, `"train"`}},
	{"duplicate name", "jobs:\n- {name: a, shell: x}\n- {name: a, shell: x}\n", 400, []string{`"a"`}},
	{"unknown field", "jobs:\n  - name: a\n    shell: x\n    comand: [x]\n", 400, []string{"comand", "command"}},
	{"no jobs", "name: empty\n", 400, []string{"jobs"}},
	{"malformed YAML", "jobs:\n  - name: a\n   shell: x\n", 400, []string{"malformed"}},
	{"malformed JSON", `{"jobs": [}`, 400, []string{"malformed"}},
	{"JSON cut short", `{"jobs": [{"name": "a", "shell": "x"`, 400, nil},
	{"nothing", " ", 400, nil},
	{"not UTF-8", "jobs: [{name: a, shell: \"\xff\"}]", 400, []string{"UTF-8"}},
	{"deep nesting", `{"jobs":[{"name":"a","shell":"x","payload":` + strings.Repeat("[", 100_000), 400, nil},
	{"no action", "jobs: [{name: a}]", 400, []string{"command"}},
	{"two actions", "jobs: [{name: a, shell: x, handler: y}]", 400, []string{"shell", "handler"}},
	{"priority out of range", "jobs: [{name: a, shell: x, priority: 1000}]", 400, []string{"1000", "100"}},
	{"bad duration", "jobs: [{name: a, shell: x, timeout: soon}]", 400, []string{"soon"}},
}

// placed are the bad specs whose answer must name this line and column.
var placed = map[string][2]int{
	"unknown field":  {4, 5},
	"unknown need":   {3, 36},
	"duplicate name": {3, 10},
}

// TestBadRequests submits what must be refused, over HTTP to each coordinator and by the command line, and sees that
// nothing has changed.
func TestBadRequests(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	kept := c.Submit(request(t, object{"name": "a", "shell": "true"}))
	c.WaitRequest(kept.ID, "done")

	t.Run("over HTTP", func(t *testing.T) {
		c := c.On(t)
		for i, bad := range badSpecs {
			t.Run(bad.name, func(t *testing.T) {
				refusedOverHTTP(t, c.Coordinators()[i%3], bad.body, bad.status, bad.says, placed[bad.name])
			})
		}
		t.Run("oversize payload", func(t *testing.T) {
			body := request(t, object{"name": "a", "shell": "true", "payload": strings.Repeat("x", 300<<10)})
			a, err := c.Leader().Do("POST", "/v1/requests", body)
			if err != nil || a.Status < 400 || a.Status >= 500 {
				t.Fatalf("%v, %v", a, err)
			}
			mentions(t, "the answer", string(a.Body), "payload")
		})
		t.Run("oversize body", func(t *testing.T) {
			body := `{"jobs":[{"name":"a","shell":"` + strings.Repeat("x", 300<<20) + `"}]}`
			a, err := c.Leader().Do("POST", "/v1/requests", body)
			if err == nil && a.Status != 413 { // it may hang up before all is sent
				t.Errorf("%.200s", a)
			}
		})
		t.Run("unknown media type", func(t *testing.T) {
			a, err := c.Leader().Do("POST", "/v1/requests", "jobs: []", "Content-Type", "image/png")
			if err != nil || a.Status < 400 || a.Status >= 500 {
				t.Errorf("%v, %v", a, err)
			}
		})
	})
	t.Run("command line", func(t *testing.T) {
		c := c.On(t)
		for _, bad := range badSpecs {
			t.Run(bad.name, func(t *testing.T) { refusedByCLI(t, c.On(t), bad.body, bad.says, placed[bad.name]) })
		}
	})
	t.Run("paths", func(t *testing.T) { badPaths(t, c.On(t)) })

	if all := c.Requests(); len(all) != 1 || all[0].ID != kept.ID || all[0].State != "done" {
		t.Errorf("there is more or less than the one good request: %+v", all)
	}
	again := c.Submit(request(t, object{"name": "a", "shell": "true"}))
	c.WaitRequest(again.ID, "done")
}

// problem is an RFC 9457 document.
type problem struct {
	Type, Title, Detail string
	Status              int
	Line, Column        int
}

func refusedOverHTTP(t *testing.T, n *harness.Node, body string, status int, says []string, at [2]int) {
	t.Helper()
	a, err := n.Do("POST", "/v1/requests", body)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != status || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("%s, %v; want %d and a problem document", a.Header.Get("Content-Type"), a, status)
	}
	var p problem
	if err := a.Decode(&p); err != nil {
		t.Fatal(err)
	}
	if p.Status != status || p.Title == "" || p.Detail == "" || p.Type == "" {
		t.Errorf("problem %+v", p)
	}
	mentions(t, "the detail", p.Detail, says...)
	if at != [2]int{} && at != [2]int{p.Line, p.Column} {
		t.Errorf("it names line %d, column %d, want %v", p.Line, p.Column, at)
	}
}

func refusedByCLI(t *testing.T, c *harness.Cluster, body string, says []string, at [2]int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
	r := c.CLI("submit", file)
	if r.Code != 2 || r.Stdout != "" {
		t.Errorf("code %d, stdout %q, stderr %q; want 2 and nothing on stdout", r.Code, r.Stdout, r.Stderr)
	}
	mentions(t, "stderr", r.Stderr, append(says, "bad.yaml")...)
	if at != [2]int{} {
		mentions(t, "stderr", r.Stderr, fmt.Sprintf("bad.yaml:%d:%d", at[0], at[1]))
	}
}

// badPaths asks for what is not there.
func badPaths(t *testing.T, c *harness.Cluster) {
	for _, bad := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/requests/r0000zzzzzz", "", 404},
		{"GET", "/v1/requests/nonsense", "", 404},
		{"GET", "/v1/jobs/j0000zzzzzz-00000", "", 404},
		{"GET", "/v1/jobs/nonsense/history", "", 404},
		{"GET", "/v1/sessions/s0000zzzzzz", "", 404},
		{"GET", "/v1/nothing-here", "", 404},
		{"DELETE", "/v1/requests", "", 405},
		{"POST", "/v1/requests/r0000zzzzzz/cancel", "", 404},
		{"POST", "/v1/workers/w0000zzzzzz/drain", "", 404},
		{"POST", "/v1/board/pick", `{"worker": "w0000zzzzzz", "max": 1}`, 404},
		{"POST", "/v1/board/pick", `{"worker": 7}`, 400},
		{"POST", "/v1/board/pick", `{"worker": "w", "unknown": 1}`, 400},
		{"POST", "/v1/board/alive", `[]`, 400},
		{"POST", "/v1/workers", `{"name": `, 400},
		{"POST", "/v1/workers", `{"name": "x", "slots": -1}`, 400},
		{"GET", "/v1/requests?limit=minus", "", 400},
		{"GET", "/v1/requests?state=sideways", "", 400},
	} {
		t.Run(bad.method+" "+bad.path, func(t *testing.T) {
			for _, n := range c.Coordinators() {
				a, err := n.Do(bad.method, bad.path, bad.body)
				if err != nil {
					t.Fatal(err)
				}
				if a.Status != bad.status || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/problem+json") {
					t.Errorf("%s: %s %v; want %d and a problem document", n.Name(), a.Header.Get("Content-Type"), a, bad.status)
				}
			}
		})
	}
}
