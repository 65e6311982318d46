package fsm

import (
	"slices"

	"github.com/tidwall/btree"
)

// SessionsDB is sessions > requests > jobs: what was asked for, how it stands and what came of it. It is
// copy-on-write: freeze starts a new generation, and the edit methods copy what belongs to an older one.
type SessionsDB struct {
	gen      uint64
	sessions btree.Map[SessionID, *session]
	names    btree.Map[string, SessionID]
	requests btree.Map[RequestID, *request]
	keys     btree.Map[string, *keyed]
	uploads  uploads
	counts   Counts // of jobs kept, by state

	sum   uint64     // Σ hashes of sessions, requests, jobs, keys and uploads, less what is dirty
	dirty []jobTouch // jobs changed in this entry
	heads []*request // requests changed in this entry
	last  *request   // the request edited last: most runs of edits are in one
}

type jobTouch struct {
	r *request
	i uint32
}

// freeze gives a copy that later edits leave alone. There must be nothing dirty.
func (db *SessionsDB) freeze() SessionsDB {
	frozen := SessionsDB{
		gen: db.gen, counts: db.counts, sum: db.sum,
		sessions: *db.sessions.Copy(), names: *db.names.Copy(), requests: *db.requests.Copy(), keys: *db.keys.Copy(),
		uploads: uploads{byID: *db.uploads.byID.Copy()},
	}
	db.gen++
	db.last = nil
	return frozen
}

// settle puts the hashes of what the entry changed back into the sum.
func (db *SessionsDB) settle() {
	for _, t := range db.dirty {
		j := t.r.job(t.i)
		j.flags &^= flagDirty
		sum := j.sum(JobID{t.r.id, t.i})
		db.sum += sum
		t.r.jobSum += sum
	}
	for _, r := range db.heads {
		r.dirty = false
		db.sum += r.sum()
	}
	db.dirty, db.heads = db.dirty[:0], db.heads[:0]
}

func (db *SessionsDB) session(id SessionID) *session {
	s, _ := db.sessions.Get(id)
	return s
}

// addSession stores a session under a name that is free.
func (db *SessionsDB) addSession(s *session) {
	db.sessions.Set(s.id, s)
	db.names.Set(s.name, s.id)
	db.sum += s.sum()
}

// editSession replaces a session by a changed copy.
func (db *SessionsDB) editSession(id SessionID, change func(*session)) {
	old := db.session(id)
	if old == nil {
		return
	}
	s := *old
	change(&s)
	db.sum += s.sum() - old.sum()
	db.sessions.Set(id, &s)
}

func (db *SessionsDB) request(id RequestID) *request {
	if db.last != nil && db.last.id == id {
		return db.last
	}
	r, _ := db.requests.Get(id)
	return r
}

// addRequest stores a request whose jobs are all waiting, with their needs counted.
func (db *SessionsDB) addRequest(r *request) {
	r.gen = db.gen
	n := r.len()
	r.pages = make([]*page, 0, (n+pageJobs-1)/pageJobs)
	for from := uint32(0); from < n; from += pageJobs {
		p := &page{gen: db.gen, jobs: make([]job, min(pageJobs, n-from))}
		for i := range p.jobs {
			at := from + uint32(i)
			j := &p.jobs[i]
			j.state, j.flags = Waiting, flagDirty
			j.open, j.hopes = waits(r.dag.needsOf(at))
			db.dirty = append(db.dirty, jobTouch{r, at})
		}
		r.pages = append(r.pages, p)
	}
	r.counts[Waiting] = n
	db.counts[Waiting] += uint64(n)
	r.dirty = true
	db.heads = append(db.heads, r)
	db.requests.Set(r.id, r)
	db.last = r
	db.editSession(r.session, func(s *session) { s.requests++; s.live++ })
}

// own makes r one that may be changed in place. Its hash stays in the sum: see editRequest.
func (db *SessionsDB) own(r *request) *request {
	if r.gen == db.gen {
		db.last = r
		return r
	}
	c := *r
	c.gen = db.gen
	c.pages = append(make([]*page, 0, len(r.pages)), r.pages...)
	c.tasks = slices.Clone(r.tasks)
	db.requests.Set(c.id, &c)
	db.last = &c
	return &c
}

// editRequest is r to be changed, its hash taken from the sum until settle.
func (db *SessionsDB) editRequest(r *request) *request {
	r = db.own(r)
	if !r.dirty {
		r.dirty = true
		db.sum -= r.sum()
		db.heads = append(db.heads, r)
	}
	return r
}

// editJob is the i-th job of r (which own or editRequest returned), to be changed until the entry ends.
func (db *SessionsDB) editJob(r *request, i uint32) *job {
	p := r.pages[i/pageJobs]
	if p.gen != db.gen {
		p = &page{gen: db.gen, jobs: append(make([]job, 0, len(p.jobs)), p.jobs...)}
		r.pages[i/pageJobs] = p
	}
	j := &p.jobs[i%pageJobs]
	if j.flags&flagDirty == 0 {
		sum := j.sum(JobID{r.id, i})
		db.sum -= sum
		r.jobSum -= sum
		j.flags |= flagDirty
		db.dirty = append(db.dirty, jobTouch{r, i})
	}
	return j
}

// move changes a job's state and every count that depends on it.
func (db *SessionsDB) move(r *request, j *job, to State) {
	r.counts[j.state]--
	r.counts[to]++
	db.counts[j.state]--
	db.counts[to]++
	j.state = to
}

// removeSession forgets a session of which no request is kept.
func (db *SessionsDB) removeSession(s *session) {
	db.sum -= s.sum()
	db.sessions.Delete(s.id)
	db.names.Delete(s.name)
}

// removeRequest forgets a request that has ended. There must be nothing dirty.
func (db *SessionsDB) removeRequest(r *request) {
	db.sum -= r.jobSum
	for s, n := range r.counts {
		db.counts[s] -= uint64(n)
	}
	db.sum -= r.sum()
	db.requests.Delete(r.id)
	if db.last != nil && db.last.id == r.id {
		db.last = nil
	}
	db.editSession(r.session, func(s *session) { s.requests-- })
}

func (db *SessionsDB) setKey(k *keyed) {
	if old, ok := db.keys.Get(k.key); ok {
		db.sum -= old.sum()
	}
	db.keys.Set(k.key, k)
	db.sum += k.sum()
}

func (db *SessionsDB) removeKey(key string) {
	if old, ok := db.keys.Delete(key); ok {
		db.sum -= old.sum()
	}
}
