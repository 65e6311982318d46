package cluster

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// exitDisk is the exit status of a node that ends itself, because of its disk or of a state that only a start mends.
const exitDisk = 70

// fatalFunc ends the process, or the test that stands in for it. It is called at most a few times and may return.
type fatalFunc func(reason string)

// restartMends ends the reason of a node that ends itself when nothing needs to be seen to.
const restartMends = "restart it, the start mends that"

// exitOnFatal logs the reason and where every goroutine is, and exits.
func exitOnFatal(log hclog.Logger) fatalFunc {
	const (
		writeTimeout = 2 * time.Second // the log may be on the disk that hangs
		stacksMax    = 4 << 20
	)
	var once sync.Once
	return func(reason string) {
		once.Do(func() {
			time.AfterFunc(writeTimeout, func() { os.Exit(exitDisk) })
			log.Error("this node ends itself", "reason", reason)
			stacks := make([]byte, stacksMax)
			_, _ = os.Stderr.Write(stacks[:runtime.Stack(stacks, true)])
			os.Exit(exitDisk)
		})
	}
}

// diskGuard ends the process when a write hangs or fails. Raft's leader would stay leader with a hung disk, and be elected
// again with one that refuses writes (hashicorp/raft#503, #614); a hung write may also still land after an error was
// returned for it, so there is no going on.
type diskGuard struct {
	limit time.Duration // zero: writes may take for ever
	path  string
	fatal fatalFunc
	quiet atomic.Bool // errors are for the caller alone: before Raft runs, and after it ended
}

// write does a write under watch.
func (g *diskGuard) write(what string, f func() error) error {
	if g.limit > 0 {
		watch := time.AfterFunc(g.limit, func() {
			g.fatal(fmt.Sprintf("%s in %s has been hanging for %s (raft.disk_stall_limit): see to the disk, then restart", what, g.path, g.limit))
		})
		defer watch.Stop()
	}
	err := f()
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s in %s: %w", what, g.path, err)
	if !g.quiet.Load() {
		next := "see to the disk, then restart"
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			next = "the disk is full: make room, then restart; nothing that was acknowledged is lost"
		}
		g.fatal(fmt.Sprintf("%v: %s", err, next))
	}
	return err
}
