//go:build unix && !linux

package worker

import (
	"os"
	"syscall"
)

// groupAttr gives a process a group of its own. Without Linux's parent-death signal the guard alone sees to it that
// nothing outlives a worker that was killed.
func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// child is a process that we started.
type child struct{ pid int }

// startChild starts a process. Its awaitExit must follow.
func startChild(path string, argv []string, attr *syscall.ProcAttr) (c child, err error) {
	c.pid, err = syscall.ForkExec(path, argv, attr)
	return c, err
}

// awaitExit returns when the process has ended, and reaps it: there is no portable way to leave that for later.
func (c *child) awaitExit() (status syscall.WaitStatus, reaped bool, err error) {
	status, err = reapChild(c.pid)
	return status, true, err
}

// outputPipe makes a pipe: our end, for which the runtime waits, and the job's, which blocks as programs expect.
func outputPipe() (ours, theirs *os.File, err error) {
	if ours, theirs, err = os.Pipe(); err == nil {
		theirs.Fd() // blocks from here on
	}
	return ours, theirs, err
}

// groupLives says whether somebody is left in a group.
func groupLives(group int) bool { return syscall.Kill(-group, 0) == nil }

// marked finds nobody: other environments cannot be read portably.
func marked(string, string) []int { return nil }

// openElsewhere says whether somebody else may have f open, which cannot be known portably.
func openElsewhere(*os.File) bool { return true }
