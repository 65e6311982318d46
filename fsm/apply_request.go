package fsm

import (
	"fmt"
	"slices"
)

// submitRequest is SessionsDB.addRequestToSession and addJobsToRequest, then JobDispatcher.submitJob and submitDepJob,
// then JobBoard.addJob for every job with no open need.
func (m *Machine) submitRequest(c *SubmitRequest) (any, *Refusal) {
	if c.Key != "" {
		if k, ok := m.db.keys.Get(c.Key); ok {
			return m.repeated(k, c.Body)
		}
	}
	sessionID, known := m.db.names.Get(c.Session)
	if known && m.db.session(sessionID).closed {
		return nil, refuse(CodeConflict, "session %q is closed", c.Session)
	}
	if !known {
		if refusal := m.mayOpen(c.Session); refusal != nil {
			return nil, refusal
		}
	}
	if refusal := m.checkRequest(c); refusal != nil {
		return nil, refusal
	}
	d := newDAG(c.Specs, c.Jobs)
	if culprit, ok := d.acyclic(); !ok {
		return nil, refuse(CodeInvalid, "the needs of job %q lead back to it: a cycle", d.name(culprit))
	}

	if !known {
		sessionID = m.addSession(c.Session)
	}
	r := &request{
		id: m.nextRequest, session: sessionID, name: c.Name, key: c.Key, body: c.Body, state: Running,
		maxRunning: c.MaxRunning, onFailure: c.OnFailure, index: m.index, created: m.now, dag: d,
	}
	m.nextRequest++
	m.db.addRequest(r)
	if c.Key != "" {
		m.db.setKey(&keyed{key: c.Key, request: r.id, session: sessionID, jobs: r.len(), body: c.Body, created: m.now})
	}
	m.emitRequest(r)
	for _, i := range m.dispatcher.submit(r) {
		m.release(r, i)
	}
	return RequestSubmitted{ID: r.id, Session: sessionID, Jobs: r.len(), State: r.state}, nil
}

// repeated answers a submit whose key is known.
func (m *Machine) repeated(k *keyed, body uint64) (any, *Refusal) {
	if k.body != body {
		return nil, refuse(CodeConflict, "idempotency key %q was used for %s with another body", k.key, k.request)
	}
	state := k.ended
	if r := m.db.request(k.request); r != nil {
		state = r.state
	}
	return RequestSubmitted{ID: k.request, Session: k.session, Jobs: k.jobs, State: state, Repeat: true}, nil
}

// checkRequest refuses what would break a limit or an invariant. The Tasker has checked the same with better places
// in its words; this is what Apply relies on.
func (m *Machine) checkRequest(c *SubmitRequest) *Refusal {
	l := &m.limits
	switch n := len(c.Jobs); {
	case n == 0:
		return refuse(CodeInvalid, "a request has at least one job")
	case n > int(l.Jobs):
		return refuse(CodeLimit, "%d jobs: a request has at most %d", n, l.Jobs)
	case len(c.Specs) > int(l.Jobs):
		return refuse(CodeLimit, "%d specs: a request has at most %d, like jobs", len(c.Specs), l.Jobs)
	case m.kept()+uint64(n) > l.LiveJobs:
		return refuse(CodeLimit, "%d jobs are kept and %d would be too many: at most %d", m.kept(), n, l.LiveJobs)
	case len(c.Key) > nameBytesMax:
		return refuse(CodeLimit, "an idempotency key has at most %d bytes", nameBytesMax)
	case c.Key != "" && m.db.keys.Len() >= int(l.Keys):
		return refuse(CodeLimit, "%d idempotency keys are kept, as many as the limit allows: submit without one, or when older ones have expired", m.db.keys.Len())
	case c.OnFailure > StopRequest:
		return refuse(CodeInvalid, "unknown on_failure %d", c.OnFailure)
	}
	if refusal := checkText("a request's name", c.Name); refusal != nil {
		return refusal
	}
	for i := range c.Specs {
		if refusal := checkSpec(&c.Specs[i], int(l.SpecBytes)); refusal != nil {
			return refusal
		}
	}
	return m.checkJobs(c)
}

func (m *Machine) checkJobs(c *SubmitRequest) *Refusal {
	l := &m.limits
	names := make(map[string]struct{}, len(c.Jobs)) // looked up, never ranged over
	edges := 0
	var needs []uint32
	for i := range c.Jobs {
		j := &c.Jobs[i]
		if refusal := checkName("a job's name", j.Name); refusal != nil {
			refusal.Detail = fmt.Sprintf("job %d: %s", i, refusal.Detail)
			return refusal
		}
		if _, twice := names[j.Name]; twice {
			return refuse(CodeInvalid, "two jobs are called %q", j.Name)
		}
		names[j.Name] = struct{}{}
		if int(j.Spec) >= len(c.Specs) {
			return refuse(CodeInvalid, "job %q: spec %d of %d", j.Name, j.Spec, len(c.Specs))
		}
		if len(j.Payload) > int(l.PayloadBytes) {
			return refuse(CodeLimit, "job %q: a payload of %d bytes: at most %d", j.Name, len(j.Payload), l.PayloadBytes)
		}
		edges += len(j.Needs)
		if len(j.Needs) > int(l.Needs) || edges > int(l.Edges) {
			return refuse(CodeLimit, "job %q: a job has at most %d needs and a request %d", j.Name, l.Needs, l.Edges)
		}
		needs = needs[:0]
		for _, n := range j.Needs {
			if int(n.Job) >= len(c.Jobs) {
				return refuse(CodeInvalid, "job %q: it needs job %d of %d", j.Name, n.Job, len(c.Jobs))
			}
			if n.When != WhenDone {
				return refuse(CodeInvalid, "job %q: condition %d of a need is not supported yet", j.Name, n.When)
			}
			needs = append(needs, n.Job)
		}
		slices.Sort(needs)
		if len(slices.Compact(needs)) != len(j.Needs) {
			return refuse(CodeInvalid, "job %q: it needs the same job twice", j.Name)
		}
	}
	return nil
}

