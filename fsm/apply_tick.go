package fsm

// reapRequestsMax is the most requests that retention removes with one entry. How many jobs they have does not matter:
// their hashes are summed up in their request's.
const reapRequestsMax = 1000

// tick lets what is due by now happen, as much as one entry may do.
func (m *Machine) tick(c *Tick) (any, *Refusal) {
	if c.Term != m.term {
		return nil, refuse(CodeStale, "decided in term %d, applied in term %d", c.Term, m.term)
	}
	changes := m.fireJobs() + m.expireUploads() + m.expireIncoming()
	for {
		e, ok := m.due.ended.Min()
		if !ok || addTime(e.at, m.limits.KeepFor) > m.now || !m.spend(costReap) {
			break
		}
		m.reap(e)
		changes++
	}
	for { // after the requests, because the last of them to go makes its session due
		s, ok := m.due.closed.Min()
		if !ok || addTime(s.at, m.limits.KeepFor) > m.now || !m.spend(costReap) {
			break
		}
		m.due.closed.Delete(s)
		m.db.removeSession(m.db.session(s.id))
		changes++
	}
	for {
		k, ok := m.due.orphans.Min()
		if !ok || addTime(k.created, m.limits.KeepKeys) > m.now || !m.spend(costReap) {
			break
		}
		m.due.orphans.Delete(k)
		m.db.removeKey(k.key)
		changes++
	}
	for {
		g, ok := m.due.gone.Min()
		if !ok || g.at+int64(goneWorkerKeep) > m.now || !m.spend(costReap) {
			break
		}
		m.due.gone.Delete(g)
		m.workers.remove(m.workers.worker(g.id))
		changes++
	}
	return changes, nil
}

// fireJobs readies the delayed jobs whose time has come and ends the running ones whose time is up.
func (m *Machine) fireJobs() (changes uint32) {
	for {
		d, ok := m.due.jobs.Min()
		if !ok || d.at > m.now || !m.spend(costChange) {
			break
		}
		changes++
		r, i := m.db.own(m.db.request(d.job.Request)), d.job.Index
		j := r.job(i)
		if r.halted() {
			m.cancelHalted(r, i)
			continue
		}
		if j.state == Delayed {
			m.makeReady(r, i, 0)
			continue
		}
		m.emit(Event{Kind: EventStop, Job: d.job, Attempt: j.attempt, Worker: j.worker, Session: r.session})
		m.jobFailed(r, i, ending{reason: ReasonTimeout, err: "ran longer than its timeout of " + r.spec(i).Timeout.String(), exit: -1})
	}
	return changes
}

// retain removes the oldest ended requests while more are kept than the limits allow.
func (m *Machine) retain() {
	requests := 0
	for m.due.ended.Len() > int(m.limits.KeepRequests) || m.due.endedJobs > m.limits.KeepJobs && m.due.ended.Len() > 1 {
		if requests == reapRequestsMax {
			return
		}
		e, ok := m.due.ended.Min()
		if !ok {
			return
		}
		requests++
		m.reap(e)
	}
}

// reap forgets an ended request. Its idempotency key outlives it until KeepKeys have passed.
func (m *Machine) reap(e endedAt) {
	m.db.settle()
	r := m.db.request(e.id)
	m.due.ended.Delete(e)
	m.due.endedJobs -= uint64(r.len())
	if k, ok := m.db.keys.Get(r.key); ok && r.key != "" && k.request == r.id {
		kept := *k
		kept.ended = r.state
		m.db.setKey(&kept)
		m.due.orphans.Set(orphanKey{k.created, k.key})
	}
	m.db.removeRequest(r)
	m.dueSession(m.db.session(r.session))
}

// dueSession makes a session due to be forgotten, if it is closed and none of its requests is kept. It gets none
// again, so it stays due.
func (m *Machine) dueSession(s *session) {
	if s.closed && s.requests == 0 {
		m.due.closed.Set(closedAt{s.closedAt, s.id})
	}
}
