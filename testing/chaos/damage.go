package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/musterhq/muster/testing/harness"
)

// harm is one way to damage a file below a coordinator's data directory.
type harm struct {
	name string
	file string
	do   func([]byte) []byte
	must bool // it must be refused: what is damaged is needed whatever else there is
}

var harms = []harm{
	{"the log's first page is empty", "log.db", zero(0, 4096), true},
	{"the log's second page is empty", "log.db", zero(4096, 8192), true},
	{"the log is empty", "log.db", func([]byte) []byte { return nil }, true},
	{"a bit of the log flipped, somewhere in the middle", "log.db", flip(1, 2), false},
	{"the stable store's first page is empty", "stable.db", zero(0, 4096), true},
	{"a bit of the stored term flipped", "stable.db", flipAfter("CurrentTerm"), true},
	{"a bit of each snapshot flipped", "snapshots", flip(1, 3), false},
}

// damage harms a file of a stopped follower. It must refuse to start and name the file, unless what is damaged is not
// needed. It is then emptied and joins anew, and what it was is removed.
func (s stage) damage(n *harness.Node, f Fault) (heal func()) {
	s.settled() // what it has is with a majority of the others as well
	status, err := n.Status()
	if err != nil {
		s.tb.Errorf("%s, which was healthy: %v", n.Name(), err)
		return func() {}
	}
	n.Kill()
	h := harms[f.further(len(harms))]
	changed, err := h.to(n.Data)
	if err != nil {
		s.tb.Errorf("damage %s of %s: %v", h.file, n.Name(), err)
	}
	s.tb.Logf("%s of %s: %s (changed: %v)", h.file, n.Name(), h.name, changed)
	return func() {
		if !s.refuses(n, h, changed) {
			return
		}
		n.Wipe(s.tb)
		n.Restart(s.tb)
		s.rejoins(n, status.Node)
	}
}

// refuses starts the coordinator and says whether it refused to.
func (s stage) refuses(n *harness.Node, h harm, changed bool) bool {
	before := len(n.Log())
	n.Begin(s.tb)
	n.Excuse()
	harness.Until(s.tb, harness.BoundDefault, n.Name()+" to refuse its damaged files, or to serve", func() error {
		if !n.Running() {
			return nil
		}
		status, err := n.Status()
		if err == nil && (status.Health != "healthy" || status.Leader == nil) {
			err = fmt.Errorf("it is %s: %s", status.Health, status.Problem)
		}
		return err
	})
	text := n.Log()[before:]
	_, text, _ = strings.Cut(text, "\n") // the harness's own line names the directory
	switch {
	case n.Running() && h.must && changed:
		s.tb.Errorf("%s started although %s", n.Name(), h.name)
	case !n.Running() && !changed:
		s.tb.Errorf("%s did not start although nothing is damaged:\n%s", n.Name(), text)
	case !n.Running() && (n.ExitCode() <= 0 || !strings.Contains(text, filepath.Join(n.Data, h.file))):
		s.tb.Errorf("%s ended with code %d and did not name %s:\n%s", n.Name(), n.ExitCode(), h.file, text)
	}
	return !n.Running()
}

// rejoins waits until the coordinator is a voter under a new identity and removes the old one.
func (s stage) rejoins(n *harness.Node, old string) {
	harness.Until(s.tb, harness.BoundDefault, n.Name()+" to vote under a new identity", func() error {
		status, err := n.Status()
		if err != nil {
			return err
		}
		for _, m := range status.Coordinators {
			if m.ID == status.Node && m.Voter && m.ID != old {
				return nil
			}
		}
		return fmt.Errorf("it is %s, was %s, members %+v", status.Node, old, status.Coordinators)
	})
	harness.Until(s.tb, harness.BoundDefault, "the identity that "+n.Name()+" lost to be removed", func() error {
		if res := s.c.CLI("operator", "raft", "remove", old); res.Code != 0 {
			return errors.New(res.Stderr)
		}
		return nil
	})
}

// to harms the file, or every file below the directory, in a data directory.
func (h harm) to(data string) (changed bool, err error) {
	err = filepath.WalkDir(filepath.Join(data, h.file), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		was, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		is := h.do(bytes.Clone(was))
		if bytes.Equal(was, is) {
			return nil
		}
		changed = true
		return os.WriteFile(path, is, 0o600)
	})
	return changed, err
}

// flip changes one bit at a fraction of the way through.
func flip(of, parts int) func([]byte) []byte {
	return func(b []byte) []byte {
		if len(b) > 0 {
			b[len(b)*of/parts] ^= 0x04
		}
		return b
	}
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

// zero clears a range.
func zero(from, to int) func([]byte) []byte {
	return func(b []byte) []byte {
		clear(b[min(from, len(b)):min(to, len(b))])
		return b
	}
}
