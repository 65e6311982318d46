//go:build unix

package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A stopped group is looked at, ever less often, until nobody is left in it or its grace is over.
const (
	groupPollMin = 5 * time.Millisecond
	groupPollMax = 200 * time.Millisecond
)

// signalBase is added to a signal's number to make an exit code of it, as shells do.
const signalBase = 128

// processEnd is how a process ended.
type processEnd struct {
	status  syscall.WaitStatus
	err     error // the status is not known
	stopped bool  // we had begun to stop it before it ended
}

func (e processEnd) ok() bool { return e.err == nil && e.status.Exited() && e.status.ExitStatus() == 0 }

func (e processEnd) code() int32 {
	switch {
	case e.err != nil:
		return noExit
	case e.status.Signaled():
		return signalBase + int32(e.status.Signal())
	}
	return int32(e.status.ExitStatus())
}

func (e processEnd) String() string {
	switch {
	case e.err != nil:
		return fmt.Sprintf("how it ended is lost (does this program wait for children of others?): %v", e.err)
	case e.status.Signaled():
		return fmt.Sprintf("killed by signal %d (%v)", int(e.status.Signal()), e.status.Signal())
	}
	return fmt.Sprintf("exit code %d", e.status.ExitStatus())
}

// process is a running process that leads a group of its own.
type process struct {
	child child
	group int
	guard *guard
	pumps sync.WaitGroup
	pipes [2]*os.File // our ends of its output

	mu      sync.Mutex // guards the fields below
	stopped bool
	reaped  bool // its number may mean another process now
}

// startProcess starts path with its output going to the attempt's logs. Files that only the child needs are closed.
func (x *executor) startProcess(path string, w work, env []string, a *attemptDir) (*process, error) {
	p := &process{guard: x.guard}
	ends := [2]*os.File{}
	for i := range ends {
		var err error
		if p.pipes[i], ends[i], err = outputPipe(); err != nil {
			return nil, errors.Join(err, closeAll(p.pipes[:]), closeAll(ends[:]))
		}
	}
	attr := &syscall.ProcAttr{Dir: w.dir, Env: env, Sys: groupAttr(),
		Files: []uintptr{x.null.Fd(), ends[stdoutStream].Fd(), ends[stderrStream].Fd()}}
	err := x.spawner.do(func() (err error) {
		if p.child, err = startChild(path, w.args, attr); err == nil {
			p.group = p.child.pid
			x.guard.add(p.group)
		}
		return err
	})
	if err != nil {
		err = &os.PathError{Op: "fork/exec", Path: path, Err: err}
		return nil, errors.Join(err, closeAll(p.pipes[:]), closeAll(ends[:]))
	}
	for i, pipe := range p.pipes {
		p.pumps.Go(func() { pump(pipe, a.logs[i]) })
	}
	return p, closeAll(ends[:])
}

func closeAll(files []*os.File) error {
	var errs []error
	for _, f := range files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// wait waits until the process has ended, nothing of its group is left and its output is read. When ctx ends first
// the group gets SIGTERM, and SIGKILL after the grace or when kill ends, which must end ctx too.
func (p *process) wait(ctx, kill context.Context, grace time.Duration) processEnd {
	ended, killed, stopped := make(chan struct{}), make(chan struct{}), make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(stopped)
		p.terminate(kill, grace, ended, killed)
	})
	end := p.reap(killed)
	close(ended)
	if !unhook() {
		<-stopped
	}
	p.guard.remove(p.group)
	for _, pipe := range p.pipes {
		settle(pipe)
	}
	p.pumps.Wait()
	_ = closeAll(p.pipes[:])
	return end
}

// terminate asks the group to end, and makes it end when it does not.
func (p *process) terminate(kill context.Context, grace time.Duration, ended <-chan struct{}, killed chan<- struct{}) {
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
		return
	case <-timer.C:
	case <-kill.Done():
	}
	p.signal(syscall.SIGKILL)
	close(killed)
}

// signal stops the group, if it is still there.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if !p.reaped {
		_ = syscall.Kill(-p.group, s) // nobody left is as good
	}
}

// reap waits for the process and ends what is left of its group. A group that was told to stop has until killed is
// closed; else it goes with its leader.
func (p *process) reap(killed <-chan struct{}) processEnd {
	status, reaped, err := p.child.awaitExit()
	p.mu.Lock()
	stopped := p.stopped
	if !stopped {
		_ = syscall.Kill(-p.group, syscall.SIGKILL)
	}
	if !reaped {
		status, err = reapChild(p.child.pid)
	}
	p.reaped = !stopped
	p.mu.Unlock()
	if stopped {
		p.awaitGroup(killed)
	}
	return processEnd{status: status, err: err, stopped: stopped}
}

// reapChild waits for a process of ours to end and takes its status.
func reapChild(pid int) (status syscall.WaitStatus, err error) {
	for {
		if _, err = syscall.Wait4(pid, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
			return status, err
		}
	}
}

// awaitGroup waits until nobody is in the group. Its number stays taken as long as somebody is.
func (p *process) awaitGroup(killed <-chan struct{}) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reaped = true
	}()
	for pause := groupPollMin; groupLives(p.group); pause = min(2*pause, groupPollMax) {
		select {
		case <-time.After(pause):
		case <-killed: // SIGKILL was sent to all of it
			return
		}
	}
}

// spawner starts processes from one thread that lives as long as the worker. The kernel's parent-death signal is
// bound to the thread that forked: were it any thread of the runtime, a job could be killed because that one ended.
type spawner struct {
	calls chan spawnCall
	done  chan struct{}
}

type spawnCall struct {
	do     func() error
	answer chan<- error
}

func startSpawner() *spawner {
	s := &spawner{calls: make(chan spawnCall), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for c := range s.calls {
			c.answer <- c.do()
		}
	}()
	return s
}

func (s *spawner) do(f func() error) error {
	answer := make(chan error, 1)
	s.calls <- spawnCall{f, answer}
	return <-answer
}

func (s *spawner) close() {
	close(s.calls)
	<-s.done
}
