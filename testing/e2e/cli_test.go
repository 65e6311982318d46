package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/testing/harness"
)

// TestCommandLine tries the commands on one cluster: what they print, and the exit codes that scripts rely on.
func TestCommandLine(t *testing.T) {
	play(t, start(t, harness.Options{Slots: 8}), []scene{
		{"submit", cliSubmit},
		{"submit with wait", cliSubmitWait},
		{"submit under a key", cliSubmitKey},
		{"run", cliRun},
		{"wait", cliWait},
		{"interrupt", cliInterrupt},
		{"json is the HTTP document", cliJSON},
		{"lists and tables", cliLists},
		{"graph", cliGraph},
		{"cancel and retry", cliCancelRetry},
		{"exit codes of what is wrong", cliWrong},
		{"snapshot", cliSnapshot},
		{"transfer of leadership", cliTransfer},
	})
}

// file writes a spec where the command line can read it.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "request.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// want checks how a command ended, and that it drew nothing where there is no terminal.
func want(t *testing.T, r harness.Result, code int) harness.Result {
	t.Helper()
	if r.Code != code {
		t.Fatalf("code %d, want %d\nstdout: %s\nstderr: %s", r.Code, code, r.Stdout, r.Stderr)
	}
	if strings.Contains(r.Stdout+r.Stderr, "\x1b") || strings.Contains(r.Stdout, "\r") {
		t.Errorf("colours or cursor moves without a terminal: %q %q", r.Stdout, r.Stderr)
	}
	if code != 0 && code != 1 && r.Stderr == "" {
		t.Errorf("nothing on stderr says why the code is %d", code)
	}
	return r
}

func cliSubmit(t *testing.T, c *harness.Cluster) {
	r := want(t, c.CLI("submit", file(t, `jobs: [{name: a, shell: "true"}]`)), 0)
	id := strings.TrimSpace(r.Stdout)
	if strings.ContainsAny(id, " \n") {
		t.Fatalf("stdout is %q, want the request's id alone", r.Stdout)
	}
	c.WaitRequest(id, "done")
	want(t, c.Run(harness.Command{Args: []string{"submit", "--wait", "-"}, Stdin: strings.NewReader(`{"jobs": [{"name": "a", "shell": "true"}]}`)}), 0)
}

func cliSubmitWait(t *testing.T, c *harness.Cluster) {
	good := file(t, "jobs: [{name: first, shell: 'true'}, {name: second, needs: [first], shell: 'true'}]")
	r := want(t, c.CLI("submit", "--wait", good), 0)
	mentions(t, "the progress", r.Stderr+r.Stdout, "first", "second", "done")
	bad := file(t, "jobs: [{name: first, shell: 'echo broken pipe > $MUSTER_ERROR; exit 4'}, {name: second, needs: [first], shell: 'true'}]")
	r = want(t, c.CLI("submit", "--wait", bad), 1)
	mentions(t, "the progress", r.Stderr+r.Stdout, "first", "failed", "broken pipe")
}

func cliSubmitKey(t *testing.T, c *harness.Cluster) {
	path := file(t, "jobs: [{name: a, shell: 'true'}]")
	first := want(t, c.CLI("submit", "--idempotency-key", "cli-key", path), 0)
	again := want(t, c.CLI("submit", "--idempotency-key", "cli-key", path), 0)
	if first.Stdout != again.Stdout {
		t.Errorf("the repeat is %s, the first was %s", again.Stdout, first.Stdout)
	}
	want(t, c.CLI("submit", "--idempotency-key", "cli-key", file(t, "jobs: [{name: b, shell: 'true'}]")), 7)
}

func cliRun(t *testing.T, c *harness.Cluster) {
	r := want(t, c.CLI("run", "--", "sh", "-c", "echo to stdout; echo to stderr >&2; exit 7"), 7)
	mentions(t, "stdout", r.Stdout, "to stdout\n")
	mentions(t, "stderr", r.Stderr, "to stderr\n")
	if strings.Contains(r.Stdout, "to stderr") {
		t.Errorf("stdout has what the job wrote to stderr: %q", r.Stdout)
	}
	want(t, c.CLI("run", "--", "true"), 0)
	large := want(t, c.CLI("run", "--", "sh", "-c", "seq 1 50000"), 0)
	if lines := strings.Count(large.Stdout, "\n"); lines != 50000 {
		t.Errorf("%d lines of output, want 50000", lines)
	}
}

func cliWait(t *testing.T, c *harness.Cluster) {
	gate := harness.NewGate(t)
	id := c.Submit(request(t, object{"name": "a", "shell": gate.Wait()})).ID
	want(t, c.CLI("wait", id, "--timeout", "300ms"), 124)
	gate.Open()
	want(t, c.CLI("wait", id), 0)
	bad := c.Submit(request(t, object{"name": "a", "shell": "exit 1"})).ID
	want(t, c.CLI("wait", bad), 1)
}

