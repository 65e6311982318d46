package fsm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Check recounts everything that is kept as a running total and compares. It walks the whole state, so it is for
// tests and for the operator who doubts, not for every entry. It returns every difference that it finds.
//
// Invariant: a job that is ready or assigned has its needs met; one that is done has every job done that it needs done (S7).
// Invariant: a job waits exactly on its open needs, and none of them can no longer be met (S8, S9).
// Invariant: each ready job is on the board or parked, once, in its class (S9).
// Invariant: no worker holds more than its slots, no request runs more than max_running (S11).
// Invariant: a request runs exactly while one of its jobs has not ended, or something is still to be done to it.
// Invariant: whatever is not as it should be is so because of a task that will put it right: needs that are not counted
// as met, jobs that wait on what has failed, jobs that need nothing and are not released, jobs of a halted request.
// Invariant: a request with tasks is in the queue, once.
// Invariant: of a request's ready jobs of one class, the best, as many as it has room for, are on the board (max_running
// forgets no job and no priority).
// Invariant: no job of a paused request is on the board, unless a task will take it off.
// Invariant: no job on the board fits a worker that wants it (see Machine.match).
// Invariant: a closed session without requests is due to be forgotten, and no other.
// Invariant: whatever waits for a time has its deadline, and nothing else has one.
// Invariant: a state that comes in parts has as many bytes as its parts, and no more than it will have.
// Invariant: the sum of all hashes is the sum that was kept up entry by entry (S13).
func (m *Machine) Check() error {
	c := &checker{
		m: m, boarded: make(map[JobID]bool, m.board.ready), parked: map[JobID]bool{}, holders: map[JobID]WorkerID{},
		sessions: map[SessionID]*session{},
	}
	c.workers()
	c.requests()
	c.sessionCounts()
	c.board()
	c.deadlines()
	c.queue()
	c.uploads()
	c.incoming()
	c.hash()
	return errors.Join(c.errs...)
}

type checker struct {
	m       *Machine
	errs    []error
	boarded map[JobID]bool // on the board by their flags, until found there
	parked  map[JobID]bool // likewise
	surplus int
	holders map[JobID]WorkerID
	counts  Counts

	sessions map[SessionID]*session // their requests and live, recounted
	due      int                    // jobs with a deadline
	ended    int                    // requests that have ended
	endedIn  uint64                 // their jobs
}

func (c *checker) wrong(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *checker) workers() {
	c.m.workers.byID.Scan(func(id WorkerID, w *worker) bool {
		var used uint32
		for _, job := range w.held {
			c.holders[job] = id
			if r := c.m.db.request(job.Request); r != nil {
				used += r.spec(job.Index).Slots
			}
		}
		if used != w.used || used > w.slots {
			c.wrong("worker %s holds %d slots, counted %d, has %d", id, used, w.used, w.slots)
		}
		if _, hungry := c.m.workers.hungry.Get(id); hungry != (w.wants() > 0) {
			c.wrong("worker %s wants %d slots, hungry %v", id, w.wants(), hungry)
		}
		if w.gone && len(w.held) > 0 {
			c.wrong("worker %s is gone and holds %d jobs", id, len(w.held))
		}
		return true
	})
}

func (c *checker) requests() {
	c.m.db.requests.Scan(func(_ RequestID, r *request) bool {
		c.request(r)
		return true
	})
	if c.counts != c.m.db.counts {
		c.wrong("jobs by state %v, counted %v", c.counts, c.m.db.counts)
	}
	for job, w := range c.holders {
		c.wrong("worker %s holds job %s, which does not say so", w, job)
	}
}

