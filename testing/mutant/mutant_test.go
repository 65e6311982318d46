package mutant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root makes a module of one package with one file.
func root(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module m\n", "go.sum": "", "a.go": "package a\n\nconst right = true\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOverlayHasTheBug(t *testing.T) {
	dir := t.TempDir()
	flag, err := Mutant{File: "a.go", Old: "true", New: "false"}.Flag(root(t), dir)
	if err != nil || flag != "-overlay="+filepath.Join(dir, "overlay.json") {
		t.Fatal(flag, err)
	}
	code, err := os.ReadFile(filepath.Join(dir, "mutant.go"))
	if err != nil || !strings.Contains(string(code), "right = false") {
		t.Errorf("%s %v", code, err)
	}
}

func TestABugWithoutAPlaceIsAnError(t *testing.T) {
	if _, err := (Mutant{File: "a.go", Old: "wrong", New: "false"}).Flag(root(t), t.TempDir()); err == nil || !strings.Contains(err.Error(), `no "wrong" any more`) {
		t.Error(err)
	}
}
