package fsm

import (
	"errors"
	"fmt"
	"slices"
)

// Check recounts everything that is kept as a running total and compares. It walks the whole state, so it is for
// tests and for the operator who doubts, not for every entry. It returns every difference that it finds.
//
// Invariant: a job that is ready, assigned or done has every need done (S7).
// Invariant: a job waits exactly on its open needs, and none of them can no longer be met (S8, S9).
// Invariant: the board has each ready job that is not held back, once, in its class (S9).
// Invariant: no worker holds more than its slots, no request runs more than max_running (S11).
// Invariant: a request runs exactly while one of its jobs has not ended.
// Invariant: max_running holds a job back only while the request has no room (no job is forgotten).
// Invariant: whatever waits for a time has its deadline, and nothing else has one.
// Invariant: the sum of all hashes is the sum that was kept up entry by entry (S13).
func (m *Machine) Check() error {
	c := &checker{m: m, boarded: make(map[JobID]bool, m.board.ready), holders: map[JobID]WorkerID{}, sessions: map[SessionID]*session{}}
	c.workers()
	c.requests()
	c.sessionCounts()
	c.board()
	c.deadlines()
	c.hash()
	return errors.Join(c.errs...)
}

type checker struct {
	m       *Machine
	errs    []error
	boarded map[JobID]bool
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
	for i := range r.len() {
		j := r.job(i)
		counts[j.state]++
		c.counts[j.state]++
		c.job(r, i, j)
		if j.state == Ready && j.flags&flagHeld == 0 {
			boarded++
			c.boarded[JobID{r.id, i}] = true
		}
	}
	if counts != r.counts || boarded != r.boarded {
		c.wrong("request %s: counts %v boarded %d, kept %v and %d", r.id, counts, boarded, r.counts, r.boarded)
	}
	if (r.state == Running) != (r.live() > 0) {
		c.wrong("request %s is %s with %d live jobs", r.id, r.state, r.live())
	}
	if r.maxRunning > 0 && r.assigned()+boarded > r.maxRunning {
		c.wrong("request %s runs or may run %d jobs of at most %d", r.id, r.assigned()+boarded, r.maxRunning)
	}
	if held := counts[Ready] - boarded; held > 0 && r.assigned()+boarded < r.maxRunning || held > 0 && r.maxRunning == 0 {
		c.wrong("request %s holds %d jobs back and runs %d of at most %d", r.id, held, r.assigned()+boarded, r.maxRunning)
	}
	c.account(r)
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
	c.m.db.sessions.Scan(func(id SessionID, s *session) bool {
		want := c.sessions[id]
		if want == nil {
			want = new(session)
		}
		if s.requests != want.requests || s.live != want.live {
			c.wrong("session %s has %d requests, %d live, counted %d and %d", id, want.requests, want.live, s.requests, s.live)
		}
		return true
	})
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

func (c *checker) job(r *request, i uint32, j *job) {
	id := JobID{r.id, i}
	var open uint32
	for _, n := range r.dag.needsOf(i) {
		if r.job(n.Job).state != Done {
			open++
		}
		if s := r.job(n.Job).state; j.state == Waiting && (s == Failed || s == Cancelled) {
			c.wrong("job %s waits on job %d, which is %s", id, n.Job, s)
		}
	}
	switch {
	case j.state == Waiting && (open != j.open || open == 0):
		c.wrong("job %s waits on %d needs, counted %d", id, open, j.open)
	case open > 0 && (j.state == Ready || j.state == Delayed || j.state.Assigned() || j.state == Done):
		c.wrong("job %s is %s with %d needs not met", id, j.state, open)
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

func (c *checker) board() {
	n := 0
	for _, k := range c.m.board.list {
		for _, b := range k.buckets {
			tickets := slices.Concat(b.fifo[b.head:], b.late)
			valid := 0
			for _, t := range tickets {
				if !c.m.onBoard(t) {
					continue
				}
				valid++
				if !c.boarded[t.job] {
					c.wrong("job %s is on the board twice, or should not be", t.job)
				}
				delete(c.boarded, t.job)
			}
			if valid != b.n {
				c.wrong("class %q priority %d: %d jobs, counted %d", k.queue, b.priority, valid, b.n)
			}
			n += valid
		}
	}
	if n != c.m.board.ready || len(c.boarded) > 0 {
		c.wrong("%d jobs on the board, counted %d, %d missing", n, c.m.board.ready, len(c.boarded))
	}
}

func (c *checker) hash() {
	var db, workers uint64
	c.m.db.sessions.Scan(func(_ SessionID, s *session) bool { db += s.sum(); return true })
	c.m.db.keys.Scan(func(_ string, k *keyed) bool { db += k.sum(); return true })
	c.m.db.requests.Scan(func(_ RequestID, r *request) bool {
		db += r.sum()
		for i := range r.len() {
			db += r.job(i).sum(JobID{r.id, i})
		}
		return true
	})
	c.m.workers.byID.Scan(func(_ WorkerID, w *worker) bool { workers += w.sum(); return true })
	if db != c.m.db.sum || workers != c.m.workers.sum {
		c.wrong("hash of the database %016x and workers %016x, kept as %016x and %016x", db, workers, c.m.db.sum, c.m.workers.sum)
	}
}
