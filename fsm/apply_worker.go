package fsm

import (
	"slices"
)

const (
	// SlotsMax is the most slots that a worker may have.
	SlotsMax = 100_000
	// queuesMax bounds what one worker may serve, and labelsMax what one worker may carry or one job may ask for.
	queuesMax = 256
	labelsMax = 256
)

func (m *Machine) joinWorker(c *JoinWorker) (any, *Refusal) {
	if refusal := checkJoin(c); refusal != nil {
		return nil, refusal
	}
	if id, ok := m.workers.identities.Get(c.Identity); ok && c.Identity != "" {
		return m.rejoin(m.workers.worker(id), c), nil
	}
	if m.workers.byID.Len() >= int(m.limits.Workers) {
		return nil, refuse(CodeLimit, "%d workers are registered, as many as the limit allows", m.limits.Workers)
	}
	w := &worker{id: m.nextWorker, identity: c.Identity, incarnation: 1}
	m.nextWorker++
	m.describe(w, c)
	m.workers.add(w)
	m.emitWorker(w)
	return WorkerJoined{ID: w.id, Incarnation: w.incarnation}, nil
}

// rejoin takes back a worker that the registry knows. The same process that never went keeps what it holds.
func (m *Machine) rejoin(w *worker, c *JoinWorker) any {
	if !w.gone && w.process == c.Process {
		return WorkerJoined{ID: w.id, Incarnation: w.incarnation}
	}
	m.takeAway(w, func(r *request, i uint32) { m.loseJob(r, i, "it was started anew") })
	w = m.workers.worker(w.id)
	if w.gone {
		m.due.gone.Delete(goneAt{w.goneAt, w.id})
	}
	w = m.workers.edit(w, func(w *worker) {
		w.incarnation++
		m.describe(w, c)
	})
	m.emitWorker(w)
	return WorkerJoined{ID: w.id, Incarnation: w.incarnation}
}

func (m *Machine) describe(w *worker, c *JoinWorker) {
	w.name, w.process, w.slots = c.Name, c.Process, c.Slots
	w.queues = slices.Compact(slices.Sorted(slices.Values(c.Queues)))
	w.labels = c.Labels
	w.credit, w.standing, w.gone, w.draining = 0, false, false, false
	w.joined, w.goneAt = m.now, 0
}

func checkJoin(c *JoinWorker) *Refusal {
	switch {
	case len(c.Identity) > nameBytesMax:
		return refuse(CodeInvalid, "a worker's identity has at most %d bytes", nameBytesMax)
	case c.Slots == 0 || c.Slots > SlotsMax:
		return refuse(CodeInvalid, "a worker has 1 to %d slots, not %d", SlotsMax, c.Slots)
	case len(c.Queues) == 0 || len(c.Queues) > queuesMax:
		return refuse(CodeInvalid, "a worker serves 1 to %d queues, not %d", queuesMax, len(c.Queues))
	}
	if refusal := checkName("a worker's name", c.Name); refusal != nil {
		return refusal
	}
	for _, q := range c.Queues {
		if refusal := checkName("a queue's name", q); refusal != nil {
			return refusal
		}
	}
	return checkLabels(c.Labels)
}

// takeAway takes every job out of a worker's hands, in the order of their ids, and counts them. One job's end may
// cancel others that the worker holds (on_failure: stop): those are out of its hands already.
func (m *Machine) takeAway(w *worker, each func(r *request, i uint32)) uint32 {
	held := slices.SortedFunc(slices.Values(w.held), func(a, b JobID) int {
		if a.Less(b) {
			return -1
		}
		return 1
	})
	var taken uint32
	for _, id := range held {
		r := m.db.own(m.db.request(id.Request))
		switch j := r.job(id.Index); {
		case !j.state.Assigned() || j.worker != w.id:
		case r.halted():
			m.cancelHalted(r, id.Index)
		default:
			each(r, id.Index)
			taken++
		}
	}
	return taken
}

func (m *Machine) leaveWorker(c *LeaveWorker) *Refusal {
	w, refusal := m.workers.current(c.Worker, c.Incarnation)
	if refusal != nil {
		return refusal
	}
	m.dismiss(w)
	m.takeAway(w, func(r *request, i uint32) { m.giveBack(r, i, ReasonReturn) })
	return nil
}

// dismiss marks a worker as gone, so that it is granted nothing more.
func (m *Machine) dismiss(w *worker) {
	w = m.workers.edit(w, func(w *worker) {
		w.gone, w.goneAt = true, m.now
		w.credit, w.standing = 0, false
	})
	m.due.gone.Set(goneAt{w.goneAt, w.id})
	m.emitWorker(w)
}

func (m *Machine) drainWorker(c *DrainWorker) *Refusal {
	w := m.workers.worker(c.Worker)
	if w == nil {
		return refuse(CodeNotFound, "worker %s is not registered", c.Worker)
	}
	if w.draining != !c.Undo {
		m.emitWorker(m.workers.edit(w, func(w *worker) { w.draining = !c.Undo }))
	}
	return nil
}

// pickJobs is pickJob as a standing order: see PickJobs.
func (m *Machine) pickJobs(c *PickJobs) (any, *Refusal) {
	w, refusal := m.workers.current(c.Worker, c.Incarnation)
	if refusal != nil {
		return nil, refusal
	}
	m.workers.edit(w, func(w *worker) {
		w.credit, w.standing = c.Max, c.Standing && c.Max > 0
		if w.standing {
			w.credit = 0
		}
	})
	before := len(m.events)
	m.match()
	var grants []Grant
	for _, e := range m.events[before:] {
		if e.Kind == EventJob && e.State == Picked && e.Worker == c.Worker {
			grants = append(grants, Grant{e.Job, e.Attempt})
		}
	}
	return grants, nil
}

func (m *Machine) reassignWorker(c *ReassignWorker) (any, *Refusal) {
	if c.Term != m.term {
		return nil, refuse(CodeStale, "decided in term %d, applied in term %d", c.Term, m.term)
	}
	w, refusal := m.workers.current(c.Worker, c.Incarnation)
	if refusal != nil {
		return nil, refusal
	}
	m.dismiss(w)
	cause := cut(c.Cause, nameBytesMax)
	return m.takeAway(w, func(r *request, i uint32) { m.loseJob(r, i, cause) }), nil
}
