package fsm

import (
	"slices"

	"github.com/tidwall/btree"
)

// worker is one registered worker.
type worker struct {
	gen         uint64
	id          WorkerID
	incarnation uint32
	slots       uint32
	name        string
	identity    string
	process     uint64
	queues      []string
	labels      []Pair
	credit      uint32 // slots still wanted by the last PickJobs, unless standing
	standing    bool   // every free slot is wanted
	gone        bool   // lost or left
	draining    bool
	joined      int64
	goneAt      int64
	used        uint32  // slots of what it holds. Derived.
	held        []JobID // in no order. Derived.
	fresh       bool    // it may want more since the last match. Derived.
}

// wants is the number of slots that may be granted to w now.
func (w *worker) wants() uint32 {
	if w.gone || w.draining || w.used >= w.slots {
		return 0
	}
	free := w.slots - w.used
	if w.standing {
		return free
	}
	return min(free, w.credit)
}

// fits says whether w can run the jobs of a class, were it idle.
func (w *worker) fits(c *class) bool {
	if c.slots > w.slots {
		return false
	}
	if _, ok := slices.BinarySearch(w.queues, c.queue); !ok {
		return false
	}
	for _, need := range c.labels {
		at, ok := slices.BinarySearchFunc(w.labels, need.Key, func(l Pair, key string) int { return compare(l.Key, key) })
		if !ok || w.labels[at].Value != need.Value {
			return false
		}
	}
	return true
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Workers is the registry: who has joined, what each holds, who wants more. Copy-on-write like SessionsDB.
type Workers struct {
	gen        uint64
	byID       btree.Map[WorkerID, *worker]
	identities btree.Map[string, WorkerID]
	hungry     btree.Map[WorkerID, struct{}] // those with wants() > 0. Derived.
	sum        uint64
	stirred    bool // somebody became hungry since the last match
}

func (ws *Workers) freeze() Workers {
	frozen := Workers{gen: ws.gen, sum: ws.sum, byID: *ws.byID.Copy(), identities: *ws.identities.Copy()}
	ws.gen++
	return frozen
}

func (ws *Workers) worker(id WorkerID) *worker {
	w, _ := ws.byID.Get(id)
	return w
}

// current is the worker if that incarnation of it is the current one and has not gone.
func (ws *Workers) current(id WorkerID, incarnation uint32) (*worker, *Refusal) {
	w := ws.worker(id)
	switch {
	case w == nil:
		return nil, refuse(CodeNotFound, "worker %s is not registered: it must join", id)
	case w.incarnation != incarnation:
		return nil, refuse(CodeStale, "worker %s has joined again as incarnation %d, not %d", id, w.incarnation, incarnation)
	case w.gone:
		return nil, refuse(CodeStale, "worker %s was declared lost or has left: it must join again", id)
	}
	return w, nil
}

// edit changes a worker, keeping the sum and the set of the hungry right.
func (ws *Workers) edit(w *worker, change func(*worker)) *worker {
	ws.sum -= w.sum()
	w = ws.own(w)
	change(w)
	ws.sum += w.sum()
	ws.weigh(w)
	return w
}

// own makes w one whose derived part may be changed in place.
func (ws *Workers) own(w *worker) *worker {
	if w.gen == ws.gen {
		return w
	}
	c := *w
	c.gen = ws.gen
	c.held = slices.Clone(w.held)
	ws.byID.Set(c.id, &c)
	return &c
}

func (ws *Workers) add(w *worker) {
	w.gen = ws.gen
	ws.byID.Set(w.id, w)
	if w.identity != "" {
		ws.identities.Set(w.identity, w.id)
	}
	ws.sum += w.sum()
	ws.weigh(w)
}

func (ws *Workers) remove(w *worker) {
	ws.sum -= w.sum()
	ws.byID.Delete(w.id)
	ws.hungry.Delete(w.id)
	if w.identity != "" {
		ws.identities.Delete(w.identity)
	}
}

// weigh puts w among the hungry or takes it from them.
func (ws *Workers) weigh(w *worker) {
	if w.wants() > 0 {
		w.fresh = true
		ws.stirred = true
		ws.hungry.Set(w.id, struct{}{})
	} else {
		ws.hungry.Delete(w.id)
	}
}

// take puts a job into w's hands.
func (ws *Workers) take(w *worker, id JobID, slots uint32) *worker {
	w = ws.hold(w, id, slots)
	if !w.standing {
		old := w.sum()
		w.credit -= min(slots, w.credit)
		ws.sum += w.sum() - old
	}
	ws.weigh(w)
	return w
}

// hold is take without what it costs of the order.
func (ws *Workers) hold(w *worker, id JobID, slots uint32) *worker {
	w = ws.own(w)
	w.held = append(w.held, id)
	w.used += slots
	ws.weigh(w)
	return w
}

// release takes a job out of w's hands. A worker's list is as short as its slots are few.
func (ws *Workers) release(id WorkerID, job JobID, slots uint32) {
	w := ws.worker(id)
	if w == nil {
		return
	}
	at := slices.Index(w.held, job)
	if at < 0 {
		return
	}
	w = ws.own(w)
	last := len(w.held) - 1
	w.held[at] = w.held[last]
	w.held = w.held[:last]
	w.used -= slots
	ws.weigh(w)
}
