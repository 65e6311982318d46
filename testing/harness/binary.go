package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

const module = "github.com/musterhq/muster"

// buildPrefix begins the name of a process's build directory; its process id follows.
const buildPrefix = "muster-harness-"

// built is the binary of this process: building it twice would only cost time.
var built = sync.OnceValues(build)

// Binary returns the path of the muster binary: MUSTER_BINARY, or one built from the tree once for each process.
func Binary(tb TB) string {
	tb.Helper()
	path, err := built()
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return path
}

// Root returns the directory of the module.
func Root(tb TB) string {
	tb.Helper()
	dir, err := root()
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return dir
}

var root = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find the directory of %s (run this inside the module, or set MUSTER_BINARY): %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
})

func build() (string, error) {
	if path := os.Getenv("MUSTER_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	dir, err := root()
	if err != nil {
		return "", err
	}
	sweepBuilds()
	out, err := os.MkdirTemp("", buildPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the binary: %w", err)
	}
	path := filepath.Join(out, "muster")
	args := []string{"build", "-o", path}
	if os.Getenv("MUSTER_RACE") == "1" {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/muster")...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ./cmd/muster: %w\n%s", err, text)
	}
	return path, nil
}

// sweepBuilds removes what processes that have ended built: a test process has no last moment of its own to do it in.
func sweepBuilds() {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), buildPrefix+"*"))
	if err != nil {
		return // only a malformed pattern: then there is nothing to sweep
	}
	for _, dir := range dirs {
		id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), buildPrefix), "-")
		pid, err := strconv.Atoi(id)
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(dir) // another process may sweep the same one
		}
	}
}
