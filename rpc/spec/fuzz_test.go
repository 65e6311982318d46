package spec

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/musterhq/muster/rpc/rest"
)

// What Parse accepts it also reads from its own JSON, unchanged; what it refuses it refuses as an *Error.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		everyField, "{}", `{"jobs":[{"name":"a","shell":"x","needs":["b"]},{"name":"b","command":["y",1]}]}`,
		"jobs:\n- &a {name: a, shell: x}\n- *a\n", "jobs: [{name: a, shell: x, payload: [0x1f, .5, +1, 1_0, 010]}]",
		"{jobs: [{name: a, handler: b}]}", "jobs: [{name: a, shell: x, payload: {? [] : b}}]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		first, err := Parse(body)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Message == "" || len(e.Problems()) > ProblemsMax {
				t.Fatalf("%#v", err)
			}
			return
		}
		again, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Parse(again)
		if err != nil {
			t.Fatalf("%v in %s", err, again)
		}
		for i := range first.Jobs {
			for _, list := range [][]rest.Need{first.Jobs[i].Needs, first.Jobs[i].NeedsAny} {
				for k := range list {
					if list[k].When == rest.WhenDone { // the default is left out
						list[k].When = ""
					}
				}
			}
		}
		if diff := cmp.Diff(first, second, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\nin %s", diff, again)
		}
	})
}
