package fsm

import (
	"math/big"
	"slices"
	"time"
)

// release lets a job without open needs go on.
func (m *model) release(j *modelJob) {
	at := j.spec.StartAt
	if j.spec.StartAfter > 0 {
		at = max(at, m.now+int64(j.spec.StartAfter))
	}
	if at > m.now {
		j.state, j.due = Delayed, at
		return
	}
	m.ready(j)
}

// ready gives a job a new place at the end of the board.
func (m *model) ready(j *modelJob) {
	m.places++
	j.place, j.state, j.due = m.places, Ready, 0
}

// room says whether max_running lets another job of the request run.
func (r *modelRequest) room() bool {
	if r.paused {
		return false
	}
	assigned := uint32(0)
	for _, j := range r.jobs {
		if j.state.Assigned() {
			assigned++
		}
	}
	return r.cmd.MaxRunning == 0 || assigned < r.cmd.MaxRunning
}

func (j *modelJob) before(o *modelJob) bool {
	return j.spec.Priority > o.spec.Priority || j.spec.Priority == o.spec.Priority && j.place < o.place
}

func (m *model) report(w WorkerID, p JobReport) Code {
	j := m.job(p.Job)
	switch {
	case j == nil:
		return CodeNotFound
	case j.attempt != p.Attempt || j.worker != w:
		return CodeStale
	case j.state.Assigned():
		return m.word(j, p)
	}
	// The attempt is over. What agrees with how it ended is an echo; anything else comes too late.
	echoes := map[ReportKind]bool{}
	switch {
	case j.state == Cancelled:
	case j.state == Done:
		echoes[ReportStart], echoes[ReportDone] = true, true
	case j.reason == ReasonError || j.reason == ReasonTimeout:
		echoes[ReportStart], echoes[ReportFailed] = true, true
	case j.reason == ReasonReturn:
		echoes[ReportReturn] = true
	}
	if echoes[p.Kind] {
		return CodeOK
	}
	return CodeStale
}

func (m *model) word(j *modelJob, p JobReport) Code {
	switch p.Kind {
	case ReportStart:
		if j.state == Picked {
			j.state = Running
			if j.spec.Timeout > 0 {
				j.due = m.now + int64(j.spec.Timeout+timeoutGrace)
			}
		}
	case ReportDone:
		if len(p.Result) > int(m.limits.ResultBytes) {
			return CodeLimit
		}
		j.state, j.due, j.progress = Done, 0, 100
		j.reason, j.result, j.err, j.exit = NoReason, string(p.Result), "", 0
		m.tell(j)
		m.end(j.r)
	case ReportFailed:
		reason := ReasonError
		if p.Timeout {
			reason = ReasonTimeout
		}
		m.failed(j, reason, p.Error, p.ExitCode, p.NoRetry)
	case ReportReturn:
		m.backOnBoard(j, ReasonReturn)
	default:
		return CodeInvalid
	}
	return CodeOK
}

// need is how one need stands for a job that waits: what has ended counts once those who need it were told.
func (m *model) need(j *modelJob, n Need) verdict {
	o := j.r.jobs[n.Job]
	switch {
	case !o.told:
		return pending
	case n.When == WhenEnded || n.When == WhenDone && o.state == Done || n.When == WhenFailed && o.state == Failed:
		return met
	}
	return unmet
}

// stands is how all needs of a job stand together: met, unmet for good, or neither yet.
func (m *model) stands(j *modelJob) verdict {
	all, anyOf := met, met
	hopes, hits := 0, 0
	for _, n := range j.needs {
		v := m.need(j, n)
		switch {
		case n.Any:
			anyOf = pending
			if v == met {
				hits++
			} else if v == pending {
				hopes++
			}
		case v == unmet:
			return unmet
		case v == pending:
			all = pending
		}
	}
	switch {
	case anyOf == met || hits > 0:
		return all
	case hopes == 0:
		return unmet
	}
	return pending
}

// unmetReason is why one that was revived is cancelled again at once.
func (m *model) unmetReason(j *modelJob) Reason {
	for _, n := range j.needs {
		one := n.Job == m.culprit(j)
		anyOf := n.Any && slices.Contains(j.needs, Need{Job: m.culprit(j), When: WhenFailed, Any: true})
		anyOf = anyOf || n.Any && slices.Contains(j.needs, Need{Job: m.culprit(j), When: WhenDone, Any: true})
		dep := j.r.jobs[n.Job]
		if (one || anyOf) && n.When != WhenFailed && !(dep.state == Cancelled && dep.reason == ReasonUnmet) {
			return ReasonNeeds
		}
	}
	return ReasonUnmet
}

