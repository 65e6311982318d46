//go:build unix && !linux

package worker

import (
	"os"
	"syscall"
)

// groupAttr gives a process a group of its own. Without Linux's parent-death signal the guard alone sees to it that
// nothing outlives a worker that was killed.
func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit returns when the process has ended, and reaps it: there is no portable way to leave that for later.
func awaitExit(p *os.Process) (*os.ProcessState, error) { return p.Wait() }

// groupLives says whether somebody is left in a group.
func groupLives(group int) bool { return syscall.Kill(-group, 0) == nil }

// marked finds nobody: other environments cannot be read portably.
func marked(string, string) []int { return nil }

// openElsewhere says whether somebody else may have f open, which cannot be known portably.
func openElsewhere(*os.File) bool { return true }