func (c *checker) request(r *request) {
	var counts [stateCount]uint32
	var boarded uint32
	owed := c.tasks(r)
	for i := range r.len() {
		j := r.job(i)
		counts[j.state]++
		c.counts[j.state]++
		c.job(r, i, j, owed)
		switch {
		case j.state == Ready && j.flags&flagHeld == 0:
			boarded++
			c.boarded[JobID{r.id, i}] = true
		case j.flags&flagHeld != 0:
			c.parked[JobID{r.id, i}] = true
			if j.state != Ready || r.maxRunning == 0 && r.pause == NotPaused && !r.admitting() && !r.halted() {
				c.wrong("job %s is %s and parked, max_running %d, %s", JobID{r.id, i}, j.state, r.maxRunning, r.pause)
			}
		}
	}
	if counts != r.counts || boarded != r.boarded {
		c.wrong("request %s: counts %v boarded %d, kept %v and %d", r.id, counts, boarded, r.counts, r.boarded)
	}
	if (r.state == Running) != (r.live() > 0 || len(r.tasks) > 0) {
		c.wrong("request %s is %s with %d live jobs and %d tasks", r.id, r.state, r.live(), len(r.tasks))
	}
	if r.maxRunning > 0 && r.assigned() > r.maxRunning {
		c.wrong("request %s runs %d jobs of at most %d", r.id, r.assigned(), r.maxRunning)
	}
	if counts[Ready] > boarded && !r.halted() && !r.admitting() {
		c.claims(r)
	}
	if r.pause >= pauseCount || r.pause != NotPaused && (r.state != Running || boarded > 0 && !r.halted() && !r.parking()) {
		c.wrong("request %s is %s and %s, with %d jobs on the board", r.id, r.state, r.pause, boarded)
	}
	surplus := boarded - min(boarded, r.room())
	if surplus != r.surplus {
		c.wrong("request %s has %d jobs on the board that it has no room for, counted %d", r.id, surplus, r.surplus)
	}
	c.surplus += int(surplus)
	c.account(r)
}

// claims sees that what max_running has room for is on the board.
func (c *checker) claims(r *request) {
	classes := map[string][]uint32{}
	for i := range r.len() {
		if r.job(i).state == Ready {
			classes[r.spec(i).class] = append(classes[r.spec(i).class], i)
		}
	}
	for _, jobs := range classes {
		slices.SortFunc(jobs, func(a, b uint32) int {
			return cmp.Or(cmp.Compare(r.spec(b).Priority, r.spec(a).Priority), cmp.Compare(r.job(a).order, r.job(b).order))
		})
		for _, i := range jobs[:min(len(jobs), int(r.room()))] {
			if r.job(i).flags&flagHeld != 0 {
				c.wrong("job %s is parked, and its request runs %d jobs of at most %d", JobID{r.id, i}, r.assigned(), r.maxRunning)
			}
		}
	}
}

// account adds a request to what its session and the deadlines must come to.
func (c *checker) account(r *request) {
	s := c.sessions[r.session]
	if s == nil {
		s = new(session)
		c.sessions[r.session] = s
	}
	s.requests++
	if r.state == Running {
		s.live++
		return
	}
	c.ended++
	c.endedIn += uint64(r.len())
	if _, found := c.m.due.ended.Get(endedAt{r.ended, r.id}); !found {
		c.wrong("request %s has ended and is not due for retention", r.id)
	}
}

func (c *checker) sessionCounts() {
	closed := 0
	c.m.db.sessions.Scan(func(id SessionID, s *session) bool {
		if named, _ := c.m.db.names.Get(s.name); named != id {
			c.wrong("session %s is called %q, which stands for %s", id, s.name, named)
		}
		if s.closed && s.requests == 0 {
			closed++
			if _, found := c.m.due.closed.Get(closedAt{s.closedAt, id}); !found {
				c.wrong("session %s is closed and empty and not due to be forgotten", id)
			}
		}
		want := c.sessions[id]
		if want == nil {
			want = new(session)
		}
		if s.requests != want.requests || s.live != want.live {
			c.wrong("session %s has %d requests, %d live, counted %d and %d", id, want.requests, want.live, s.requests, s.live)
		}
		return true
	})
	if d := c.m.due.closed.Len(); d != closed || c.m.db.names.Len() != c.m.db.sessions.Len() {
		c.wrong("%d closed and empty sessions, %d due; %d sessions, %d names", closed, d, c.m.db.sessions.Len(), c.m.db.names.Len())
	}
}

