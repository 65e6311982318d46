package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/testing/history"
)

// clockSlack is how far the state's time may be ahead of the true one: clocks are at most 50 ms off, but for a minority.
const clockSlack = 100 * time.Millisecond

// watchEvery is how often the states of the coordinators are compared.
const watchEvery = 250 * time.Millisecond

// annals are what everyone saw, and the judge of it.
type annals struct {
	s   *Sim
	ops *history.Recorder // judged when the run is over

	mu       sync.Mutex
	entries  map[uint64]entry // what each log index brought
	covered  []span           // indexes whose events were all seen
	hashes   map[uint64]uint64
	known    uint64 // a linearizable read has seen so much
	reads    int
	acks     map[fsm.RequestID]ack
	order    []fsm.RequestID // of acks, as they came
	keys     map[string]fsm.RequestID
	beginner map[fsm.Grant]string
	done     map[fsm.Grant]fsm.WorkerID // DONE was accepted
	leaders  map[string]bool
	final    *fsm.View
	counts   Report // what is only counted
}

// entry is the events of one log entry.
type entry struct {
	from   string // the host that was first to show them
	events []fsm.Event
}

// span is the log indexes after lo up to hi.
type span struct{ lo, hi uint64 }

type ack struct {
	key  string
	jobs int
}

func newAnnals(s *Sim) *annals {
	return &annals{
		s: s, ops: history.NewRecorder(), entries: make(map[uint64]entry), hashes: make(map[uint64]uint64), acks: make(map[fsm.RequestID]ack),
		keys: make(map[string]fsm.RequestID), beginner: make(map[fsm.Grant]string), done: make(map[fsm.Grant]fsm.WorkerID),
		leaders: make(map[string]bool),
	}
}

// follow reads a process's events to its end. Restarted, a process tells its log anew, and it must be the same.
func (h *annals) follow(ctx context.Context, l *life) {
	t := l.coord.Tasker()
	from := uint64(1)
	for ctx.Err() == nil {
		w := t.Watch(from)
		for {
			events, err := w.Next(ctx)
			if l.isGone() || err != nil && !errors.Is(err, cluster.ErrTooOld) {
				return
			}
			if err != nil {
				break // a snapshot was restored
			}
			h.events(l.host.name, from, events)
			from = events[len(events)-1].Index
		}
		v, _, err := t.Read(ctx, cluster.Stale)
		if err != nil {
			return
		}
		from = max(v.Index(), 1)
	}
}

// events takes up whole entries; whatever is between from and the last of them was empty.
func (h *annals) events(host string, from uint64, list []fsm.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].Index == list[0].Index {
			n++
		}
		h.entry(host, list[0].Index, list[:n])
		h.covered = append(h.covered, span{from, list[0].Index})
		from = list[0].Index
		list = list[n:]
	}
}

func (h *annals) entry(host string, index uint64, events []fsm.Event) {
	known, ok := h.entries[index]
	if !ok {
		h.entries[index] = entry{host, append([]fsm.Event(nil), events...)}
		return
	}
	same := len(known.events) == len(events)
	for i := 0; same && i < len(events); i++ {
		same = known.events[i] == events[i]
	}
	if !same {
		h.s.fail("entry %d: %s saw %+v, %s saw %+v", index, known.from, known.events, host, events)
	}
}

// watch compares the coordinators' states while the run goes on.
func (h *annals) watch(ctx context.Context) {
	for sleep(ctx, watchEvery) {
		for _, o := range h.s.hosts {
			l := o.now()
			if l == nil {
				continue
			}
			s := l.coord.Tasker().Status()
			if s.Problem != "" && s.Problem[:9] == "the state" {
				h.s.fail("%s: %s", o.name, s.Problem)
			}
			v, _, err := l.coord.Tasker().Read(ctx, cluster.Stale)
			if err != nil {
				continue
			}
			h.state(o.name, v)
			if s.IsLeader {
				h.mu.Lock()
				h.leaders[fmt.Sprint(o.name, l.n, s.Term)] = true
				h.mu.Unlock()
			}
			h.time(o.name, v)
		}
	}
}

// time judges a state's time: no right clock may have shown it later than now, or before the run began.
func (h *annals) time(host string, v *fsm.View) {
	if v.Time().IsZero() {
		return // nothing has happened yet
	}
	if ahead := time.Until(v.Time()); ahead > clockSlack {
		h.s.fail("%s: the state's time is %s ahead of the true time", host, ahead)
	}
	if behind := h.s.began.Sub(v.Time()); behind > clockSlack {
		h.s.fail("%s: the state's time is %s before the beginning", host, behind)
	}
}

// state compares a view with others of the same index.
func (h *annals) state(host string, v *fsm.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known, ok := h.hashes[v.Index()]; ok && known != v.Hash() {
		h.s.fail("%s: state %016x at index %d, elsewhere %016x", host, v.Hash(), v.Index(), known)
	}
	h.hashes[v.Index()] = v.Hash()
}

// acknowledged notes an answered submit.
func (h *annals) acknowledged(key string, id fsm.RequestID, jobs int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if other, ok := h.acks[id]; ok && other.key != key {
		h.s.fail("request %s was given to key %s and to key %s", id, other.key, key)
	}
	if other, ok := h.keys[key]; ok && other != id {
		h.s.fail("key %s was answered %s and %s", key, other, id)
	}
	if _, known := h.acks[id]; !known {
		h.order = append(h.order, id)
	}
	h.acks[id], h.keys[key] = ack{key, jobs}, id
}

// count notes what only the report tells.
func (h *annals) count(one func(*Report)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one(&h.counts)
}

// floor is the index that any later linearizable read must reach.
func (h *annals) floor() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known
}

// readAt judges a linearizable read that began when floor was the floor.
func (h *annals) readAt(who string, v *fsm.View, floor uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads++
	if v.Index() < floor {
		h.s.fail("%s read index %d after a read of index %d had ended", who, v.Index(), floor)
	}
	h.known = max(h.known, v.Index())
}

// began notes that a process began an attempt: nobody else ever may.
func (h *annals) began(g fsm.Grant, w *worker, process uint64) {
	who := fmt.Sprintf("%s/%x", w.name, process)
	h.mu.Lock()
	defer h.mu.Unlock()
	if other, ok := h.beginner[g]; ok {
		h.s.fail("%s attempt %d was begun by %s and by %s", g.Job, g.Attempt, other, who)
	}
	h.beginner[g] = who
}

// judged notes what was answered to an attempt's last word.
func (h *annals) judged(g fsm.Grant, me fsm.WorkerJoined, kind fsm.ReportKind, code fsm.Code) {
	if kind != fsm.ReportDone || code != fsm.CodeOK {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if other, ok := h.done[g]; ok && other != me.ID {
		h.s.fail("DONE of %s attempt %d was accepted of %s and of %s", g.Job, g.Attempt, other, me.ID)
	}
	h.done[g] = me.ID
}

func (h *annals) report(r *Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.InParts, r.Broken, r.Ending, r.Busy = h.counts.InParts, h.counts.Broken, h.counts.Ending, h.counts.Busy
	r.Reads, r.Leaders, r.Requests = h.reads, len(h.leaders), len(h.acks)
	for _, a := range h.acks {
		r.Jobs += a.jobs
	}
	for _, e := range h.entries {
		r.Events += len(e.events)
	}
}
