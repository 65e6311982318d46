package harness

import (
	"os"
	"path/filepath"
	"strings"
)

// Gate is a file that shell jobs wait for, so that a test decides when they go on.
type Gate struct {
	tb   TB
	path string
}

// NewGate makes a gate that is shut.
func NewGate(tb TB) *Gate { return &Gate{tb: tb, path: filepath.Join(tb.TempDir(), "open")} }

// Wait is shell code that returns once the gate is open.
func (g *Gate) Wait() string {
	return "while [ ! -e '" + g.path + "' ]; do sleep 0.02; done"
}

// Test is shell code that succeeds if the gate is open.
func (g *Gate) Test() string { return "[ -e '" + g.path + "' ]" }

// Open lets all that wait go on.
func (g *Gate) Open() {
	g.tb.Helper()
	if err := os.WriteFile(g.path, nil, 0o644); err != nil {
		g.tb.Fatalf("open the gate: %v", err)
	}
}

// Lines is a file that jobs append lines to, for a test to read what ran.
type Lines struct {
	tb   TB
	path string
}

// NewLines makes an empty file.
func NewLines(tb TB) *Lines { return &Lines{tb: tb, path: filepath.Join(tb.TempDir(), "lines")} }

// Add is shell code that appends what the shell makes of text as one line; short lines of several jobs do not mix.
func (l *Lines) Add(text string) string { return `echo "` + text + `" >> '` + l.path + "'" }

// Read returns the lines so far.
func (l *Lines) Read() []string {
	l.tb.Helper()
	text, err := os.ReadFile(l.path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		l.tb.Fatalf("read what jobs wrote: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}