func (c *checker) deadlines() {
	d := &c.m.due
	orphans, gone := 0, 0
	c.m.db.keys.Scan(func(_ string, k *keyed) bool {
		if r := c.m.db.request(k.request); r == nil {
			orphans++
		} else if r.key != k.key {
			c.wrong("key %q stands for request %s, whose key is %q", k.key, r.id, r.key)
		}
		return true
	})
	c.m.workers.byID.Scan(func(_ WorkerID, w *worker) bool {
		if w.gone {
			gone++
		}
		return true
	})
	if d.jobs.Len() != c.due || d.ended.Len() != c.ended || d.endedJobs != c.endedIn || d.orphans.Len() != orphans || d.gone.Len() != gone {
		c.wrong("deadlines of %d jobs, %d ended requests with %d jobs, %d keys, %d workers, kept %d, %d with %d, %d, %d", c.due, c.ended, c.endedIn,
			orphans, gone, d.jobs.Len(), d.ended.Len(), d.endedJobs, d.orphans.Len(), d.gone.Len())
	}
}

func (c *checker) job(r *request, i uint32, j *job, owed debts) {
	id := JobID{r.id, i}
	switch {
	case j.state == Waiting && !r.halted():
		c.waiting(r, i, j, owed)
	case j.state == Ready || j.state == Delayed || j.state.Assigned() || j.state == Done:
		c.released(r, i, j)
	}
	switch {
	case j.state.Assigned() && c.holders[id] != j.worker:
		c.wrong("job %s is %s by %s, held by %s", id, j.state, j.worker, c.holders[id])
	}
	if j.state.Assigned() {
		delete(c.holders, id)
	}
	if _, found := c.m.due.jobs.Get(jobDue{j.due, id}); found != (j.due != 0) {
		c.wrong("job %s: due %d, deadline kept %v", id, j.due, found)
	}
	if timed := j.state == Running && r.spec(i).Timeout > 0; (j.due != 0) != (j.state == Delayed || timed) {
		c.wrong("job %s is %s and due at %d", id, j.state, j.due)
	}
	if j.due != 0 {
		c.due++
	}
}

// waiting sees that a job waits on what it needs: on what has not ended, or has and has not told it yet.
func (c *checker) waiting(r *request, i uint32, j *job, owed debts) {
	var open, hopes uint32
	any, hit := false, false
	for _, n := range r.dag.needsOf(i) {
		s := r.job(n.Job).state
		v := n.judge(s)
		if owed.untold[telling{n.Job, i}] || n.Job >= owed.revived && (s == Failed || s == Cancelled) {
			v = pending
		}
		switch {
		case n.Any:
			any, hit = true, hit || v == met
			if v == pending {
				hopes++
			}
		case v == unmet:
			c.wrong("job %s waits on job %d, which is %s", JobID{r.id, i}, n.Job, s)
		case v == pending:
			open++
		}
	}
	if hit {
		hopes = 0
	} else if any {
		open++
		if hopes == 0 {
			c.wrong("job %s waits on any of several jobs, of which none can be as it needs it", JobID{r.id, i})
		}
	}
	if open != j.open || hopes != j.hopes || open == 0 && i < owed.released {
		c.wrong("job %s waits on %d needs and %d hopes, counted %d and %d", JobID{r.id, i}, open, hopes, j.open, j.hopes)
	}
}

// released sees that the needs of a job that was released are met. Those that a retry takes back are not held against a
// job that is done.
func (c *checker) released(r *request, i uint32, j *job) {
	any, hit := false, false
	for _, n := range r.dag.needsOf(i) {
		v := n.judge(r.job(n.Job).state)
		any, hit = any || n.Any, hit || n.Any && v == met
		if !n.Any && v != met && (j.state != Done || n.When == WhenDone) {
			c.wrong("job %s is %s and its need of job %d not met", JobID{r.id, i}, j.state, n.Job)
		}
	}
	if any && !hit && j.state != Done {
		c.wrong("job %s is %s and none of the needs is met of which any is enough", JobID{r.id, i}, j.state)
	}
}

