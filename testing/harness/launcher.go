package harness

import (
	"errors"
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

// start is cmd.Start on the launcher's thread, in a network namespace; nil: that of this process.
func (l *launcher) start(cmd *exec.Cmd, ns *namespace) error {
	result := make(chan error)
	l.work <- func() { result <- startIn(cmd, ns) }
	return <-result
}

// startIn starts a process in a namespace and brings the thread back to its own.
func startIn(cmd *exec.Cmd, ns *namespace) error {
	if ns == nil {
		return cmd.Start()
	}
	back, err := home()
	if err != nil {
		return err
	}
	defer back.close()
	if err := ns.enter(); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), back.enter())
}

// close ends the thread's work. Every process must have ended before.
func (l *launcher) close() {
	close(l.work)
	<-l.done
}
