package harness

import (
	"os/exec"
	"runtime"
)

// launcher starts processes from one thread that lives as long as they do: the kernel's "kill the child when its
// parent dies" watches the thread that forked it, and Go may end any other thread.
type launcher struct {
	work chan func()
	done chan struct{}
}

func newLauncher() *launcher {
	l := &launcher{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range l.work {
			f()
		}
	}()
	return l
}

// start is cmd.Start on the launcher's thread.
func (l *launcher) start(cmd *exec.Cmd) error {
	result := make(chan error)
	l.work <- func() { result <- cmd.Start() }
	return <-result
}

// close ends the thread's work. Every process must have ended before.
func (l *launcher) close() {
	close(l.work)
	<-l.done
}
