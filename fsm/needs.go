package fsm

// verdict is how a need stands.
type verdict uint8

const (
	pending verdict = iota // the job has not ended
	met
	unmet // it has ended otherwise than it should
)

// judge says how a need stands when its job is in a state.
func (n Need) judge(s State) verdict {
	switch {
	case !s.Terminal():
		return pending
	case n.When == WhenEnded, n.When == WhenDone && s == Done, n.When == WhenFailed && s == Failed:
		return met
	}
	return unmet
}

// plain says whether it is a need as all were before there were conditions.
func (n Need) plain() bool { return n.When == WhenDone && !n.Any }

// plainNeeds says whether all needs of jobs are plain.
func plainNeeds(jobs []JobEntry) bool {
	for i := range jobs {
		for _, n := range jobs[i].Needs {
			if !n.plain() {
				return false
			}
		}
	}
	return true
}

// waits is what a job with these needs waits on while none of its needs' jobs has ended. Those of which any is enough
// count as one need that is open, and as so many hopes for it.
func waits(needs []Need) (open, hopes uint32) {
	for _, n := range needs {
		if n.Any {
			hopes++
		} else {
			open++
		}
	}
	if hopes > 0 {
		open++
	}
	return open, hopes
}

// edge is the condition of a need, as kept with the job that is needed.
type edge uint8

const (
	edgeWhen edge = 3
	edgeAny  edge = 4
)

func (n Need) edge() edge {
	e := edge(n.When)
	if n.Any {
		e |= edgeAny
	}
	return e
}

func (e edge) need(job uint32) Need {
	return Need{Job: job, When: When(e & edgeWhen), Any: e&edgeAny != 0}
}

// tell lets a job that waits know that what it needs has ended. It is released with its last open need, and cancelled
// when it can never be; then tell says so.
func (m *Machine) tell(r *request, i uint32, n Need) (cancelled bool) {
	if r.job(i).state != Waiting || n.Any && r.job(i).hopes == 0 {
		return false // another of those of which any is enough was met before
	}
	switch n.judge(r.job(n.Job).state) {
	case met:
		j := m.db.editJob(r, i)
		if n.Any {
			j.hopes = 0
		}
		if j.open--; j.open == 0 {
			m.release(r, i)
		}
	case unmet:
		if n.Any && r.job(i).hopes > 1 {
			m.db.editJob(r, i).hopes--
			return false
		}
		m.cancelJob(r, i, r.unmetReason(i, n), n.Job+1)
		return true
	}
	return false
}

// unmetReason tells a job that is not needed from one that cannot be done: why job i is cancelled for its need n, or,
// where any is enough, for all of those.
func (r *request) unmetReason(i uint32, n Need) Reason {
	if !n.Any {
		return r.reasonOf(n)
	}
	for _, n := range r.dag.needsOf(i) {
		if n.Any && r.reasonOf(n) == ReasonNeeds {
			return ReasonNeeds
		}
	}
	return ReasonUnmet
}

// reasonOf is why a job is cancelled for one need that is not met. A job that needs one that is not needed is not needed
// either.
func (r *request) reasonOf(n Need) Reason {
	if j := r.job(n.Job); n.When == WhenDone && !(j.state == Cancelled && j.reason == ReasonUnmet) {
		return ReasonNeeds
	}
	return ReasonUnmet
}

// recount is what job i waits on when it is revived. Those that are to be revived after it, from job alive on, have not
// ended for it, however their last life did. If barred, need can no longer be met, and i is to be cancelled for it.
func (r *request) recount(i, alive uint32) (open, hopes uint32, need Need, barred bool) {
	any, hit := false, false
	var lastAny Need
	for _, n := range r.dag.needsOf(i) {
		s := r.job(n.Job).state
		v := n.judge(s)
		if n.Job >= alive && (s == Failed || s == Cancelled) {
			v = pending
		}
		switch {
		case n.Any:
			any, hit = true, hit || v == met
			if v == unmet {
				lastAny = n
			} else {
				hopes++
			}
		case v == unmet:
			need, barred = n, true
			fallthrough
		case v == pending:
			open++
		}
	}
	switch {
	case !any:
	case hit:
		hopes = 0
	default:
		open++
		if hopes == 0 && !barred {
			need, barred = lastAny, true
		}
	}
	return open, hopes, need, barred
}
