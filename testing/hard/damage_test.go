//go:build linux

package hard

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// TestDamagedFiles: bytes of a stopped coordinator's files are flipped. It refuses to start and names the file, or
// starts because what is damaged was not needed; either way no state comes of it that the others do not have. With its
// directory moved away, as it is told, it joins anew.
func TestDamagedFiles(t *testing.T) {
	damaged(t, "boltdb", []damage{
		{"the log's last entry", "log.db", flip("TAIL-2"), true},
		{"an entry of the log", "log.db", flip("TAIL-0"), true},
		{"entries before the snapshot", "log.db", flip("MARK-"), false},
		{"the log's first page", "log.db", zero(0, 4096), true},
		{"the log's second page", "log.db", zero(4096, 8192), true},
		{"the log's first two pages", "log.db", zero(0, 8192), true},
		{"the log cut in half", "log.db", func(b []byte) []byte { return b[:len(b)/2] }, false},
		{"an empty log", "log.db", func([]byte) []byte { return nil }, true},
		{"the term in the stable store", "stable.db", flipAfter("CurrentTerm"), true},
		{"the vote in the stable store", "stable.db", flipAfter("LastVoteCand"), true},
		{"the stable store's first page", "stable.db", zero(0, 4096), true},
		{"the stable store's second page", "stable.db", zero(4096, 8192), true},
		{"the stable store's first two pages", "stable.db", zero(0, 8192), true},
		{"an empty stable store", "stable.db", func([]byte) []byte { return nil }, true},
		{"no stable store", "stable.db", nil, true},
		{"no log", "log.db", nil, true},
		{"the identity", "node.json", flip("\"node\""), true},
		{"the snapshots", "snapshots", flip("MARK-"), false},
		{"the snapshots' descriptions", "snapshots", flip("\"Index\""), false},
	})
}

// TestDamagedWAL is TestDamagedFiles for the other log store. That one cannot tell a damaged last write from one that a
// crash cut off, and drops it; the leader sends it again.
func TestDamagedWAL(t *testing.T) {
	damaged(t, "wal", []damage{
		{"the log's last entry", "wal", flip("TAIL-2"), false},
		{"an entry of the log", "wal", flip("TAIL-0"), true},
		{"no log", "wal", nil, true},
	})
}

// damage is one way to harm a coordinator's files.
type damage struct {
	name string
	file string              // under the data directory
	harm func([]byte) []byte // of one file; nil: remove it
	must bool                // it must not start
}

// damaged harms the files of a coordinator with this log store in one way after the other.
func damaged(t *testing.T, store string, cases []damage) {
	t.Helper()
	c := start(t, harness.Options{Workers: -1, Coordinator: []string{
		"--raft-log-store", store, "--raft-snapshot-bytes", "1048576", "--raft-trailing-logs", "8"}})
	for i := range 100 { // some for a snapshot, the last for the log
		c.Submit(named(t, fmt.Sprintf("MARK-%03d", i), object{"name": "a", "shell": "true", "queue": "nobody",
			"payload": strings.Repeat(fmt.Sprintf("%04d", i), 4<<10)}))
	}
	c.CheckHashes()
	victim := c.Followers()[0]
	var snapshots []string
	harness.Until(t, harness.BoundDefault, "a snapshot", func() (err error) {
		snapshots, err = filepath.Glob(filepath.Join(victim.Data, "snapshots", "*-*-*[0-9]"))
		if err == nil && len(snapshots) == 0 {
			err = fmt.Errorf("there is none")
		}
		return err
	})
	for i := range 3 {
		c.Submit(named(t, fmt.Sprint("TAIL-", i), object{"name": "a", "shell": "true", "queue": "nobody"}))
	}
	c.CheckHashes()
	victim.Terminate()
	if code, err := victim.Wait(); err != nil || code != 0 {
		t.Fatalf("stop: %d, %v", code, err)
	}
	whole := keep(t, victim.Data)
	for _, damage := range cases {
		t.Run(damage.name, func(t *testing.T) {
			c := c.On(t)
			restore(t, whole, victim.Data)
			if !harm(t, filepath.Join(victim.Data, damage.file), damage.harm) {
				t.Skip("these bytes are not there")
			}
			res := tryStart(t, c, victim)
			switch {
			case res == "" && damage.must:
				t.Errorf("it started on damaged files")
			case res != "" && !strings.Contains(res, filepath.Join(victim.Data, damage.file)):
				t.Errorf("it does not name %s:\n%s", damage.file, res)
			case res != "":
				t.Logf("refused: %s", res)
			default:
				t.Log("started: what is damaged was not needed")
				c.CheckHashes()
				victim.Kill()
			}
		})
	}

	if err := os.RemoveAll(victim.Data); err != nil {
		t.Fatal(err)
	}
	victim.Restart(t)
	healthy(t, c)
	c.CheckHashes()
	if got := len(c.Requests()); got != 103 {
		t.Errorf("%d requests", got)
	}
}

// tryStart starts a coordinator that may refuse. It returns why it did, or nothing once it is as healthy as the rest.
func tryStart(t *testing.T, c *harness.Cluster, n *harness.Node) (refusal string) {
	t.Helper()
	before := len(n.Log())
	n.Begin(t)
	harness.Until(t, harness.BoundDefault, "the coordinator to refuse or to serve", func() error {
		if !n.Running() {
			return nil
		}
		s, err := n.Status()
		if err == nil && (s.Health != "healthy" || s.Leader == nil) {
			err = fmt.Errorf("it is %s: %s", s.Health, s.Problem)
		}
		return err
	})
	if n.Running() {
		return ""
	}
	n.Excuse()
	if n.ExitCode() <= 0 {
		t.Errorf("it ended with code %d", n.ExitCode())
	}
	_, text, _ := strings.Cut(n.Log()[before:], "\n")
	if text == "" {
		return "(it said nothing)"
	}
	return text
}

// keep copies a directory.
func keep(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "whole")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func restore(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// harm changes a file, or every file below a directory; no how removes it. It is false when nothing was changed.
func harm(t *testing.T, path string, how func([]byte) []byte) (changed bool) {
	t.Helper()
	if how == nil {
		return os.RemoveAll(path) == nil
	}
	err := filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		was, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		is := how(bytes.Clone(was))
		if bytes.Equal(was, is) {
			return nil
		}
		changed = true
		return os.WriteFile(p, is, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// flip changes one bit wherever a text occurs.
func flip(text string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(text), flipped(text, len(text)-1)) }
}

// flipAfter changes one bit of the byte that follows a text, wherever it occurs.
func flipAfter(text string) func([]byte) []byte {
	return func(b []byte) []byte {
		for at := 0; ; {
			i := bytes.Index(b[at:], []byte(text))
			if i < 0 || at+i+len(text) >= len(b) {
				return b
			}
			at += i + len(text)
			b[at] ^= 0x04
		}
	}
}

func flipped(text string, at int) []byte {
	b := []byte(text)
	b[at] ^= 0x04
	return b
}

// zero clears a range.
func zero(from, to int) func([]byte) []byte {
	return func(b []byte) []byte {
		clear(b[min(from, len(b)):min(to, len(b))])
		return b
	}
}
