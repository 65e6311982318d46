package worker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIdentity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	first, err := openIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v", info.Mode(), err)
	}
	if _, err := openIdentity(dir); err == nil || !strings.Contains(err.Error(), "belongs to a worker that runs") {
		t.Errorf("a second worker in the same directory: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again.id != first.id || again.process == first.process {
		t.Errorf("restart: identity %s then %s, process %d then %d", first.id, again.id, first.process, again.process)
	}
	if err := again.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, identityFile), []byte("scrambled"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openIdentity(dir); err == nil || !strings.Contains(err.Error(), "remove it to start as a new worker") {
		t.Errorf("scrambled identity: %v", err)
	}
}
