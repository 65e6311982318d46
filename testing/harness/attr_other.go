//go:build !linux

package harness

import "syscall"

// attributes put a process in a group of its own. Without Linux nothing ends it when this process is killed.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// stopped says whether the kernel has stopped the process; taken on trust without Linux.
func stopped(int) bool { return true }

// Alive says whether a process exists.
func Alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// WithEnv lists the processes that were started with these texts in their environment: none without Linux, which alone
// tells.
func WithEnv(...string) []int { return nil }
