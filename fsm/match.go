package fsm

// match gives ready jobs to workers with a standing order, as the last step of an entry. Workers take turns, each an
// even share at a time; each gets the first job, by priority and then by order, among the classes that it fits. Jobs
// that are first but whose request is full are parked on the way.
//
// Invariant: afterwards no job on the board fits a worker that wants it, unless one of a halted request, or of one just paused, lies before it. So only classes and workers that changed
// since then are looked at (their fresh flags). It also makes what is parked, which is part of the state, the same on
// a machine that was restored, where everything counts as changed: to look again finds nothing, and parks nothing.
func (m *Machine) match() {
	if !m.board.stirred && !m.workers.stirred || m.board.ready == 0 || m.workers.hungry.Len() == 0 {
		return
	}
	var round []WorkerID
	for granted := true; granted && m.board.ready > 0; {
		granted = false
		round = m.queueUp(round[:0])
		if len(round) == 0 {
			break
		}
		share := max(1, (m.board.ready-m.board.surplus+len(round)-1)/len(round))
		for _, id := range round {
			if m.serve(id, share) {
				granted = true
			}
		}
	}
	for _, c := range m.board.list {
		c.fresh = false
	}
	for _, id := range round {
		m.workers.worker(id).fresh = false
	}
	m.board.stirred, m.workers.stirred = false, false
}

// queueUp lists the hungry workers, beginning after the one that was served last.
func (m *Machine) queueUp(round []WorkerID) []WorkerID {
	m.workers.hungry.Ascend(m.turn+1, func(id WorkerID, _ struct{}) bool {
		round = append(round, id)
		return true
	})
	m.workers.hungry.Scan(func(id WorkerID, _ struct{}) bool {
		if id > m.turn {
			return false
		}
		round = append(round, id)
		return true
	})
	return round
}

// serve grants a worker up to share jobs and says whether it got any.
func (m *Machine) serve(id WorkerID, share int) (any bool) {
	w := m.workers.worker(id)
	for range share {
		t, ok := m.bestFor(w)
		if !ok {
			break
		}
		w = m.grant(w, m.db.own(m.db.request(t.job.Request)), t.job.Index)
		m.turn = id
		any = true
	}
	return any
}

// bestFor is the first job on the board that fits what w wants.
func (m *Machine) bestFor(w *worker) (best ticket, found bool) {
	wants := w.wants()
	if wants == 0 {
		return ticket{}, false
	}
	var bestPriority int8
	for _, c := range m.board.list {
		if c.n == 0 || c.slots > wants || !c.fresh && !w.fresh || !w.fits(c) {
			continue
		}
		t, priority, ok := m.firstOf(c)
		if ok && (!found || priority > bestPriority || priority == bestPriority && t.order < best.order) {
			best, bestPriority, found = t, priority, true
		}
	}
	return best, found
}

// firstOf is the next job of a class that may be granted. It parks those before it: their requests run as many jobs
// as max_running allows. There is none while a job comes first whose request is halted, or has just been paused.
func (m *Machine) firstOf(c *class) (t ticket, priority int8, ok bool) {
	for {
		t, priority, ok = c.first(m.onBoard)
		if !ok {
			return t, priority, false
		}
		r := m.db.request(t.job.Request)
		if r.halted() || r.pause != NotPaused {
			return t, priority, false // what lies behind it waits until it is cancelled or parked, see cancelHalted and parkSome
		}
		if r.room() > 0 {
			return t, priority, true
		}
		m.park(r, t)
	}
}
