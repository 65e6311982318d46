//go:build linux

package hard

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// save keeps a cluster's state in a file.
func save(t *testing.T, c *harness.Cluster) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "saved")
	if res := c.CLI("operator", "snapshot", "save", path); res.Code != 0 {
		t.Fatalf("save: exit %d: %s", res.Code, res.Stderr)
	}
	return path
}

// TestRestoreOfAForeignSnapshot: the snapshot of a cluster of three that is lost is refused by another one, of one
// coordinator, and changes nothing there; forced, it is in place: what had ended has, what had not does, and a submit that
// is repeated gets its first answer.
func TestRestoreOfAForeignSnapshot(t *testing.T) {
	lost := start(t, harness.Options{})
	gate := harness.NewGate(t)
	ended := lost.SubmitAs("key of what ended", named(t, "ended", object{"name": "a", "shell": "true"}))
	lost.WaitRequest(ended.ID, "done")
	open := lost.SubmitAs("key of what had not", named(t, "open", object{"name": "a", "shell": gate.Wait()},
		object{"name": "b", "needs": []string{"a"}, "shell": "true"}))
	lost.WaitJobState(open.ID, "a", "running")
	path := save(t, lost)
	for _, n := range append(lost.Coordinators(), lost.Workers()...) {
		n.Kill()
	}

	c := start(t, harness.Options{Coordinators: 1})
	own := c.Submit(named(t, "own", object{"name": "a", "shell": "true"}))
	c.WaitRequest(own.ID, "done")
	if res := c.CLI("operator", "snapshot", "restore", path); res.Code != 7 || !strings.Contains(res.Stderr, "another cluster") || !strings.Contains(res.Stderr, "force") {
		t.Fatalf("unforced: exit %d: %s", res.Code, res.Stderr)
	}
	if got := c.Requests(); len(got) != 1 || got[0].ID != own.ID || got[0].Name != "own" {
		t.Fatalf("what was refused changed something: %+v", got)
	}
	gate.Open()
	if res := c.CLI("operator", "snapshot", "restore", path, "--force"); res.Code != 0 || !strings.Contains(res.Stdout, "2 requests") {
		t.Fatalf("forced: exit %d: %s%s", res.Code, res.Stdout, res.Stderr)
	}
	if r := c.Request(ended.ID); r.State != "done" || r.Name != "ended" {
		t.Errorf("what had ended: %+v", r)
	}
	c.WaitRequest(open.ID, "done")
	if j := c.JobNamed(open.ID, "a"); j.Attempt <= 1000 {
		t.Errorf("the job that a worker held is done as attempt %d, want one that the lost cluster cannot have used", j.Attempt)
	}
	if again := c.SubmitAs("key of what ended", named(t, "ended", object{"name": "a", "shell": "true"})); again.ID != ended.ID {
		t.Errorf("a submit repeated got %s, first %s", again.ID, ended.ID)
	}
	anew := c.Submit(named(t, "anew", object{"name": "a", "shell": "true"}))
	c.WaitRequest(anew.ID, "done")
	if anew.ID <= open.ID {
		t.Errorf("a new request is %s, after %s", anew.ID, open.ID)
	}
	only := c.Leader()
	only.Kill()
	only.Restart(t)
	c.WaitLeader()
	if got := len(c.Requests()); got != 3 {
		t.Errorf("%d requests after a restart", got)
	}
}

// TestRestoreOfADamagedSnapshot: a file with a bit changed, or cut short anywhere, is refused, by the command line and by a
// coordinator that is sent it all the same, and changes nothing.
func TestRestoreOfADamagedSnapshot(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	r := c.Submit(named(t, "kept", object{"name": "a", "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	path := save(t, c)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	after := c.Submit(named(t, "after", object{"name": "a", "shell": "true"}))
	c.WaitRequest(after.ID, "done")
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0x10
	for what, data := range map[string][]byte{
		"a bit": flipped, "cut short": whole[:len(whole)-1], "half": whole[:len(whole)/2], "more": append(bytes.Clone(whole), 0), "other": []byte("<html>"),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if res := c.CLI("operator", "snapshot", "restore", path, "--force"); res.Code != 1 || !strings.Contains(res.Stderr, "not a whole snapshot file") {
			t.Errorf("%s: exit %d: %s", what, res.Code, res.Stderr)
		}
		for _, n := range c.Coordinators() {
			if got, err := n.Do("PUT", "/v1/operator/snapshot?force=true", string(data), "Content-Type", "application/octet-stream"); err != nil || got.Status != 400 {
				t.Errorf("%s, sent to %s: %v %v", what, n.Name(), got, err)
			}
		}
	}
	if got := len(c.Requests()); got != 2 {
		t.Errorf("%d requests are left of 2", got)
	}
	c.CheckHashes()
}

// TestRestoreUnderLoad: the state of a while ago is put in place while requests come and run. All coordinators are of one
// state afterwards, what came since the saving is gone, and all that is there ends; also across the next leader and a
// restart of all.
func TestRestoreUnderLoad(t *testing.T) {
	c := start(t, harness.Options{Slots: 8})
	spec := named(t, "load", object{"name": "a", "shell": "true"}, object{"name": "b", "needs": []string{"a"}, "shell": "true"})
	l := begin(t, c, 4, spec)
	l.await(t, 50)
	before := l.count()
	path := save(t, c)
	l.await(t, 50)
	if res := c.CLI("operator", "snapshot", "restore", path); res.Code != 0 {
		t.Fatalf("restore: exit %d: %s", res.Code, res.Stderr)
	}
	l.await(t, 50)
	all := l.end()
	kept := map[string]bool{}
	for _, r := range c.Requests() {
		kept[r.ID] = true
	}
	lost := 0
	for i, id := range all {
		switch {
		case kept[id]:
			c.WaitRequest(id, "done")
		case i < before:
			t.Errorf("request %s was acknowledged before the saving, and is gone", id)
		default:
			lost++
		}
	}
	if lost == 0 {
		t.Error("nothing of what came after the saving is gone")
	}
	for id := range kept {
		c.WaitRequest(id, "done")
	}
	c.CheckHashes()
	old := c.Leader()
	old.Kill()
	c.WaitLeader()
	next := c.Submit(spec)
	c.WaitRequest(next.ID, "done")
	old.Restart(t)
	healthy(t, c)
	c.CheckHashes()
	for _, r := range c.Requests() {
		delete(kept, r.ID)
	}
	if len(kept) > 0 {
		t.Errorf("%d requests are gone that were there before the leader changed", len(kept))
	}
}
