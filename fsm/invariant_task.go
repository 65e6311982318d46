package fsm

import "math"

// debts is what the tasks of a request have still to put right.
type debts struct {
	untold   map[telling]bool // who does not know yet that what it needs has ended
	released uint32           // jobs from here on may need nothing and wait
	revived  uint32           // jobs from here on may have failed in an earlier life
}

// telling is between a job that has ended and one that needs it.
type telling struct{ from, to uint32 }

// tasks checks what is still to be done to a request, and says what that allows.
func (c *checker) tasks(r *request) debts {
	owed := debts{untold: map[telling]bool{}, released: math.MaxUint32, revived: math.MaxUint32}
	for n := range r.tasks {
		t := &r.tasks[n]
		if t.kind == 0 || t.kind >= taskKindCount || t.job >= r.len() || t.kind == taskCancel && n != len(r.tasks)-1 || t.kind == taskTurn && (n != 0 || t.at > 2*r.len()) {
			c.wrong("request %s: task %d of %d is %+v", r.id, n, len(r.tasks), *t)
			continue
		}
		switch t.kind {
		case taskRelease:
			owed.released = min(owed.released, t.at)
		case taskRevive:
			owed.revived = min(owed.revived, t.at)
		case taskMet:
			c.met(r, t, owed)
		case taskDoom:
			c.doomed(r, t, owed)
		}
	}
	if len(r.tasks) > 0 && !r.queued {
		c.wrong("request %s has %d tasks and does not wait for its turn", r.id, len(r.tasks))
	}
	return owed
}

func (c *checker) met(r *request, t *task, owed debts) {
	deps := r.dag.dependents(t.job)
	if int(t.at) > len(deps) || r.job(t.job).state != Done {
		c.wrong("request %s: %d of %d dependents know of job %d, which is %s", r.id, t.at, len(deps), t.job, r.job(t.job).state)
		return
	}
	for _, dep := range deps[t.at:] {
		owed.untold[telling{t.job, dep}] = true
	}
}

func (c *checker) doomed(r *request, t *task, owed debts) {
	at := t.at // of the first
	for _, i := range t.doomed {
		if i >= r.len() || !r.job(i).state.Terminal() || int(at) > len(r.dag.dependents(i)) {
			c.wrong("request %s: what depends on job %d of %d is to be told of its end", r.id, i, r.len())
			return
		}
		for _, dep := range r.dag.dependents(i)[at:] {
			owed.untold[telling{i, dep}] = true
		}
		at = 0
	}
}

// queue sees that those who wait for their turn do so once.
func (c *checker) queue() {
	seen := map[RequestID]bool{}
	for _, id := range c.m.queue {
		if r := c.m.db.request(id); seen[id] || r != nil && !r.queued {
			c.wrong("request %s is in the queue, twice %v", id, seen[id])
		}
		seen[id] = true
	}
	c.m.db.requests.Scan(func(id RequestID, r *request) bool {
		if r.queued && !seen[id] {
			c.wrong("request %s is not in the queue", id)
		}
		return true
	})
}

// uploads recounts the requests that are not whole yet.
func (c *checker) uploads() {
	var bytes, jobs uint64
	c.m.db.uploads.byID.Scan(func(id uint64, u *upload) bool {
		bytes, jobs = bytes+u.bytes, jobs+uint64(u.dag.jobs)
		var sum uint64
		paged, edges := 0, 0
		for n, p := range u.pages {
			for k := range p.jobs {
				i := uint32(n*pageJobs + k)
				sum += p.jobs[k].sum(JobID{u.request, i})
				edges += len(u.dag.needsOf(i))
				if open, hopes := waits(u.dag.needsOf(i)); p.jobs[k].open != open || p.jobs[k].hopes != hopes {
					c.wrong("job %d of upload %016x waits on %d needs, counted %d", i, id, open, p.jobs[k].open)
				}
			}
			paged += len(p.jobs)
		}
		if sum != u.jobSum || edges != u.edges || paged != int(u.dag.jobs) || len(u.names) != paged || c.m.db.request(u.request) != nil {
			c.wrong("upload %016x of request %s: %d jobs, %d paged, %d names, %d edges, counted %d", id, u.request, u.dag.jobs, paged, len(u.names), edges, u.edges)
		}
		return true
	})
	if u := &c.m.db.uploads; u.bytes != bytes || u.jobs != jobs {
		c.wrong("uploads of %d bytes and %d jobs, counted %d and %d", bytes, jobs, u.bytes, u.jobs)
	}
}

// incoming recounts a saved state that is not whole yet.
func (c *checker) incoming() {
	in := c.m.incoming
	if in == nil {
		return
	}
	recounted := &incoming{}
	for _, p := range in.parts {
		recounted = recounted.with(p, 0)
	}
	if in.bytes != recounted.bytes || in.hash != recounted.hash || in.bytes > in.size {
		c.wrong("%d bytes have come of a state of %d, hash %016x, counted %d, %016x", in.bytes, in.size, in.hash, recounted.bytes, recounted.hash)
	}
}
