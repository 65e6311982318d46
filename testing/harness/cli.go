package harness

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// cliWaitDelay is how long a command that was told to end may take to do so before it is killed.
const cliWaitDelay = 10 * time.Second

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int // exit code; -1: ended by a signal
}

// Command is a muster command line to run against a cluster. The zero value of each field but Args is right for most.
type Command struct {
	Args   []string
	Stdin  io.Reader
	Env    []string // added to the cluster's; MUSTER_ADDR names all coordinators unless it is set here
	Dir    string
	Stdout io.Writer // also gets what is printed, as it is printed
	Bound  time.Duration
	Signal <-chan syscall.Signal // sent to the command as they come
}

// CLI runs the muster command line against this cluster and returns how it ended, whatever that was.
func (c *Cluster) CLI(args ...string) Result {
	c.tb.Helper()
	return c.Run(Command{Args: args})
}

// Run runs a command to its end. One that takes longer than its bound (0: twice BoundDefault) fails the test.
func (c *Cluster) Run(cmd Command) Result {
	c.tb.Helper()
	bound := cmd.Bound
	if bound == 0 {
		bound = 2 * BoundDefault
	}
	ctx, cancel := context.WithTimeout(c.tb.Context(), bound)
	defer cancel()
	x := exec.CommandContext(ctx, c.binary, cmd.Args...)
	x.Env = append(append(c.environ(), "MUSTER_ADDR="+c.HTTPAddresses()), cmd.Env...)
	x.Dir, x.Stdin, x.SysProcAttr, x.WaitDelay = cmd.Dir, cmd.Stdin, attributes(), cliWaitDelay
	x.Cancel = func() error { return x.Process.Signal(syscall.SIGTERM) }
	var out, errs bytes.Buffer
	x.Stdout, x.Stderr = &out, &errs
	if cmd.Stdout != nil {
		x.Stdout = io.MultiWriter(&out, cmd.Stdout)
	}
	if err := c.launch.start(x, c.hub()); err != nil {
		c.tb.Fatalf("start muster %s: %v", strings.Join(cmd.Args, " "), err)
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-ended:
				return
			case s := <-cmd.Signal:
				_ = x.Process.Signal(s) // it may have ended
			}
		}
	}()
	err := x.Wait()
	close(ended)
	if ctx.Err() != nil {
		c.tb.Fatalf("muster %s did not end within %v\nstdout: %s\nstderr: %s", strings.Join(cmd.Args, " "), bound, &out, &errs)
	}
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
		c.tb.Fatalf("muster %s: %v", strings.Join(cmd.Args, " "), err)
	}
	return Result{Stdout: out.String(), Stderr: errs.String(), Code: x.ProcessState.ExitCode()}
}

// HTTPAddresses are the HTTP addresses of all coordinators, as MUSTER_ADDR takes them.
func (c *core) HTTPAddresses() string {
	var list []string
	for _, n := range c.Coordinators() {
		list = append(list, n.Addresses().HTTP)
	}
	return strings.Join(list, ",")
}