// The most items in the lists of a JobSpec; its labels are bounded by labelsMax.
const (
	argsMax  = 64 << 10
	envMax   = 16 << 10
	neverMax = 256
)

func checkSpec(s *JobSpec, bytesMax int) *Refusal {
	switch {
	case s.Kind < WorkCommand || s.Kind > WorkHandler || len(s.Args) == 0 || s.Kind != WorkCommand && len(s.Args) != 1:
		return refuse(CodeInvalid, "a job has a command, a shell script or a handler")
	case s.Slots == 0:
		return refuse(CodeInvalid, "a job takes at least one slot")
	case s.Priority < -100 || s.Priority > 100:
		return refuse(CodeInvalid, "priority %d is not within -100…100", s.Priority)
	case s.Timeout < 0 || s.StartAfter < 0 || s.StartAt < 0 || s.Retry.Backoff < 0 || s.Retry.Max < 0:
		return refuse(CodeInvalid, "a duration is negative")
	case len(s.Args) > argsMax || len(s.Env) > envMax || len(s.Retry.Never) > neverMax:
		return refuse(CodeLimit, "%d arguments, %d variables in env and %d exit codes that are not retried: at most %d, %d and %d",
			len(s.Args), len(s.Env), len(s.Retry.Never), argsMax, envMax, neverMax)
	case !sortedPairs(s.Env):
		return refuse(CodeInvalid, "env is sorted by key, each key once")
	}
	if n := specBytes(s); n > bytesMax {
		return refuse(CodeLimit, "a job's arguments, directory, env and labels have %d bytes: at most %d; send more as payload or by reference", n, bytesMax)
	}
	if refusal := checkName("a queue's name", s.Queue); refusal != nil {
		return refusal
	}
	return checkLabels(s.Labels)
}

// specBytes is how much text a spec has, but for its queue.
func specBytes(s *JobSpec) int {
	n := len(s.Dir)
	for _, a := range s.Args {
		n += len(a)
	}
	for _, list := range [...][]Pair{s.Env, s.Labels} {
		for i := range list {
			n += len(list[i].Key) + len(list[i].Value)
		}
	}
	return n
}

func sortedPairs(list []Pair) bool {
	for i := 1; i < len(list); i++ {
		if list[i-1].Key >= list[i].Key {
			return false
		}
	}
	return true
}

// kept is the number of jobs that the state holds.
func (m *Machine) kept() (n uint64) {
	for _, c := range m.db.counts {
		n += c
	}
	return n
}

func (m *Machine) cancelRequest(c *CancelRequest) *Refusal {
	r := m.db.request(c.ID)
	switch {
	case r == nil:
		return refuse(CodeNotFound, "request %s is not known", c.ID)
	case r.cancelled:
		return nil
	case r.state != Running:
		return refuse(CodeConflict, "request %s has ended: %s", c.ID, r.state)
	}
	r = m.db.editRequest(r)
	r.cancelled = true
	m.cancelAll(r, ReasonUser, 0)
	m.endIfOver(r)
	return nil
}

// cancelAll cancels what has not ended. cause is one more than a job's index, or 0.
func (m *Machine) cancelAll(r *request, why Reason, cause uint32) {
	for i := range r.len() {
		if !r.job(i).state.Terminal() {
			m.cancelJob(r, i, why, cause)
		}
	}
}

func (m *Machine) retryRequest(c *RetryRequest) (any, *Refusal) {
	r := m.db.request(c.ID)
	switch {
	case r == nil:
		return nil, refuse(CodeNotFound, "request %s is not known", c.ID)
	case r.state == Running:
		return nil, refuse(CodeConflict, "request %s still runs", c.ID)
	case r.state == Done:
		return nil, refuse(CodeConflict, "request %s is done: there is nothing to retry", c.ID)
	}
	r = m.db.editRequest(r)
	m.due.ended.Delete(endedAt{r.ended, r.id})
	m.due.endedJobs -= uint64(r.len())
	r.state, r.cancelled, r.ended = Running, false, 0
	m.db.editSession(r.session, func(s *session) { s.live++ })
	m.emitRequest(r)
	free, revived := m.dispatcher.revive(&m.db, r, func(i uint32, j *job) {
		m.archive(j, j.state)
		m.db.move(r, j, Waiting)
		j.reason, j.cause, j.retries, j.lost = NoReason, 0, 0, 0
		m.emitJob(r, i, j)
	})
	for _, i := range free {
		m.release(r, i)
	}
	return revived, nil
}

// endIfOver ends a request of which nothing can run any more.
func (m *Machine) endIfOver(r *request) {
	if r.state != Running || r.live() > 0 {
		return
	}
	r = m.db.editRequest(r)
	switch {
	case r.cancelled:
		r.state = Cancelled
	case r.counts[Failed] > 0:
		r.state = Failed
	default:
		r.state = Done
	}
	r.ended = m.now
	m.due.ended.Set(endedAt{r.ended, r.id})
	m.due.endedJobs += uint64(r.len())
	m.db.editSession(r.session, func(s *session) { s.live-- })
	m.emitRequest(r)
}
