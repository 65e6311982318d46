package fsm

// JobDispatcher knows the DAG: it decides which jobs a change releases and which it dooms. It keeps count of open
// needs in the jobs themselves and knows nothing of the board.
//
// Its lists are valid until its next call.
type JobDispatcher struct {
	list []uint32
}

// submit lists the jobs of a new request that need nothing.
func (d *JobDispatcher) submit(r *request) []uint32 {
	d.list = d.list[:0]
	for i := range r.len() {
		if r.job(i).open == 0 {
			d.list = append(d.list, i)
		}
	}
	return d.list
}

// done counts the need for job i as met and lists the dependents that have no open need left.
func (d *JobDispatcher) done(db *SessionsDB, r *request, i uint32) []uint32 {
	d.list = d.list[:0]
	for _, dep := range r.dag.dependents(i) {
		if r.job(dep).state != Waiting {
			continue
		}
		j := db.editJob(r, dep)
		if j.open--; j.open == 0 {
			d.list = append(d.list, dep)
		}
	}
	return d.list
}

// revive lists the jobs of an ended request that are to run again: the failed, and the cancelled. Each gets its
// open needs counted anew; those listed as free have none.
func (d *JobDispatcher) revive(db *SessionsDB, r *request, wake func(i uint32, j *job)) (free []uint32) {
	d.list = d.list[:0]
	for i := range r.len() {
		if s := r.job(i).state; s != Failed && s != Cancelled {
			continue
		}
		j := db.editJob(r, i)
		j.open, j.hopes, _, _ = r.recount(i, 0)
		wake(i, j)
		if j.open == 0 {
			d.list = append(d.list, i)
		}
	}
	return d.list
}
