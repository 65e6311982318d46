package sim

import (
	"context"
	"sync"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
)

const (
	// brokenAfter is how long a connection stands that nothing gets through.
	brokenAfter = 6 * time.Second
	// leaderLook is how soon both ends of a connection learn of a change of leader.
	leaderLook = 50 * time.Millisecond
)

// workerLink is a worker's connection as the leader sees it. It implements cluster.WorkerLink.
type workerLink struct {
	p      *process
	once   sync.Once
	closed chan struct{} // by the worker, or because it broke

	mu   sync.Mutex
	host *host
}

func (l *workerLink) close() { l.once.Do(func() { close(l.closed) }) }

// serve watches the connection on the leader's side, and detaches when it ends.
func (l *workerLink) serve(h *host, detach func()) {
	l.mu.Lock()
	l.host = h
	l.mu.Unlock()
	life := h.now()
	if life == nil {
		l.close()
		return
	}
	l.p.s.logf("%s attaches to %s", l.p.w.name, h.name)
	end := detach
	detach = func() {
		l.p.s.logf("%s is detached from %s", l.p.w.name, h.name)
		end()
	}
	l.p.s.ending.Go(func() {
		look := time.NewTicker(leaderLook)
		defer look.Stop()
		defer l.close()
		var broken time.Duration
		began := term(life)
		for {
			select {
			case <-life.gone:
				return // nobody is left to detach
			case <-l.closed:
				detach()
				return
			case <-l.p.ctx.Done():
				detach()
				return
			case <-look.C:
			}
			if now := term(life); now == 0 || now != began {
				return // as rpc/server and rpc/client end it: it is not the leader's any more
			}
			if n := l.p.s.net; n.isCut(h.name, l.p.w.name) || n.isCut(l.p.w.name, h.name) {
				if broken += leaderLook; broken > brokenAfter {
					detach()
					return
				}
			} else {
				broken = 0
			}
		}
	})
}

// term is that in which a coordinator leads and serves; 0: it does not.
func term(l *life) uint64 {
	t := l.coord.Tasker()
	if !t.IsLeader() {
		return 0
	}
	leader, _ := t.Leader()
	return leader.Term
}

// push carries a message to the worker; it may be lost.
func (l *workerLink) push(f func()) {
	l.mu.Lock()
	h := l.host
	l.mu.Unlock()
	if h == nil {
		return // not yet known to be attached: the beat repairs it
	}
	fate := l.p.s.net.send(h.name, l.p.w.name, true)
	if fate.lost {
		return
	}
	l.p.s.ending.Go(func() {
		if sleep(l.p.ctx, fate.after) && l.p.w.awake(l.p.ctx) {
			f()
		}
		if fate.again > 0 && sleep(l.p.ctx, fate.again) && l.p.w.awake(l.p.ctx) {
			f()
		}
	})
}

// Grant implements cluster.WorkerLink.
func (l *workerLink) Grant(_ *fsm.View, list []fsm.Grant) { l.push(func() { l.p.granted(list) }) }

// Stop implements cluster.WorkerLink.
func (l *workerLink) Stop(list []fsm.Grant) { l.push(func() { l.p.stopRuns(list) }) }

// ReadLog implements cluster.WorkerLink.
func (l *workerLink) ReadLog(context.Context, fsm.JobID, uint32, uint8, int64, int) ([]byte, bool, error) {
	return nil, true, nil
}

// hostOf is the host of a Tasker.
func (s *Sim) hostOf(t *cluster.Tasker) *host { return s.host(t.Status().Node.ID) }
