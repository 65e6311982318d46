package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/musterhq/muster/fsm"
)

// redeliverAfter is how old a grant must be before a worker that does not mention it in its beat gets it again: it may
// only just be on its way.
const redeliverAfter = time.Second

// WorkerLink is a worker's connection, as the server of the RPC port sees it.
type WorkerLink interface {
	// Grant delivers jobs. It must not block: what cannot be queued may be dropped, the next beat repairs it. v is a
	// view at or after the grants.
	Grant(v *fsm.View, grants []fsm.Grant)
	// Stop tells the worker to end attempts that are no longer its own. It must not block.
	Stop(grants []fsm.Grant)
	// ReadLog reads output of an attempt; it blocks until the worker answers or ctx ends.
	ReadLog(ctx context.Context, job fsm.JobID, attempt uint32, stream uint8, offset int64, max int) (data []byte, eof bool, err error)
}

// hub is broadcastNewJobs: it hands every grant that comes out of the log to the worker it is for, and to nobody else.
type hub struct {
	mu    sync.Mutex
	links map[fsm.WorkerID]WorkerLink
}

func newHub() *hub { return &hub{links: make(map[fsm.WorkerID]WorkerLink)} }

func (h *hub) attach(id fsm.WorkerID, l WorkerLink) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links[id] = l
}

// detach forgets the link if it is still the worker's, and says so.
func (h *hub) detach(id fsm.WorkerID, l WorkerLink) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.links[id] != l {
		return false
	}
	delete(h.links, id)
	return true
}

func (h *hub) link(id fsm.WorkerID) WorkerLink {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.links[id]
}

func (h *hub) workers() map[fsm.WorkerID]WorkerLink {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[fsm.WorkerID]WorkerLink, len(h.links))
	for id, l := range h.links {
		all[id] = l
	}
	return all
}

// run delivers what entries after index from bring, until ctx ends. joined is told of every change of the registry.
func (h *hub) run(ctx context.Context, a *applier, from uint64, joined func(fsm.WorkerInfo)) {
	w := &Watcher{ring: a.ring, from: from}
	for {
		events, err := w.Next(ctx)
		switch {
		case errors.Is(err, ErrTooOld):
			v := a.now()
			w.from = v.Index()
			h.catchUp(v, joined)
		case err != nil:
			return
		default:
			h.deliver(a, events, joined)
		}
	}
}

// deliver sorts a batch of events by the worker that they concern.
func (h *hub) deliver(a *applier, events []fsm.Event, joined func(fsm.WorkerInfo)) {
	grants := make(map[fsm.WorkerID][]fsm.Grant)
	stops := make(map[fsm.WorkerID][]fsm.Grant)
	for i := range events {
		e := &events[i]
		switch {
		case e.Kind == fsm.EventJob && e.State == fsm.Picked:
			grants[e.Worker] = append(grants[e.Worker], fsm.Grant{Job: e.Job, Attempt: e.Attempt})
		case e.Kind == fsm.EventStop:
			stops[e.Worker] = append(stops[e.Worker], fsm.Grant{Job: e.Job, Attempt: e.Attempt})
		case e.Kind == fsm.EventWorker:
			if info, ok := a.now().Worker(e.Worker); ok {
				joined(info)
			}
		}
	}
	if len(grants) > 0 {
		v := a.at(events[len(events)-1].Index)
		for id, list := range grants {
			if l := h.link(id); l != nil {
				l.Grant(v, list)
			}
		}
	}
	for id, list := range stops {
		if l := h.link(id); l != nil {
			l.Stop(list)
		}
	}
}

// catchUp delivers from the state what the events would have told.
func (h *hub) catchUp(v *fsm.View, joined func(fsm.WorkerInfo)) {
	for _, info := range v.Workers() {
		joined(info)
	}
	for id, l := range h.workers() {
		if held := v.Held(id); len(held) > 0 {
			l.Grant(v, held)
		}
	}
}

// reconcile compares what a worker says it holds with what the state says. stop: not its own. missing: its own, granted
// a while ago, and not mentioned.
func reconcile(v *fsm.View, id fsm.WorkerID, says []fsm.Grant, now time.Time) (stop, missing []fsm.Grant) {
	own := make(map[fsm.Grant]bool)
	for _, g := range v.Held(id) {
		own[g] = true
	}
	for _, g := range says {
		if !own[g] {
			stop = append(stop, g)
		}
		delete(own, g)
	}
	for _, g := range v.Held(id) {
		if !own[g] {
			continue
		}
		if j, ok := v.Job(g.Job); ok && now.Sub(j.Times.Picked) > redeliverAfter {
			missing = append(missing, g)
		}
	}
	return stop, missing
}