// onFirstWrite runs a function once something is written.
type onFirstWrite struct {
	once sync.Once
	run  func()
}

func (w *onFirstWrite) Write(b []byte) (int, error) {
	w.once.Do(w.run)
	return len(b), nil
}

// cliInterrupt: once the command has printed the request's id it is waiting; Ctrl-C then ends the command alone.
func cliInterrupt(t *testing.T, c *harness.Cluster) {
	gate := harness.NewGate(t)
	signals := make(chan syscall.Signal, 1)
	r := want(t, c.Run(harness.Command{
		Args:   []string{"submit", "--wait", file(t, request(t, object{"name": "a", "shell": gate.Wait()}))},
		Stdout: &onFirstWrite{run: func() { signals <- syscall.SIGINT }},
		Signal: signals,
	}), 130)
	id := strings.Fields(r.Stdout)[0]
	if got := c.Request(id).State; got != "running" {
		t.Errorf("giving up waiting made the request %s", got)
	}
	gate.Open()
	c.WaitRequest(id, "done")
}

func cliJSON(t *testing.T, c *harness.Cluster) {
	s := c.Submit(request(t, object{"name": "a", "shell": "echo 1 > $MUSTER_RESULT", "payload": object{"b": 1, "a": "<x>"}}, object{"name": "b", "needs": []string{"a"}, "shell": "true"}))
	c.WaitRequest(s.ID, "done")
	job := c.JobNamed(s.ID, "a").ID
	for _, pair := range []struct {
		path string
		args []string
	}{
		{"/v1/requests/" + s.ID, []string{"request", "show", s.ID}},
		{"/v1/requests/" + s.ID + "/jobs", []string{"jobs", s.ID}},
		{"/v1/jobs/" + job, []string{"job", "show", job}},
		{"/v1/jobs/" + job + "/history", []string{"job", "history", job}},
	} {
		var served, printed any
		if err := c.Call("GET", pair.path, "").Decode(&served); err != nil {
			t.Fatal(err)
		}
		r := want(t, c.CLI(append(pair.args, "-o", "json")...), 0)
		if err := json.Unmarshal([]byte(r.Stdout), &printed); err != nil {
			t.Fatalf("muster %v -o json: %v\n%s", pair.args, err, r.Stdout)
		}
		if diff := cmp.Diff(served, printed); diff != "" {
			t.Errorf("muster %v -o json differs from GET %s (-served +printed):\n%s", pair.args, pair.path, diff)
		}
		yaml := want(t, c.CLI(append(pair.args, "-o", "yaml")...), 0)
		if strings.HasPrefix(strings.TrimSpace(yaml.Stdout), "{") || yaml.Stdout == "" {
			t.Errorf("muster %v -o yaml printed %s", pair.args, yaml.Stdout)
		}
	}
}

func cliLists(t *testing.T, c *harness.Cluster) {
	s := c.Submit(harness.Spec(t, object{"name": "listed", "session": "lists", "jobs": []object{{"name": "only-job", "shell": "true"}}}))
	c.WaitRequest(s.ID, "done")
	for _, look := range []struct {
		args  []string
		shows []string
	}{
		{[]string{"status"}, []string{"c1", "c2", "c3", "healthy", "tolerates 1"}},
		{[]string{"members"}, []string{"c1", "c2", "c3", "w1", "w2"}},
		{[]string{"workers"}, []string{"w1", "w2"}},
		{[]string{"sessions"}, []string{"lists"}},
		{[]string{"requests"}, []string{s.ID}},
		{[]string{"requests", "--session", "lists"}, []string{s.ID, "listed", "done"}},
		{[]string{"jobs", s.ID}, []string{"only-job", "done"}},
		{[]string{"operator", "raft", "list"}, []string{"c1", "c2", "c3"}},
		{[]string{"version"}, []string{"muster"}},
	} {
		r := want(t, c.CLI(look.args...), 0)
		mentions(t, "muster "+strings.Join(look.args, " "), r.Stdout, look.shows...)
	}
	want(t, c.CLI("status", "--wait-leader", "30s"), 0)
}

