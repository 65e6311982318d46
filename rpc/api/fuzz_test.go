package api

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/rpc/spec"
)

// FuzzBodies: whatever is sent, a decoder either gives a document that can be written again, or says as a problem of the
// caller's what is wrong.
func FuzzBodies(f *testing.F) {
	for _, s := range []string{
		`{"name": "x"}`, `{"worker": "w0000000001", "max": 2, "wait": "10s", "running": [{"id": "j", "attempt": 1}]}`,
		`{"worker": "w", "attempt": 1, "state": "DONE", "result": {"a": [1, null]}, "progress": 3, "retry": false}`,
		`[[[[`, "{\"a\\u0000\": \"\xff\"}", `{"wait": -1}`, `{"result": }`, "", "null", `"x"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, out := range []any{&rest.SessionOpen{}, &rest.WorkerJoin{}, &rest.Pick{}, &rest.Alive{}, &rest.Report{}, &rest.Transfer{}} {
			err := decodeJSON(body, out)
			var p *rest.Problem
			if err != nil && (!errors.As(err, &p) || p.Status != 400 || p.Detail == "" || p.Line < 0) {
				t.Fatalf("%T: %v", out, err)
			}
			if err == nil {
				if _, err := json.Marshal(out); err != nil {
					t.Fatalf("%T %+v cannot be written: %v", out, out, err)
				}
			}
		}
	})
}

// FuzzSubmit: a spec becomes a command or the caller's problem.
func FuzzSubmit(f *testing.F) {
	f.Add([]byte(chain))
	f.Add([]byte("jobs:\n- {name: a, shell: x, retry: {limit: 1, factor: 1e300}, priority: -5}\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := spec.Parse(body)
		if err != nil {
			return
		}
		if cmd, err := submitOf(&doc); err == nil && len(cmd.Jobs) != len(doc.Jobs) {
			t.Fatalf("%d jobs became %d", len(doc.Jobs), len(cmd.Jobs))
		}
	})
}
