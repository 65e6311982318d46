package fsm

const (
	// idLeap is by how much a restore moves the counters of ids on. What the lost stretch of time had handed out stays
	// unused, as far as it was fewer: an id from there names nothing, rather than something else.
	idLeap = 1 << 20
	// attemptLeap is by how much a restore moves on the attempts of jobs that may run again, so that they are above those of
	// the lost stretch of time: side effects that are fenced by the attempt stay fenced.
	attemptLeap = 1000
)

func (m *Machine) beginRestore(c *BeginRestore) *Refusal {
	switch {
	case m.incoming != nil:
		return refuse(CodeConflict, "a snapshot is being restored already: wait for it to end")
	case c.Bytes == 0:
		return refuse(CodeInvalid, "a state of no bytes")
	case c.Bytes > m.limits.UploadBytes:
		return refuse(CodeLimit, "a state of %d bytes: at most %d can be restored", c.Bytes, m.limits.UploadBytes)
	}
	m.incoming = &incoming{id: c.Restore, term: m.term, size: c.Bytes, touched: m.now}
	return nil
}

// incomingOf finds the state that comes in parts under a name.
func (m *Machine) incomingOf(id uint64) (*incoming, *Refusal) {
	if m.incoming == nil || m.incoming.id != id {
		return nil, refuse(CodeNotFound, "no state comes in parts as %016x: it was forgotten", id)
	}
	return m.incoming, nil
}

func (m *Machine) restorePart(c *RestorePart) *Refusal {
	in, refusal := m.incomingOf(c.Restore)
	switch {
	case refusal != nil:
		return refusal
	case c.Offset != in.bytes:
		return refuse(CodeConflict, "bytes from %d on of a state of which %d have come", c.Offset, in.bytes)
	case uint64(len(c.Data)) > in.size-in.bytes:
		return refuse(CodeInvalid, "%d bytes more of a state of which %d of %d have come", len(c.Data), in.bytes, in.size)
	}
	m.incoming = in.with(c.Data, m.now)
	return nil
}

func (m *Machine) commitRestore(c *CommitRestore) (any, *Refusal) {
	in, refusal := m.incomingOf(c.Restore)
	if refusal != nil {
		return nil, refusal
	}
	if in.bytes != in.size {
		return nil, refuse(CodeInvalid, "%d bytes have come of a state of %d", in.bytes, in.size)
	}
	n, err := Restore(in.reader())
	if err != nil {
		return nil, refuse(CodeInvalid, "%v", err)
	}
	r := Restored{Index: n.index, Sessions: n.db.sessions.Len(), Requests: n.db.requests.Len()}
	r.Returned = m.become(n)
	return r, nil
}

func (m *Machine) dropRestore(c *DropRestore) {
	if m.incoming != nil && m.incoming.id == c.Restore {
		m.incoming = nil
	}
}

// dropIncoming forgets a state that will never be whole: its Tasker's leadership has ended.
func (m *Machine) dropIncoming() {
	if m.incoming != nil && m.incoming.term < m.term {
		m.incoming = nil
	}
}

// incomingDue is when a state of which no further part comes is forgotten.
func (m *Machine) incomingDue() (at int64, ok bool) {
	if m.incoming == nil {
		return 0, false
	}
	return addTime(m.incoming.touched, m.limits.UploadFor), true
}

func (m *Machine) expireIncoming() (n uint32) {
	if at, ok := m.incomingDue(); ok && at <= m.now {
		m.incoming = nil
		return 1
	}
	return 0
}

// become puts the state n in place of this one, and returns how many jobs workers held in it. Of what went on between the
// saving of n and now nothing is left but that it cannot be mistaken for what comes: time does not go back, ids and attempts
// go on far above. Workers must join anew, and what they held is ready again, without it counting as lost. Requests that came in
// parts and were not whole are forgotten.
//
// This is more than an entry may do otherwise: it takes as long as restoring a snapshot of that size.
func (m *Machine) become(n *Machine) (returned uint32) {
	n.index, n.term, n.purse = m.index, m.term, m.purse
	n.now = max(n.now, m.now)
	n.nextSession = max(n.nextSession, m.nextSession) + idLeap
	n.nextRequest = max(n.nextRequest, m.nextRequest) + idLeap
	n.nextWorker = max(n.nextWorker, m.nextWorker) + idLeap
	n.nextOrder = max(n.nextOrder, m.nextOrder)
	for _, u := range n.db.uploads.byID.Values() {
		n.db.removeUpload(u)
	}
	n.incoming = nil
	returned = n.forgetWorkers()
	for _, r := range n.db.requests.Values() {
		n.fence(r)
	}
	n.db.settle()
	n.events, n.jumped = n.events[:0], true
	*m = *n
	return returned
}

// forgetWorkers gives back all that workers hold, and removes them.
func (m *Machine) forgetWorkers() (returned uint32) {
	for _, w := range m.workers.byID.Values() {
		returned += m.takeAway(w, func(r *request, i uint32) { m.giveBack(r, i, ReasonRestore) })
		w = m.workers.worker(w.id)
		if w.gone {
			m.due.gone.Delete(goneAt{w.goneAt, w.id})
		}
		m.workers.remove(w)
	}
	m.turn = 0
	return returned
}

// fence moves on the attempts of a request's jobs, but for those that can never run again, and takes its place in the log as
// one that this log has reached.
func (m *Machine) fence(r *request) {
	r = m.db.editRequest(r)
	r.index = min(r.index, m.index)
	for i := range r.len() {
		if r.job(i).state != Done {
			j := m.db.editJob(r, i)
			j.attempt += min(attemptLeap, ^uint32(0)-j.attempt)
		}
	}
}
