package mutant

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Mutant is a bug: New stands where Old was.
type Mutant struct {
	Name     string
	Module   string // whose file it is; empty: ours
	File     string // in the module, with slashes
	Old, New string
}

// Flag is what makes go build take the bug in. root is the directory of our go.mod; dir takes the files, and must outlive
// the build. It fails when Old is not in the file any more.
func (m Mutant) Flag(root, dir string) (string, error) {
	if m.Module != "" {
		return m.modfile(root, dir)
	}
	return m.overlay(root, dir)
}

func (m Mutant) overlay(root, dir string) (string, error) {
	path := filepath.Join(root, filepath.FromSlash(m.File))
	mutated := filepath.Join(dir, "mutant.go")
	if err := m.mutate(path, mutated); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{path: mutated}})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return "-overlay=" + file, os.WriteFile(file, list, 0o600)
}

// mutate writes the file to another path, with the bug in it.
func (m Mutant) mutate(path, to string) error {
	code, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !strings.Contains(string(code), m.Old) {
		return fmt.Errorf("%s has no %q any more", path, m.Old)
	}
	return os.WriteFile(to, []byte(strings.ReplaceAll(string(code), m.Old, m.New)), 0o600)
}

// modfile makes a copy of the module with the bug in it, and a go.mod that takes that one: an overlay may not replace what
// lies in the module cache.
func (m Mutant) modfile(root, dir string) (string, error) {
	where, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", m.Module).Output()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", m.Module, err)
	}
	copied := filepath.Join(dir, "copy")
	if err := os.CopyFS(copied, os.DirFS(strings.TrimSpace(string(where)))); err != nil {
		return "", err
	}
	path := filepath.Join(copied, filepath.FromSlash(m.File))
	if err := os.Chmod(path, 0o600); err != nil { // the module cache is read only
		return "", err
	}
	if err := m.mutate(path, path); err != nil {
		return "", err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		if name == "go.mod" {
			text = append(text, "\nreplace "+m.Module+" => "+copied+"\n"...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", err
		}
	}
	return "-modfile=" + filepath.Join(dir, "go.mod"), nil
}
