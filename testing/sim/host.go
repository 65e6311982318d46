package sim

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/cluster"
)

// host is a machine: a disk, a wall clock, and one coordinator's process after another.
type host struct {
	s    *Sim
	name string

	mu     sync.Mutex
	life   *life // nil: down
	lives  int
	img    *image        // while down
	offset time.Duration // of its wall clock
	full   bool          // its disk
	slow   time.Duration
}

// life is one process of a host.
type life struct {
	host  *host
	n     int
	coord *cluster.Coordinator
	net   *transport
	port  *listener
	disk  *disk
	end   context.CancelFunc
	gone  chan struct{} // closed when it crashed or was stopped: nobody hears of it any more
	ended chan struct{} // closed when Run returned
}

// start runs a process on what the disk holds.
func (h *host) start() {
	h.mu.Lock()
	img, slow := h.img, h.slow
	h.img = nil // taken: from here on it is starting
	if img != nil {
		h.lives++
	}
	n := h.lives
	h.mu.Unlock()
	if img == nil {
		return // it runs
	}
	s := h.s
	l := &life{host: h, n: n, gone: make(chan struct{}), ended: make(chan struct{}), port: newListener(h.name)}
	l.net = newTransport(h.name, s.cfg.Raft.TransportWait, s.net, s.transportOn)
	l.disk = newDisk(h.name, img, newDice(s.opt.Seed, fmt.Sprint("disk ", h.name, n)), s.steps, s.cfg.Raft.SnapshotsRetain, s.opt.SyncLag)
	l.disk.setSlow(slow, time.Time{})
	cfg := s.cfg
	cfg.Name = h.name
	coord, err := cluster.Assemble(cfg, cluster.Parts{
		Node: h.name, ClusterID: "sim", Members: s.members(), RPC: l.port, Transport: l.net,
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return dial(ctx, s.net, h.name, nameOf(address), s.portOn)
		},
		Log: l.disk, Stable: l.disk, Snapshots: l.disk,
		Disk: h.space, Wall: h.wall, Fatal: l.fatal,
		PartJobs: s.grain.partJobs, PartBytes: s.grain.partBytes,
	}, s.logger(h.name), "sim")
	if err != nil {
		s.fail("start %s: %v", h.name, err)
		close(l.ended)
		return
	}
	l.coord = coord
	ctx, cancel := context.WithCancel(s.ctx)
	l.end = cancel
	h.mu.Lock()
	h.life = l
	h.mu.Unlock()
	s.logf("%s starts, life %d", h.name, l.n)
	s.ending.Go(func() {
		defer close(l.ended)
		if err := coord.Run(ctx); err != nil && !l.isGone() {
			s.fail("%s ended: %v", h.name, err)
			s.logf("every goroutine:\n%s", stacks())
		}
	})
	s.ending.Go(func() { s.history.follow(ctx, l) })
}

func (l *life) isGone() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// stacks is where every goroutine is.
func stacks() []byte {
	b := make([]byte, 4<<20)
	return b[:runtime.Stack(b, true)]
}

// fatal is the end that a process makes itself. There are two good reasons: a hanging disk, which the nemesis sees to, and
// what only a new process can mend, which is started as a supervisor would.
func (l *life) fatal(reason string) {
	if l.isGone() {
		return
	}
	s := l.host.s
	s.logf("%s ends itself: %s", l.host.name, reason)
	switch {
	case strings.Contains(reason, "has been hanging"):
	case strings.Contains(reason, "the start mends that"):
		s.ending.Go(func() {
			if sleep(s.ctx, time.Second) {
				l.host.start()
			}
		})
	default:
		s.fail("%s ended itself: %s", l.host.name, reason)
	}
	l.crash()
}

// crash ends the process between two instructions.
func (h *host) crash() {
	if l := h.now(); l != nil {
		l.crash()
	}
}

func (l *life) crash() {
	h := l.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.life != l {
		return
	}
	h.s.logf("%s crashes, life %d", h.name, l.n)
	close(l.gone)
	_ = l.net.Close()
	l.port.crash(h.s.net)
	h.img = l.disk.crash()
	h.life = nil
	l.end() // what is left of it ends soon, cut off from everything
}

// stop ends the process as a person would. It blocks until it has ended.
func (h *host) stop() {
	l := h.now()
	if l == nil {
		return
	}
	h.s.logf("%s is stopped", h.name)
	l.end()
	<-l.ended
	l.crash()
}

func (h *host) now() *life {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.life
}

// wall is what the host's wall clock shows.
func (h *host) wall() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.offset)
}

func (h *host) setWall(offset time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offset = offset
}

const diskBytes = 1 << 40

func (h *host) space() (free, total uint64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full {
		return 0, diskBytes, nil
	}
	return diskBytes, diskBytes, nil
}

func (h *host) setFull(full bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.full = full
}

// setSlow makes the host's disk take so long for a write; hang stops it for a time.
func (h *host) setSlow(mean, hang time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slow = mean
	if h.life != nil {
		h.life.disk.setSlow(mean, time.Now().Add(hang))
	}
}

// call carries a call from a client to the host's coordinator and its answer back. errLost, and whatever ended ctx, mean
// that it may have been done.
func (h *host) call(ctx context.Context, from string, f func(context.Context, *cluster.Tasker) (any, error)) (any, error) {
	n := h.s.net
	there := n.send(from, h.name, false)
	if there.lost {
		<-ctx.Done()
		return nil, errLost
	}
	if !sleep(ctx, there.after) {
		return nil, errLost
	}
	l := h.now()
	if l == nil {
		return nil, errRefused
	}
	type answer struct {
		value any
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		v, err := f(ctx, l.coord.Tasker())
		answered <- answer{v, err}
	}()
	select {
	case a := <-answered:
		back := n.send(h.name, from, false)
		if back.lost {
			<-ctx.Done()
			return nil, errLost
		}
		if !sleep(ctx, back.after) || l.isGone() {
			return nil, errLost
		}
		return a.value, a.err
	case <-l.gone:
		return nil, errLost
	case <-ctx.Done():
		return nil, errLost
	}
}
