package main

import "syscall"

// childAttributes give a child a process group of its own, and have the kernel end it when the thread that started it
// ends: see starter.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
