package fsm

// advance goes on with what earlier entries left to be done, as far as Limits.Steps allows. Requests take turns, so that
// a small task does not wait for a large one.
func (m *Machine) advance() {
	purse := m.stepsOfEntry()
	for purse > 0 && len(m.queue) > 0 {
		id := m.queue[0]
		m.queue = m.queue[1:]
		r := m.db.request(id)
		if r == nil {
			purse -= costLook
			continue // reaped
		}
		share := max(purse/(len(m.queue)+1), costChange)
		r = m.db.editRequest(r)
		purse -= share - m.work(r, share)
		r.queued = false
		if len(r.tasks) > 0 {
			m.enqueue(r)
		}
	}
}

func (m *Machine) stepsOfEntry() int { return int(m.limits.Steps) * costChange }

// work goes on with a request's tasks, in turn, and gives back what it did not use of purse. It ends the request if
// that was all there was to do. r is editRequest's.
func (m *Machine) work(r *request, purse int) int {
	purse -= costLook // to have looked here is not free either
	for purse > 0 && len(r.tasks) > 0 {
		var done bool
		switch r.tasks[0].kind {
		case taskTurn:
			purse, done = m.turnSome(r, purse)
		case taskRelease:
			purse, done = m.releaseSome(r, purse)
		case taskMet:
			purse, done = m.meetSome(r, purse)
		case taskDoom:
			purse, done = m.doomSome(r, purse)
		case taskCancel:
			purse, done = m.cancelSome(r, purse)
		case taskRevive:
			purse, done = m.reviveSome(r, purse)
		case taskPark:
			purse, done = m.parkSome(r, purse)
		case taskAdmit:
			purse, done = m.admitSome(r, purse)
		}
		if done {
			r.tasks = r.tasks[1:]
		}
	}
	m.weighRoom(r)
	m.endIfOver(r)
	return purse
}

// releaseSome releases jobs that need nothing.
func (m *Machine) releaseSome(r *request, purse int) (left int, done bool) {
	at := r.tasks[0].at
	for ; at < r.len() && purse > 0; at++ {
		if j := r.job(at); j.state == Waiting && j.open == 0 {
			m.release(r, at)
			purse -= costChange
		} else {
			purse -= costLook
		}
	}
	r.tasks[0].at = at
	return purse, at >= r.len()
}

// meetSome counts the need for a job that is done as met, in its dependents, and releases those that need nothing more.
func (m *Machine) meetSome(r *request, purse int) (left int, done bool) {
	at, deps := r.tasks[0].at, r.dag.dependents(r.tasks[0].job)
	for ; int(at) < len(deps) && purse > 0; at++ {
		purse -= costLook
		if r.job(deps[at]).state != Waiting {
			continue
		}
		purse -= costChange
		if j := m.db.editJob(r, deps[at]); j.open == 1 {
			j.open = 0
			m.release(r, deps[at])
		} else {
			j.open--
		}
	}
	r.tasks[0].at = at
	return purse, int(at) >= len(deps)
}

// doomSome goes on with a taskDoom.
func (m *Machine) doomSome(r *request, purse int) (left int, done bool) {
	t := r.tasks[0]
	left = m.doomThem(r, &t, purse)
	r.tasks[0] = t
	return left, len(t.doomed) == 0
}

// doomThem tells, in breadth-first order, every job that waits on one of t.doomed of its end, and joins those to them that
// are cancelled for it. It is iterative, so the depth of a DAG costs no stack.
func (m *Machine) doomThem(r *request, t *task, purse int) (left int) {
	for len(t.doomed) > 0 {
		cause := t.doomed[0]
		deps, edges := r.dag.dependentEdges(cause)
		for ; int(t.at) < len(deps); t.at++ {
			if purse <= 0 {
				return purse
			}
			purse -= costLook
			dep := deps[t.at]
			if r.job(dep).state != Waiting {
				continue
			}
			need := Need{Job: cause}
			if edges != nil {
				need = edges[t.at].need(cause)
			}
			if m.tell(r, dep, need) {
				t.doomed = append(t.doomed, dep)
			}
			purse -= costChange
		}
		t.doomed, t.at = t.doomed[1:], 0
	}
	return purse
}

// cancelSome cancels jobs of a halted request.
func (m *Machine) cancelSome(r *request, purse int) (left int, done bool) {
	t := r.tasks[0]
	for ; t.at < r.len() && r.live() > 0 && purse > 0; t.at++ {
		if r.job(t.at).state.Terminal() {
			purse -= costLook
			continue
		}
		purse -= costChange
		m.cancelHalted(r, t.at)
	}
	r.tasks[0] = t
	return purse, r.live() == 0 || t.at >= r.len()
}

// cancelHalted cancels a job of a halted request that has not ended. What lay behind it on the board may be granted now.
func (m *Machine) cancelHalted(r *request, i uint32) {
	t := r.halting()
	if r.job(i).state == Ready {
		m.board.stir(r.spec(i))
	}
	m.cancelJob(r, i, t.reason, t.cause)
	m.weighRoom(r)
}

// reviveSome puts jobs of an ended request that failed or were cancelled to work again. Those before t.at are alive:
// they may be done again already, or have failed again, and then what waits on them is not to run.
func (m *Machine) reviveSome(r *request, purse int) (left int, done bool) {
	at := r.tasks[0].at
	for ; at < r.len() && purse > 0; at++ {
		purse -= costLook
		if s := r.job(at).state; s != Failed && s != Cancelled {
			continue
		}
		purse -= costChange + costLook*len(r.dag.needsOf(at))
		j := m.db.editJob(r, at)
		var need Need
		var barred bool
		j.open, j.hopes, need, barred = r.recount(at, at)
		m.wake(r, at, j)
		switch {
		case barred:
			m.cancelJob(r, at, r.unmetReason(at, need), need.Job+1)
			r.tasks[0].at = at + 1
			m.doom(r, at)
			if r.tasks[0].kind != taskRevive {
				return purse, false // it is too much for now, and goes before
			}
		case j.open == 0:
			m.release(r, at)
		}
	}
	r.tasks[0].at = at
	return purse, at >= r.len()
}
