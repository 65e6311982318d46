package fsm

import "github.com/tidwall/btree"

// upload is a request that comes in parts and is not whole yet: nobody sees it, and nothing of it runs. It belongs to the
// leadership in which it began. Copy-on-write like requests.
type upload struct {
	gen     uint64
	term    uint64
	request RequestID // that it will be
	head    BeginSubmit
	parts   uint32
	bytes   uint64 // about what they take
	touched int64  // when the last came
	dag     *dag
	pages   []*page             // Derived.
	jobSum  uint64              // Σ hashes of the jobs. Derived.
	edges   int                 // Derived.
	names   map[string]struct{} // of the jobs: looked up, never ranged over, by no View. Derived.
}

// uploads is the requests that are not whole yet.
type uploads struct {
	byID  btree.Map[uint64, *upload]
	bytes uint64 // of all together
	jobs  uint64 // likewise
}

func (db *SessionsDB) upload(id uint64) *upload {
	u, _ := db.uploads.byID.Get(id)
	return u
}

func (db *SessionsDB) addUpload(u *upload) {
	u.gen = db.gen
	db.uploads.byID.Set(u.head.Upload, u)
	db.uploads.bytes += u.bytes
	db.uploads.jobs += uint64(u.dag.jobs)
	db.sum += u.sum()
}

// editUpload changes an upload.
func (db *SessionsDB) editUpload(u *upload, change func(*upload)) {
	db.removeUpload(u)
	if u.gen != db.gen {
		c := *u
		c.dag = u.dag.own()
		u = &c
	}
	change(u)
	db.addUpload(u)
}

func (db *SessionsDB) removeUpload(u *upload) {
	db.sum -= u.sum()
	db.uploads.bytes -= u.bytes
	db.uploads.jobs -= uint64(u.dag.jobs)
	db.uploads.byID.Delete(u.head.Upload)
}

// add appends a part that was checked.
func (u *upload) add(gen uint64, specs []JobSpec, jobs []JobEntry) {
	for i := range jobs {
		u.edges += len(jobs[i].Needs)
		u.names[jobs[i].Name] = struct{}{}
		u.addJob(gen, jobs[i].Needs)
	}
	u.bytes += partBytes(specs, jobs)
	u.dag.addSpecs(specs)
	u.dag.addJobs(jobs)
}

// addJob adds a job that waits.
func (u *upload) addJob(gen uint64, needs []Need) {
	var last *page
	if n := len(u.pages); n > 0 {
		last = u.pages[n-1]
	}
	if last == nil || len(last.jobs) == pageJobs {
		last = &page{gen: gen, jobs: make([]job, 0, pageJobs)}
		u.pages = append(u.pages, last)
	}
	id := JobID{u.request, uint32((len(u.pages)-1)*pageJobs + len(last.jobs))}
	open, hopes := waits(needs)
	last.jobs = append(last.jobs, job{state: Waiting, open: open, hopes: hopes})
	u.jobSum += last.jobs[len(last.jobs)-1].sum(id)
}

// jobBytes is about what a job takes beside its name, payload and needs.
const jobBytes = 256

// partBytes is about what a part takes.
func partBytes(specs []JobSpec, jobs []JobEntry) (n uint64) {
	for i := range specs {
		n += jobBytes + uint64(specBytes(&specs[i]))
	}
	for i := range jobs {
		n += jobBytes + uint64(len(jobs[i].Name)+len(jobs[i].Payload)+12*len(jobs[i].Needs))
	}
	return n
}

// becomeRequest makes a whole upload a request whose jobs all wait.
func (db *SessionsDB) becomeRequest(u *upload, r *request) {
	db.removeUpload(u)
	n := u.dag.jobs
	r.gen, r.dag, r.pages, r.jobSum = db.gen, u.dag, u.pages, u.jobSum
	r.counts[Waiting] = n
	db.counts[Waiting] += uint64(n)
	db.sum += u.jobSum
	r.dirty = true
	db.heads = append(db.heads, r)
	db.requests.Set(r.id, r)
	db.last = r
	db.editSession(r.session, func(s *session) { s.requests++; s.live++ })
}
