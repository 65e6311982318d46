package fsm

import "math"

// beginSubmit makes room for a request that comes in parts. Nothing of it is seen before CommitSubmit.
func (m *Machine) beginSubmit(c *BeginSubmit) (any, *Refusal) {
	if c.Key != "" {
		if k, ok := m.db.keys.Get(c.Key); ok {
			return m.repeated(k, c.Body)
		}
	}
	switch {
	case m.db.upload(c.Upload) != nil:
		return nil, refuse(CodeConflict, "another request comes in parts as %016x", c.Upload)
	case m.db.uploads.byID.Len() >= int(m.limits.Uploads):
		return nil, refuse(CodeLimit, "%d large requests are being submitted, as many as the limit allows: try again later", m.limits.Uploads)
	}
	if _, refusal := m.checkHead(c); refusal != nil {
		return nil, refusal
	}
	u := &upload{
		term: m.term, request: m.nextRequest, head: *c, touched: m.now, dag: newPartedDAG(), names: map[string]struct{}{},
	}
	m.nextRequest++
	m.db.addUpload(u)
	return nil, nil
}

// uploadOf finds an upload that waits for its part-th part.
func (m *Machine) uploadOf(id uint64, part uint32) (*upload, *Refusal) {
	u := m.db.upload(id)
	switch {
	case u == nil:
		return nil, refuse(CodeNotFound, "no request comes in parts as %016x: it was forgotten", id)
	case part != u.parts:
		return nil, refuse(CodeConflict, "part %d of a request of which %d have come", part, u.parts)
	}
	return u, nil
}

func (m *Machine) submitPart(c *SubmitPart) *Refusal {
	u, refusal := m.uploadOf(c.Upload, c.Part)
	if refusal != nil {
		return refusal
	}
	if refusal := m.checkPart(u, c); refusal != nil {
		return refusal
	}
	m.db.editUpload(u, func(u *upload) {
		u.parts++
		u.touched = m.now
		u.add(m.db.gen, c.Specs, c.Jobs)
	})
	return nil
}

// checkPart is what checkRequest checks of a whole request. That needs lead back only makes cycles impossible.
func (m *Machine) checkPart(u *upload, c *SubmitPart) *Refusal {
	l := &m.limits
	had, specs := int(u.dag.jobs), u.dag.specCount()+len(c.Specs)
	switch {
	case had+len(c.Jobs) > int(u.head.Jobs):
		return refuse(CodeInvalid, "%d jobs of a request of %d", had+len(c.Jobs), u.head.Jobs)
	case specs > int(l.Jobs):
		return refuse(CodeLimit, "%d specs: a request has at most %d, like jobs", specs, l.Jobs)
	case m.db.uploads.bytes+partBytes(c.Specs, c.Jobs) > l.UploadBytes:
		return refuse(CodeLimit, "the large requests that are being submitted have more than %d bytes, the limit: try again later", l.UploadBytes)
	}
	for i := range c.Specs {
		if refusal := checkSpec(&c.Specs[i], int(l.SpecBytes)); refusal != nil {
			return refusal
		}
	}
	check := jobCheck{limits: l, specs: specs, jobs: math.MaxInt, edges: u.edges, names: u.names, named: had, bare: c.bare}
	for i := range c.Jobs {
		refusal := check.job(had+i, &c.Jobs[i])
		if refusal == nil {
			refusal = precede(uint32(had+i), &c.Jobs[i])
		}
		if refusal != nil {
			for n := range min(check.named-had, len(c.Jobs)) {
				delete(u.names, c.Jobs[n].Name)
			}
			return refusal
		}
	}
	return nil
}

// precede says whether a job of a request that comes in parts needs only jobs before itself.
func precede(i uint32, j *JobEntry) *Refusal {
	for _, n := range j.Needs {
		if n.Job >= i || n.When >= whenCount {
			return refuse(CodeInvalid, "job %q: it needs job %d, which does not come before it", j.Name, n.Job)
		}
	}
	return nil
}

// commitSubmit makes a request of its parts, all at once.
func (m *Machine) commitSubmit(c *CommitSubmit) (any, *Refusal) {
	u, refusal := m.uploadOf(c.Upload, c.Parts)
	if refusal != nil {
		return nil, refusal
	}
	h := &u.head
	if h.Key != "" {
		if k, ok := m.db.keys.Get(h.Key); ok {
			answer, refusal := m.repeated(k, h.Body)
			if refusal == nil {
				m.db.removeUpload(u)
			}
			return answer, refusal
		}
	}
	if u.dag.jobs != h.Jobs {
		return nil, refuse(CodeInvalid, "%d jobs have come of a request of %d", u.dag.jobs, h.Jobs)
	}
	session, refusal := m.checkHead(h)
	if refusal != nil {
		return nil, refusal
	}
	if session == 0 {
		session = m.addSession(h.Session)
	}
	r := m.newRequest(u.request, session, h)
	m.db.becomeRequest(u, r)
	m.keepKey(r)
	m.emitRequest(r)
	m.begin(r, task{kind: taskTurn})
	m.begin(r, task{kind: taskRelease})
	return RequestSubmitted{ID: r.id, Session: session, Jobs: r.len(), State: r.state}, nil
}

func (m *Machine) dropSubmit(c *DropSubmit) {
	if u := m.db.upload(c.Upload); u != nil {
		m.db.removeUpload(u)
	}
}

// dropUploads forgets the requests that will never be whole: those of earlier leaderships, whose Taskers have gone.
func (m *Machine) dropUploads() {
	if m.db.uploads.byID.Len() == 0 {
		return
	}
	for _, u := range m.db.uploads.byID.Values() {
		if u.term < m.term {
			m.db.removeUpload(u)
		}
	}
}

// expireUploads forgets the requests whose next part did not come.
func (m *Machine) expireUploads() (n uint32) {
	for _, u := range m.db.uploads.byID.Values() {
		if addTime(u.touched, m.limits.UploadFor) <= m.now {
			m.db.removeUpload(u)
			n++
		}
	}
	return n
}

// nextUpload is when the first upload expires.
func (m *Machine) nextUpload() (at int64, ok bool) {
	m.db.uploads.byID.Scan(func(_ uint64, u *upload) bool {
		if t := addTime(u.touched, m.limits.UploadFor); !ok || t < at {
			at, ok = t, true
		}
		return true
	})
	return at, ok
}

// turnSome turns needs round: first it makes room for the dependents of all jobs, then it enters them.
func (m *Machine) turnSome(r *request, purse int) (left int, done bool) {
	at, n, d := r.tasks[0].at, r.len(), r.dag
	for ; at < n && purse > 0; at = min(at+turnStride, n) {
		if !d.turned {
			d.layOutFrom(at)
		}
		purse -= turnStride / 16 * costLook
	}
	for ; at >= n && at < 2*n && purse > 0; at++ {
		if !d.turned {
			d.tellNeeds(at - n)
		}
		purse -= costLook * (1 + len(d.needsOf(at-n)))
	}
	r.tasks[0].at = at
	if at < 2*n {
		return purse, false
	}
	d.turned = true
	return purse, true
}
