// Package child runs the servers of the bench: child processes on loopback, with their output in files, stopped by their id.
//
// A Group owns its processes: Close ends them all and waits. The kernel ends them too when the bench dies: a thread that lives
// as long as the group starts them (Linux takes the end of that thread for the parent's).
package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	stopTime  = 15 * time.Second // for a process to stop before it is killed
	startTime = 2 * time.Minute  // for a server to be ready
	tailBytes = 2 << 10          // of the output that an error shows
)

// Group is a set of processes.
type Group struct {
	dir      string
	commands chan *exec.Cmd
	started  chan error
	procs    []*Process
}

// NewGroup makes a group whose outputs are in dir. Close it.
func NewGroup(dir string) *Group {
	g := &Group{dir: dir, commands: make(chan *exec.Cmd), started: make(chan error)}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for c := range g.commands {
			g.started <- c.Start()
		}
		close(g.started)
	}()
	return g
}

// Process is one of a group.
type Process struct {
	Name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// Spec says how a process is started.
type Spec struct {
	Name string // of the process and its output file
	Args []string
	Env  []string // beyond ours
	Dir  string
	User string // empty: ours
}

// Start starts a process.
func (g *Group) Start(s Spec) (*Process, error) {
	p := &Process{Name: s.Name, log: filepath.Join(g.dir, s.Name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	defer out.Close()
	if p.cmd, err = s.command(); err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	g.commands <- p.cmd
	if err := <-g.started; err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	g.procs = append(g.procs, p)
	return p, nil
}

func (s Spec) command() (*exec.Cmd, error) {
	c := exec.Command(s.Args[0], s.Args[1:]...)
	c.Env, c.Dir = append(os.Environ(), s.Env...), s.Dir
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if s.User == "" {
		return c, nil
	}
	uid, gid, err := Account(s.User)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	c.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return c, nil
}

// Account is the user and group number of a user.
func Account(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, fmt.Errorf("user %s: %w", name, err)
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return 0, 0, fmt.Errorf("user %s: %w", name, err)
	}
	return uid, gid, nil
}

// Run runs a process of the group to its end, and returns its output.
func (g *Group) Run(ctx context.Context, s Spec) ([]byte, error) {
	p, err := g.Start(s)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		stop([]*Process{p})
		return nil, fmt.Errorf("%s: %w", s.Name, context.Cause(ctx))
	}
	if !p.cmd.ProcessState.Success() {
		return nil, fmt.Errorf("%s: %s\n%s", s.Name, p.cmd.ProcessState, p.tail())
	}
	return os.ReadFile(p.log)
}

// Await waits until ready returns nil. It fails when a process of the group ends before, or with what ready said last.
func (g *Group) Await(ctx context.Context, what string, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		for _, p := range g.procs {
			if p.Ended() && !p.cmd.ProcessState.Success() {
				return fmt.Errorf("%s: %s ended (%s)\n%s", what, p.Name, p.cmd.ProcessState, p.tail())
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time: %w", what, err)
		}
	}
}

// AwaitPort waits until somebody listens at addr.
func (g *Group) AwaitPort(ctx context.Context, addr string) error {
	return g.Await(ctx, addr, func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// Ended says whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// tail is the end of the output.
func (p *Process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-tailBytes):]))
}

// Close ends the processes, those started last first, and waits for them.
func (g *Group) Close() error {
	err := stop(g.procs)
	close(g.commands)
	<-g.started
	return err
}

// stop asks all to stop, and kills those that take too long, with what they started.
func stop(procs []*Process) error {
	var errs []error
	families := make([]map[int]stat, len(procs))
	for i, p := range procs {
		if !p.Ended() {
			families[i] = family(p.cmd.Process.Pid)
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that has just ended needs none
		}
	}
	limit := time.NewTimer(stopTime)
	defer limit.Stop()
	for _, p := range procs {
		select {
		case <-p.done:
			continue
		case <-limit.C:
		}
		for _, late := range procs {
			if !late.Ended() {
				errs = append(errs, fmt.Errorf("%s did not stop within %s and was killed", late.Name, stopTime))
				_ = late.cmd.Process.Kill()
				<-late.done
			}
		}
		break
	}
	now := processes()
	for _, kin := range families {
		for pid, s := range kin {
			if still, ok := now[pid]; ok && still.start == s.start { // most ended with their parent
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	return errors.Join(errs...)
}

// FreePorts finds n free ports of loopback. Others may take them before they are used; the server then says so.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// Loopback is the address of a port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
