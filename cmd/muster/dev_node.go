package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// devStopTime is how long a process may take to stop before it is killed.
	devStopTime = 10 * time.Second
	// devTail is how much of a log is shown when its process fails.
	devTail = 2 << 10
)

// devNode is a process of a dev cluster. Its log is NAME.log beside its data directory.
type devNode struct {
	name, data, log string
	args            []string
	join            string // gossip address to join by; empty: others join it
	addresses       addresses
	cmd             *exec.Cmd
	done            chan struct{} // closed when the process has ended
}

func newDevNode(dir, name, join string, args []string) *devNode {
	return &devNode{name: name, join: join, data: filepath.Join(dir, name), log: filepath.Join(dir, name+".log"), args: args, done: make(chan struct{})}
}

// command is how the process is started, joining by the gossip addresses in join.
func (n *devNode) command(self, join string) *exec.Cmd {
	args := n.args
	if join != "" {
		args = append(args[:len(args):len(args)], "--join", join)
	}
	return exec.Command(self, args...)
}

// start starts the process in a group of its own, so that Ctrl-C reaches it through us only. Settings of nodes in our
// environment are not for it.
func (n *devNode) start(self string, by *starter) error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	defer log.Close()
	n.cmd = n.command(self, n.join)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.Env = withoutSettings(os.Environ())
	n.cmd.SysProcAttr = childAttributes()
	if err := by.start(n.cmd); err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	go func() { // ends with the process
		defer close(n.done)
		n.cmd.Wait()
	}()
	return nil
}

func withoutSettings(environ []string) []string {
	var list []string
	for _, entry := range environ {
		if !strings.HasPrefix(entry, "MUSTER_") {
			list = append(list, entry)
		}
	}
	return list
}

func (n *devNode) pid() int { return n.cmd.Process.Pid }

func (n *devNode) ended() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// state is how the process ended.
func (n *devNode) state() string {
	<-n.done
	return n.cmd.ProcessState.String()
}

// awaitAddresses waits until the process has written where it listens.
func (n *devNode) awaitAddresses(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var ok bool
		if n.addresses, ok = readAddresses(n.data, n.pid()); ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-n.done:
			return n.failure()
		case <-ctx.Done():
			return fmt.Errorf("%s: %w\n%s", n.name, context.Cause(ctx), n.tail())
		}
	}
}

func (n *devNode) failure() error {
	return fmt.Errorf("%s ended at once (%s); the end of its log:\n%s", n.name, n.state(), n.tail())
}

// tail is the end of the log.
func (n *devNode) tail() string {
	b, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	if len(b) > devTail {
		b = b[len(b)-devTail:]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return string(b)
}

// stopNodes ends processes cleanly, and by force those that take too long.
func stopNodes(nodes []*devNode) error {
	for _, n := range nodes {
		n.cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
	}
	limit := time.NewTimer(devStopTime)
	defer limit.Stop()
	var errs []error
	for _, n := range nodes {
		select {
		case <-n.done:
			continue
		case <-limit.C:
		}
		for _, late := range nodes {
			if !late.ended() {
				errs = append(errs, fmt.Errorf("%s did not stop within %s and was killed", late.name, devStopTime))
				late.cmd.Process.Kill()
				<-late.done
			}
		}
		break
	}
	return errors.Join(errs...)
}

// free says whether somebody listens at addr. Another may take it right after; the node then says so.
func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	l.Close()
	return true
}
