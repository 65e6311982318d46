package harness

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace. It has no name: it is gone once it is closed and the last process in it has ended,
// however the test ends.
type namespace struct {
	file *os.File
}

// newNamespace makes an empty one.
func newNamespace() (*namespace, error) {
	ns := &namespace{}
	err := onOwnThread(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		ns.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, err
	}
	return ns, nil
}

// onOwnThread runs f on a thread that ends with it, whatever f has done to the thread.
func onOwnThread(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its goroutine
		result <- f()
	}()
	return <-result
}

// path names the namespace to other programs.
func (ns *namespace) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.file.Fd()) }

// enter moves the calling thread into the namespace.
func (ns *namespace) enter() error {
	if err := unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	return nil
}

// do runs f in the namespace: sockets that it opens and processes that it starts belong there. f must do so itself, not
// by a goroutine of its own.
func (ns *namespace) do(f func() error) error {
	return onOwnThread(func() error {
		if err := ns.enter(); err != nil {
			return err
		}
		return f()
	})
}

// run runs a command in the namespace, with this input.
func (ns *namespace) run(input, name string, args ...string) error {
	return ns.do(func() error {
		cmd := exec.Command(name, args...)
		cmd.Stdin = strings.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w: %s\n%s", name, strings.Join(args, " "), err, out, input)
		}
		return nil
	})
}

func (ns *namespace) close() { _ = ns.file.Close() }

// home is the namespace of the calling thread, to come back to.
func home() (*namespace, error) {
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("find the network namespace of this process: %w", err)
	}
	return &namespace{f}, nil
}