func cliGraph(t *testing.T, c *harness.Cluster) {
	s := c.Submit(request(t, object{"name": "top", "shell": "true"}, object{"name": "left", "needs": []string{"top"}, "shell": "true"},
		object{"name": "right", "needs": []string{"top"}, "shell": "true"}, object{"name": "bottom", "needs": []string{"left", "right"}, "shell": "true"}))
	c.WaitRequest(s.ID, "done")
	r := want(t, c.CLI("graph", s.ID), 0)
	mentions(t, "the graph", r.Stdout, "top", "left", "right", "bottom")
	r = want(t, c.CLI("graph", "--dot", s.ID), 0)
	mentions(t, "the dot graph", r.Stdout, "digraph", "->", "bottom")
}

func cliCancelRetry(t *testing.T, c *harness.Cluster) {
	gate := harness.NewGate(t)
	id := c.Submit(request(t, object{"name": "a", "shell": gate.Wait()})).ID
	want(t, c.CLI("cancel", id), 0)
	c.WaitRequest(id, "cancelled")
	want(t, c.CLI("wait", id), 1)

	id = c.Submit(request(t, object{"name": "a", "shell": gate.Test()})).ID
	c.WaitRequest(id, "failed")
	gate.Open()
	want(t, c.CLI("retry", id), 0)
	c.WaitRequest(id, "done")
	want(t, c.CLI("cancel", id), 7)
	want(t, c.CLI("retry", id), 7)
}

func cliWrong(t *testing.T, c *harness.Cluster) {
	for _, wrong := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"submitt", "x"}, 2, []string{"submit"}},
		{[]string{"submit"}, 2, []string{"FILE"}},
		{[]string{"submit", "/no/such/file.yaml"}, 2, []string{"/no/such/file.yaml"}},
		{[]string{"status", "--no-such-flag"}, 2, []string{"--no-such-flag", "--help"}},
		{[]string{"status", "-o", "xml"}, 2, []string{"xml", "json"}},
		{[]string{"request", "show", "r0000zzzzzz"}, 6, []string{"r0000zzzzzz"}},
		{[]string{"job", "show", "j0000zzzzzz-00000"}, 6, []string{"j0000zzzzzz-00000"}},
		{[]string{"wait", "r0000zzzzzz"}, 6, []string{"r0000zzzzzz"}},
		{[]string{"cancel", "r0000zzzzzz"}, 6, []string{"r0000zzzzzz"}},
		{[]string{"drain", "nobody"}, 6, []string{"nobody"}},
		{[]string{"status", "--addr", "127.0.0.1:1", "--timeout", "1s"}, 3, []string{"127.0.0.1:1"}},
		{[]string{"submit", "--addr", "127.0.0.1:1", "--timeout", "1s", file(t, "jobs: [{name: a, shell: x}]")}, 3, []string{"127.0.0.1:1"}},
	} {
		t.Run(strings.Join(wrong.args, " "), func(t *testing.T) {
			r := want(t, c.On(t).CLI(wrong.args...), wrong.code)
			mentions(t, "stderr", r.Stderr, wrong.says...)
			if r.Stdout != "" {
				t.Errorf("stdout: %s", r.Stdout)
			}
		})
	}
}

func cliTransfer(t *testing.T, c *harness.Cluster) {
	old := c.Leader()
	to := c.Followers()[0]
	want(t, c.CLI("operator", "raft", "transfer", to.Name()), 0)
	harness.Until(t, harness.BoundDefault, to.Name()+" to lead", func() error {
		if now := c.Leader(); now != to {
			return fmt.Errorf("%s leads, %s did", now.Name(), old.Name())
		}
		return nil
	})
}

// cliSnapshot saves the state by way of each coordinator, and finds in the file what the cluster has.
func cliSnapshot(t *testing.T, c *harness.Cluster) {
	want(t, c.CLI("run", "--", "true"), 0)
	listed := func() int { // others submit beside this
		var l struct {
			Requests []struct{} `json:"requests"`
		}
		if err := json.Unmarshal([]byte(want(t, c.CLI("requests", "-o", "json"), 0).Stdout), &l); err != nil {
			t.Fatal(err)
		}
		return len(l.Requests)
	}
	for _, n := range c.Coordinators() {
		path := filepath.Join(t.TempDir(), n.Name()+".snapshot")
		before := listed()
		want(t, c.CLI("operator", "snapshot", "save", path, "--addr", n.Addresses().HTTP), 0)
		after := listed()
		var found struct {
			Node     string `json:"node"`
			Requests int    `json:"requests"`
		}
		text := want(t, c.CLI("operator", "snapshot", "inspect", path, "-o", "json"), 0).Stdout
		if err := json.Unmarshal([]byte(text), &found); err != nil {
			t.Fatal(err)
		}
		if found.Node != c.Leader().Name() || found.Requests < before || found.Requests > after {
			t.Errorf("saved at %s: %+v, want %d to %d requests of the leader\n%s", n.Name(), found, before, after, text)
		}
	}
}
