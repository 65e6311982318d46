package main

import (
	"os/exec"
	"runtime"
)

// starter starts child processes from one thread, which lives until close: on Linux the kernel takes the end of that
// thread for ours, and ends the children.
type starter struct {
	commands chan *exec.Cmd
	started  chan error
	done     chan struct{}
}

func newStarter() *starter {
	s := &starter{commands: make(chan *exec.Cmd), started: make(chan error), done: make(chan struct{})}
	go s.serve()
	return s
}

func (s *starter) serve() {
	defer close(s.done)
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	for c := range s.commands {
		s.started <- c.Start()
	}
}

// start starts a child. It is called by one goroutine.
func (s *starter) start(c *exec.Cmd) error {
	s.commands <- c
	return <-s.started
}

// close is called when all children have ended.
func (s *starter) close() {
	close(s.commands)
	<-s.done
}
