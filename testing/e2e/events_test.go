package e2e

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// triggers does something once each of several texts has been written, in their order.
type triggers struct {
	seen strings.Builder
	next []trigger
}

type trigger struct {
	text string
	do   func()
}

func (w *triggers) Write(b []byte) (int, error) {
	w.seen.Write(b)
	for len(w.next) > 0 && strings.Contains(w.seen.String(), w.next[0].text) {
		w.next[0].do()
		w.next = w.next[1:]
	}
	return len(b), nil
}

// TestEvents follows a request on the command line: what was and what happens, as NDJSON and as lines.
func TestEvents(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	gate := harness.NewGate(t)
	r := c.Submit(request(t, object{"name": "a", "shell": gate.Wait()}))
	other := c.Submit(request(t, object{"name": "b", "shell": "true"}))
	c.WaitJobState(r.ID, "a", "running")
	want(t, c.CLI("pause", r.ID), 0)
	want(t, c.CLI("resume", r.ID), 0)

	signals := make(chan syscall.Signal, 1)
	out := want(t, c.Run(harness.Command{
		Args: []string{"events", "-f", "--from", "1", "--request", r.ID, "-o", "json"}, Signal: signals,
		Stdout: &triggers{next: []trigger{
			{`"state":"running"`, gate.Open}, // from here on it happens while it is followed
			{`"state":"done"`, func() { signals <- syscall.SIGINT }},
		}},
	}), 130).Stdout
	var told []string
	for line := range strings.Lines(out) {
		var e struct {
			Type, Request, State string
			JobName              string `json:"job_name"`
			Index                uint64
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Request != r.ID || e.Index == 0 {
			t.Errorf("line %q: %v", line, err)
		}
		told = append(told, strings.Join([]string{e.Type, e.JobName, e.State}, " "))
	}
	in := []string{"request  running", "job a ready", "job a picked", "job a running", "request  running", "request  running", "job a done"}
	if !inOrder(told, in...) {
		t.Errorf("followed: %q, want in order %q", told, in)
	}

	c.WaitRequest(other.ID, "done")
	lines := want(t, c.CLI("events"), 0).Stdout
	mentions(t, "muster events", lines, "request="+r.ID, "name=b state=done", "worker=w1 state=alive")
	want(t, c.CLI("events", "--request", "r0000000999"), 6)
}
