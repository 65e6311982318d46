package fsm

import "slices"

// pauseRequest takes a request's ready jobs off the board. Those that become ready later do not get there, see boardJob.
func (m *Machine) pauseRequest(c *PauseRequest) *Refusal {
	r, refusal := m.steered(c.ID)
	if refusal != nil || r.pause != NotPaused {
		return refusal
	}
	m.setPause(r, Paused, taskPark)
	return nil
}

// resumeRequest puts them back.
func (m *Machine) resumeRequest(c *ResumeRequest) *Refusal {
	r, refusal := m.steered(c.ID)
	if refusal != nil || r.pause == NotPaused {
		return refusal
	}
	m.board.stirAll() // some of its jobs may not have left the board yet
	m.setPause(r, NotPaused, taskAdmit)
	return nil
}

// steered finds a request that still runs.
func (m *Machine) steered(id RequestID) (*request, *Refusal) {
	r := m.db.request(id)
	switch {
	case r == nil:
		return nil, refuse(CodeNotFound, "request %s is not known", id)
	case r.state != Running:
		return nil, refuse(CodeConflict, "request %s has ended: %s", id, r.state)
	case r.halted():
		return nil, refuse(CodeConflict, "request %s is about to end: %s", id, r.endingAs())
	}
	return r, nil
}

// setPause changes the pause of a request and moves its ready jobs, at once if they are few.
func (m *Machine) setPause(r *request, p Pause, kind taskKind) {
	r = m.db.editRequest(r)
	r.pause = p
	m.weighRoom(r)
	m.emitRequest(r)
	r.tasks = slices.DeleteFunc(r.tasks, func(t task) bool { return t.kind == taskPark || t.kind == taskAdmit })
	ready, jobs := int(r.counts[Ready]), int(r.len())
	small := m.afford(ready, jobs)
	m.begin(r, task{kind: kind})
	if small {
		m.work(r, ready*costChange+jobs*costLook+costLook)
	}
}

// parkSome takes ready jobs of a paused request off the board. What lay behind them may be granted now.
func (m *Machine) parkSome(r *request, purse int) (left int, done bool) {
	at := r.tasks[0].at
	for ; at < r.len() && r.boarded > 0 && purse > 0; at++ {
		j := r.job(at)
		if j.state != Ready || j.flags&flagHeld != 0 {
			purse -= costLook
			continue
		}
		m.board.stir(r.spec(at))
		m.park(r, ticket{j.order, JobID{r.id, at}})
		purse -= costChange
	}
	r.tasks[0].at = at
	return purse, at >= r.len() || r.boarded == 0
}

// admitSome puts ready jobs of a request that was resumed on the board, each with a new place: where it was, JobBoard may
// still have its old entry.
func (m *Machine) admitSome(r *request, purse int) (left int, done bool) {
	at := r.tasks[0].at
	for ; at < r.len() && purse > 0; at++ {
		if j := r.job(at); j.state != Ready || j.flags&flagHeld == 0 {
			purse -= costLook
			continue
		}
		j := m.db.editJob(r, at)
		m.unboard(r, at, j)
		j.order = m.nextOrder
		m.nextOrder++
		m.post(r, at, j)
		purse -= costChange
	}
	if at >= r.len() && r.room() > 0 && r.counts[Ready] > r.boarded {
		at = 0 // max_running had some parked meanwhile, and has room for them again
	}
	r.tasks[0].at = at
	return purse, at >= r.len()
}

// parking says whether ready jobs are still to be taken off the board for a pause.
func (r *request) parking() bool {
	return len(r.tasks) > 0 && slices.ContainsFunc(r.tasks, func(t task) bool { return t.kind == taskPark })
}

// admitting says whether ready jobs are still to be put back on the board after a pause.
func (r *request) admitting() bool {
	return len(r.tasks) > 0 && slices.ContainsFunc(r.tasks, func(t task) bool { return t.kind == taskAdmit })
}