func (c *checker) board() {
	b := &c.m.board
	n := 0
	for _, k := range b.list {
		n += c.class(k, c.m.onBoard, c.boarded)
	}
	if n != b.ready || len(c.boarded) > 0 || c.surplus != b.surplus {
		c.wrong("%d jobs on the board, %d without room, counted %d and %d, %d missing", n, c.surplus, b.ready, b.surplus, len(c.boarded))
	}
	for id, p := range b.held {
		n := 0
		for _, k := range p.list {
			n += c.class(k, c.m.heldBack, c.parked)
		}
		if n != p.n || n == 0 {
			c.wrong("request %s: %d jobs parked, counted %d", id, n, p.n)
		}
	}
	if len(c.parked) > 0 {
		c.wrong("%d parked jobs are missing", len(c.parked))
	}
	c.m.workers.byID.Scan(func(id WorkerID, w *worker) bool {
		for _, k := range b.list {
			if wants := w.wants(); wants > 0 && k.n > 0 && k.slots <= wants && w.fits(k) && !c.blocked(k) {
				c.wrong("worker %s wants %d slots and %d jobs of class %q lie on the board", id, wants, k.n, k.queue)
			}
		}
		return true
	})
}

// blocked says whether a job of a halted request, or of one just paused, comes first in a class.
func (c *checker) blocked(k *class) bool {
	for _, b := range k.buckets {
		list := slices.DeleteFunc(slices.Concat(b.fifo[b.head:], b.late), func(t ticket) bool { return !c.m.onBoard(t) })
		if len(list) > 0 {
			first := slices.MinFunc(list, func(a, b ticket) int { return cmp.Compare(a.order, b.order) })
			r := c.m.db.request(first.job.Request)
			return r.halted() || r.pause != NotPaused
		}
	}
	return false
}

// class finds the jobs of a class where they should be, and strikes them out.
func (c *checker) class(k *class, stands func(ticket) bool, expected map[JobID]bool) (n int) {
	for _, b := range k.buckets {
		valid := 0
		for _, t := range slices.Concat(b.fifo[b.head:], b.late) {
			if !stands(t) {
				continue
			}
			valid++
			s := c.m.db.request(t.job.Request).spec(t.job.Index)
			if !expected[t.job] || s.class != k.key || s.Priority != b.priority {
				c.wrong("job %s is in class %q priority %d twice, or should not be", t.job, k.queue, b.priority)
			}
			delete(expected, t.job)
		}
		if valid != b.n {
			c.wrong("class %q priority %d: %d jobs, counted %d", k.queue, b.priority, valid, b.n)
		}
		n += valid
	}
	if n != k.n {
		c.wrong("class %q: %d jobs, counted %d", k.queue, n, k.n)
	}
	return n
}

func (c *checker) hash() {
	var db, workers uint64
	c.m.db.sessions.Scan(func(_ SessionID, s *session) bool { db += s.sum(); return true })
	c.m.db.keys.Scan(func(_ string, k *keyed) bool { db += k.sum(); return true })
	c.m.db.requests.Scan(func(_ RequestID, r *request) bool {
		var jobs uint64
		for i := range r.len() {
			jobs += r.job(i).sum(JobID{r.id, i})
		}
		if jobs != r.jobSum {
			c.wrong("request %s: hash of its jobs %016x, kept as %016x", r.id, jobs, r.jobSum)
		}
		db += r.sum() + jobs
		return true
	})
	c.m.db.uploads.byID.Scan(func(_ uint64, u *upload) bool { db += u.sum(); return true })
	c.m.workers.byID.Scan(func(_ WorkerID, w *worker) bool { workers += w.sum(); return true })
	if db != c.m.db.sum || workers != c.m.workers.sum {
		c.wrong("hash of the database %016x and workers %016x, kept as %016x and %016x", db, workers, c.m.db.sum, c.m.workers.sum)
	}
}
