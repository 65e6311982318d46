//go:build unix

package worker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

const (
	// guardWriteTimeout is how long a word to the guard may wait: a guard that does not read must not hold up jobs.
	guardWriteTimeout = time.Second
	// guardRestartPause keeps a guard that cannot live from being started in a tight loop.
	guardRestartPause = time.Second
	// guardReadPause is how long the guard lets words gather: it would else be woken twice for every job.
	guardReadPause = 100 * time.Millisecond
	// guardReadBytes is what it takes at once: as much as a pipe holds.
	guardReadBytes = 64 << 10
	// guardEndTimeout is for a guard to end when it is no longer needed.
	guardEndTimeout = 5 * time.Second
	// The guard looks for processes that left their group until it has found none for guardCleanSweeps times, but
	// not more than guardSweepsMax times. One look is not enough: what they start meanwhile escapes it, and a process
	// that is about to execute another program has no environment to be known by.
	guardCleanSweeps = 4
	guardSweepsMax   = 200
	guardSweepPause  = 20 * time.Millisecond
)

// Guard is the body of the guard process, see WithGuard. It reads from r which process groups a worker has started,
// and kills them all, and on Linux also whatever left its group, when r ends: then the worker is gone, however that
// came to pass. It returns after that. Signals that would end it with its worker are ignored.
func Guard(r io.Reader) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	if f, ok := r.(*os.File); ok {
		r = &restfulReader{pipe: f}
	}
	return watchOver(r)
}

// restfulReader reads a pipe, and after each read takes a rest unless the pipe's writer is gone.
type restfulReader struct {
	pipe *os.File
	read bool
}

func (r *restfulReader) Read(p []byte) (int, error) {
	if r.read {
		// No events are asked for: the writer's end comes through always. An error is as good as a rest.
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(r.pipe.Fd())}}, int(guardReadPause/time.Millisecond))
	}
	r.read = true
	return r.pipe.Read(p)
}

// watchOver takes the words of a worker until r ends, and kills what is left then.
func watchOver(r io.Reader) error {
	groups := make(map[int]bool)
	mark := ""
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, guardReadBytes), guardReadBytes)
	for lines.Scan() {
		if err := guardWord(lines.Text(), groups, &mark); err != nil {
			return err
		}
	}
	for g := range groups {
		_ = syscall.Kill(-g, syscall.SIGKILL) // gone is as good
	}
	if mark != "" {
		sweep(mark)
	}
	return lines.Err()
}

// sweep kills whatever bears the mark.
func sweep(mark string) {
	clean := 0
	for i := 0; i < guardSweepsMax && clean < guardCleanSweeps; i++ {
		if i > 0 {
			time.Sleep(guardSweepPause)
		}
		found := marked(processMark, mark)
		for _, pid := range found {
			_ = syscall.Kill(pid, syscall.SIGKILL) // gone is as good
		}
		if clean++; len(found) > 0 {
			clean = 0
		}
	}
}

// guardWord takes one line: "=mark", "+group" or "-group".
func guardWord(line string, groups map[int]bool, mark *string) error {
	if rest, ok := strings.CutPrefix(line, "="); ok {
		*mark = rest
		return nil
	}
	n, err := strconv.Atoi(line)
	if err != nil || n == 0 || n == 1 || n == -1 {
		return fmt.Errorf("guard: %.20q is not a word of a worker: this command is not for people", line)
	}
	if n > 0 {
		groups[n] = true
	} else {
		delete(groups, -n)
	}
	return nil
}

// guard is the worker's side of its guard process. A nil guard does nothing.
type guard struct {
	log  hclog.Logger
	argv []string
	mark string
	done chan struct{} // supervise has ended

	mu     sync.Mutex // guards the fields below
	groups map[int]bool
	guard  *os.Process
	pipe   *os.File // to the guard; nil while there is none
	closed bool
	wake   chan struct{} // closed by close
}

// startGuard starts the guard process argv and sees to it that there is always one.
func startGuard(argv []string, mark string, log hclog.Logger) (*guard, error) {
	g := &guard{log: log, argv: argv, mark: mark, done: make(chan struct{}),
		groups: make(map[int]bool), wake: make(chan struct{})}
	p, err := g.spawn()
	if err != nil {
		return nil, fmt.Errorf("start guard %q: %w", argv[0], err)
	}
	go g.supervise(p)
	return g, nil
}

// spawn starts a guard and tells it all there is to know.
func (g *guard) spawn() (*os.Process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// A group of its own: neither a terminal's ^C nor the end of any job's group reaches it.
	p, err := os.StartProcess(g.argv[0], g.argv, &os.ProcAttr{Env: guardEnv(),
		Files: []*os.File{r, nil, os.Stderr}, Sys: &syscall.SysProcAttr{Setpgid: true}})
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return p, w.Close()
	}
	g.guard, g.pipe = p, w
	g.tellLocked("=" + g.mark)
	for group := range g.groups {
		g.tellLocked("+" + strconv.Itoa(group))
	}
	return p, nil
}

// guardEnv is the environment of the guard. A worker may itself be the job of another: its guard must not bear the
// mark by which that one's guard would find it.
func guardEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, processMark+"=") })
}

// supervise waits for the guard process and replaces it if it ends before its time.
func (g *guard) supervise(p *os.Process) {
	defer close(g.done)
	for {
		g.await(p)
		for p = nil; p == nil; {
			select {
			case <-g.wake:
				return
			case <-time.After(guardRestartPause):
			}
			g.log.Warn("guard process ended, starting another")
			var err error
			if p, err = g.spawn(); err != nil {
				g.log.Error("cannot start the guard process: jobs may outlive a killed worker", "error", err)
			}
		}
	}
}

// await waits until the guard has ended and lets go of its pipe.
func (g *guard) await(p *os.Process) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = p.Wait()
	}()
	select {
	case <-ended:
	case <-g.wake:
		select {
		case <-ended:
		case <-time.After(guardEndTimeout):
			_ = p.Kill()
			<-ended
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hangUpLocked()
}

func (g *guard) add(group int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.groups[group] = true
	g.tellLocked("+" + strconv.Itoa(group))
}

func (g *guard) remove(group int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.groups, group)
	g.tellLocked("-" + strconv.Itoa(group))
}

// tellLocked writes a word to the guard. A guard that cannot be told is killed, and supervise starts another that is
// told everything. It must not see the end of its pipe instead: it would take us for dead.
func (g *guard) tellLocked(word string) {
	if g.pipe == nil {
		return
	}
	_ = g.pipe.SetWriteDeadline(time.Now().Add(guardWriteTimeout))
	if _, err := g.pipe.WriteString(word + "\n"); err != nil {
		g.log.Warn("guard process does not listen", "error", err)
		_ = g.guard.Kill() // it may be gone already
		g.hangUpLocked()
	}
}

func (g *guard) hangUpLocked() {
	if g.pipe != nil {
		_ = g.pipe.Close()
		g.pipe = nil
	}
}

// close ends the guard process and waits for it.
func (g *guard) close() {
	if g == nil {
		return
	}
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.wake)
		g.hangUpLocked()
	}
	g.mu.Unlock()
	<-g.done
}
