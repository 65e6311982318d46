package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// logTailBytes of a node's log are printed when a test fails.
const logTailBytes = 12 << 10

// Process is one process of the cluster. Its methods may be called from any goroutine.
type Process struct {
	name   string
	binary string
	env    []string
	log    string // path; each start appends
	launch *launcher
	netns  *namespace // where it runs; nil: that of this process

	mu      sync.Mutex // guards what is below
	args    []string
	cmd     *exec.Cmd
	exited  chan struct{} // closed once cmd has ended and code is set
	code    int
	ordered bool // someone told it to end
	paused  bool
}

// Name is the node's name, such as c1.
func (p *Process) Name() string { return p.name }

// PID is the process's id, also after it has ended; 0 before the first start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Running says whether the process lives, paused or not.
func (p *Process) Running() bool {
	_, running := p.live()
	return running
}

// Responsive says whether the process lives and is not paused.
func (p *Process) Responsive() bool {
	p.mu.Lock()
	paused := p.paused
	p.mu.Unlock()
	return !paused && p.Running()
}

// ExitCode is how the last run ended: -1 by a signal. It is meaningless while the process runs.
func (p *Process) ExitCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code
}

// Exited is closed when the run that goes on now has ended.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

// Log returns what the process has written so far, over all its runs.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return string(text)
}

func (p *Process) live() (pid int, running bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0, false
	}
	select {
	case <-p.exited:
		return 0, false
	default:
		return p.cmd.Process.Pid, true
	}
}

// start runs the process with args; it must not be running.
func (p *Process) start(args []string) error {
	if p.Running() {
		return fmt.Errorf("%s runs already", p.name)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", p.name, err)
	}
	defer log.Close() // the process has its own descriptor
	fmt.Fprintf(log, "--- %s starts: %q\n", p.name, args)
	cmd := exec.Command(p.binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.env, log, log, attributes()
	if err := p.launch.start(cmd, p.netns); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	exited := make(chan struct{})
	p.mu.Lock()
	p.args, p.cmd, p.exited, p.ordered, p.paused = args, cmd, exited, false, false
	p.mu.Unlock()
	go func() {
		defer close(exited)
		err := cmd.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.code = cmd.ProcessState.ExitCode()
		if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
			p.code = -1
		}
	}()
	return nil
}

// Kill ends the process by SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	p.order()
	p.signal(syscall.SIGKILL)
	p.await(0)
}

// Terminate sends SIGTERM and does not wait.
func (p *Process) Terminate() {
	p.order()
	p.signal(syscall.SIGTERM)
}

// Stop sends SIGTERM and then is Wait.
func (p *Process) Stop() (code int, err error) {
	p.Resume()
	p.Terminate()
	return p.Wait()
}

// Wait waits until the process has ended and returns its exit code. One that has not after BoundDefault is killed and
// reported as an error.
func (p *Process) Wait() (code int, err error) {
	if !p.await(BoundDefault) {
		p.Kill()
		return -1, fmt.Errorf("%s did not end within %v", p.name, BoundDefault)
	}
	return p.ExitCode(), nil
}

// Pause stops the process by SIGSTOP, as a stalled machine would, and returns once it stands.
func (p *Process) Pause() {
	pid, running := p.live()
	if !running {
		return
	}
	p.mu.Lock()
	p.paused = true
	p.mu.Unlock()
	p.signal(syscall.SIGSTOP)
	for p.Running() && !stopped(pid) {
		select {
		case <-p.Exited():
		case <-time.After(pollEvery):
		}
	}
}

// Resume lets a paused process go on.
func (p *Process) Resume() {
	p.signal(syscall.SIGCONT)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = false
}

// order notes that the end to come is wanted.
func (p *Process) order() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ordered = true
}

// strayed says whether the process ended without having been told to.
func (p *Process) strayed() bool {
	running := p.Running()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil && !running && !p.ordered
}

// Excuse says that the process may have ended by itself: the test meant it to.
func (p *Process) Excuse() { p.order() }

func (p *Process) signal(s syscall.Signal) {
	if pid, running := p.live(); running {
		_ = syscall.Kill(pid, s) // it may just have ended, which Exited tells
	}
}

// await waits for the end; 0 waits for ever, which a killed process does not take.
func (p *Process) await(bound time.Duration) bool {
	exited := p.Exited()
	if exited == nil {
		return true
	}
	var late <-chan time.Time
	if bound > 0 {
		t := time.NewTimer(bound)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-exited:
		return true
	case <-late:
		return false
	}
}

// logTail is the end of the log.
func (p *Process) logTail() []byte {
	f, err := os.Open(p.log)
	if err != nil {
		return fmt.Appendf(nil, "(no log: %v)", err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && size > logTailBytes {
		_, err = f.Seek(-logTailBytes, io.SeekEnd)
	} else if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Appendf(nil, "(log unreadable: %v)", err)
	}
	text, _ := io.ReadAll(f) // what could be read is better than nothing
	return text
}

// alarms are the lines that no log may hold.
var alarms = [][]byte{[]byte("WARNING: DATA RACE"), []byte("\npanic: "), []byte("\nfatal error: ")}

// alarm finds the first alarming line of the log, with what follows it.
func (p *Process) alarm() []byte {
	text := []byte(p.Log())
	for _, a := range alarms {
		if i := bytes.Index(text, a); i >= 0 {
			return text[i:min(i+logTailBytes/2, len(text))]
		}
	}
	return nil
}