// culprit is the job for which one that was revived is cancelled again at once: the last that it needs itself, or else the
// last of which any would have been enough.
func (m *model) culprit(j *modelJob) uint32 {
	var one, anyOf = NoJob, NoJob
	for _, n := range j.needs {
		if m.need(j, n) != unmet {
			continue
		}
		if n.Any {
			anyOf = n.Job
		} else {
			one = n.Job
		}
	}
	if one != NoJob {
		return one
	}
	return anyOf
}

// tell lets those that wait on a job that has ended go on, or cancels them, and those that wait on them, breadth first.
func (m *model) tell(first *modelJob) {
	for ended := []*modelJob{first}; len(ended) > 0; ended = ended[1:] {
		cause := ended[0]
		cause.told = true
		for _, o := range cause.r.jobs {
			at := slices.IndexFunc(o.needs, func(n Need) bool { return n.Job == cause.id.Index })
			if at < 0 || o.state != Waiting {
				continue
			}
			switch m.stands(o) {
			case met:
				m.release(o)
			case unmet:
				why := ReasonUnmet
				for i, n := range o.needs {
					dep := cause.r.jobs[n.Job]
					unneeded := n.When == WhenFailed || dep.state == Cancelled && dep.reason == ReasonUnmet
					if (i == at || n.Any && o.needs[at].Any) && !unneeded {
						why = ReasonNeeds
					}
				}
				m.cancelJob(o, why, cause.id.Index)
				ended = append(ended, o)
			}
		}
	}
}

func (m *model) failed(j *modelJob, reason Reason, err string, exit int32, noRetry bool) {
	j.reason, j.err, j.exit, j.due = reason, err, exit, 0
	never := reason == ReasonError && slices.Contains(j.spec.Retry.Never, exit)
	if noRetry || never || j.retries >= j.spec.Retry.Limit {
		m.fail(j)
		return
	}
	wait := delay(j.spec.Retry, j.retries)
	j.retries++
	j.progress = 0
	if wait > 0 {
		j.state, j.due = Delayed, m.now+wait
	} else {
		m.ready(j)
	}
}

// delay is backoff × (factor/1000)^n in exact numbers, rounded down at each step.
func delay(r Retry, n uint32) int64 {
	longest := big.NewInt(int64(365 * 24 * time.Hour))
	wait := big.NewInt(int64(r.Backoff))
	for range n {
		if r.Factor > 1000 {
			wait.Mul(wait, big.NewInt(int64(r.Factor)))
			wait.Quo(wait, big.NewInt(1000))
		}
		if wait.Cmp(longest) > 0 {
			wait.Set(longest)
		}
	}
	if limit := big.NewInt(int64(r.Max)); r.Max > 0 && wait.Cmp(limit) > 0 {
		wait = limit
	}
	return wait.Int64()
}

func (m *model) fail(j *modelJob) {
	j.state, j.due = Failed, 0
	if j.r.cmd.OnFailure == StopRequest {
		for _, o := range j.r.jobs {
			m.cancelJob(o, ReasonStop, j.id.Index)
		}
	} else {
		m.tell(j)
	}
	m.end(j.r)
}

func (m *model) cancelJob(j *modelJob, why Reason, cause uint32) {
	if !j.state.Terminal() {
		j.state, j.reason, j.cause, j.due = Cancelled, why, cause, 0
	}
}

// backOnBoard puts a job that a worker held where it was.
func (m *model) backOnBoard(j *modelJob, why Reason) {
	j.reason, j.progress, j.err, j.exit = why, 0, "", 0
	if why == ReasonLost {
		j.err, j.exit = "its worker was lost", -1
	}
	j.state, j.due = Ready, 0
}

// end ends a request of which nothing runs or will.
func (m *model) end(r *modelRequest) {
	failed := false
	for _, j := range r.jobs {
		if !j.state.Terminal() {
			return
		}
		failed = failed || j.state == Failed
	}
	if r.state != Running {
		return
	}
	r.ended, r.paused = m.now, false
	switch {
	case r.cancelled:
		r.state = Cancelled
	case failed:
		r.state = Failed
	default:
		r.state = Done
	}
}
