package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/wire"
)

// FuzzExchange lets a job leave arbitrary bytes in the files of the contract: the worker reads a result, a message and
// a progress within their bounds, and can hand the result on to the jobs that need it.
func FuzzExchange(f *testing.F) {
	for _, text := range []string{"", "42\n", `{"a": [1, null]}`, " [1] \n", "{\"a\": \"\xff\"}", "50% half\n7/10 more\n", "\xff\x00", "[[[[", "\n\n\n", "1e400"} {
		f.Add([]byte(text))
	}
	as, err := openAttempts(f.TempDir(), 1<<20, hclog.NewNullLogger())
	if err != nil {
		f.Fatal(err)
	}
	a, err := as.begin(testJob())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { a.end(); _ = as.close() })
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{resultFile, errorFile, progressFile} {
			if err := os.WriteFile(a.exchange.path(name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if message := a.message(); !utf8.ValidString(message) || len(message) > 3*errorBytesMax {
			t.Errorf("message of %d bytes: %.100q", len(message), message)
		}
		var said []int
		w := progressWatch{tell: func(percent int, text ...string) {
			said = append(said, percent)
			if percent < 0 || percent > 100 || len(text) != 1 || !utf8.ValidString(text[0]) || len(text[0]) > progressTextMax {
				t.Errorf("progress %d, %.100q", percent, text)
			}
		}}
		w.look(a)
		if w.look(a); len(said) > 1 {
			t.Errorf("one line was told as %v", said)
		}
		result, err := a.result()
		if err != nil {
			if len(data) <= ResultBytesMax {
				t.Errorf("%d bytes: %v", len(data), err)
			}
			return
		}
		if result.json && !json.Valid(result.data) || !result.json && result.data != nil && string(result.data) != string(data) {
			t.Errorf("%.100q became %.100q", data, result.data)
		}
		job := testJob()
		job.parents = []wire.Parent{{Name: "p", Result: result.data, JSON: result.json}}
		if input := jobInput(job); !json.Valid(input) {
			t.Errorf("the input of a job that needs it is not JSON: %.200q", input)
		}
	})
}

// FuzzWorkerIdentity puts arbitrary bytes into worker.id: the worker is who it says, or the file is named.
func FuzzWorkerIdentity(f *testing.F) {
	f.Add([]byte("00112233445566778899aabbccddeeff\n"))
	f.Add([]byte("00112233445566778899AABBCCDDEEFF"))
	f.Add([]byte(""))
	f.Add([]byte("\x00\x00\x00"))
	path := filepath.Join(f.TempDir(), identityFile)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := loadIdentity(path)
		switch {
		case err != nil && !strings.Contains(err.Error(), path):
			t.Errorf("%v: it does not say where", err)
		case err == nil && (len(id) != 2*identityBytes || !cmp.Equal(strings.TrimSpace(string(data)), id)):
			t.Errorf("%q was taken as %q", data, id)
		}
	})
}
