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
	head := BeginSubmit{
		Session: c.Session, Name: c.Name, Key: c.Key, Body: c.Body, MaxRunning: c.MaxRunning, OnFailure: c.OnFailure, Jobs: uint32(len(c.Jobs)),
		Hold: c.Hold,
	}
	session, refusal := m.checkHead(&head)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := m.checkRequest(c); refusal != nil {
		return nil, refusal
	}
	d := newDAG(c.Specs, c.Jobs)
	if culprit, ok := d.acyclic(); !ok {
		return nil, refuse(CodeInvalid, "the needs of job %q lead back to it: a cycle", d.name(culprit))
	}

	if session == 0 {
		session = m.addSession(c.Session)
	}
	r := m.newRequest(m.nextRequest, session, &head)
	r.dag = d
	m.nextRequest++
	m.db.addRequest(r)
	m.keepKey(r)
	m.emitRequest(r)
	m.releaseFree(r)
	return RequestSubmitted{ID: r.id, Session: session, Jobs: r.len(), State: r.state}, nil
}

func (m *Machine) newRequest(id RequestID, session SessionID, h *BeginSubmit) *request {
	pause := NotPaused
	if h.Hold {
		pause = Held
	}
	return &request{
		pause: pause, id: id, session: session, name: h.Name, key: h.Key, body: h.Body, state: Running,
		maxRunning: h.MaxRunning, onFailure: h.OnFailure, index: m.index, created: m.now,
	}
}

// keepKey remembers a request under its idempotency key, if it has one.
func (m *Machine) keepKey(r *request) {
	if r.key != "" {
		m.db.setKey(&keyed{key: r.key, request: r.id, session: r.session, jobs: r.len(), body: r.body, created: m.now})
	}
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

// checkHead refuses what would break a limit or an invariant, but for jobs and specs, and finds the session: 0 when it is
// still to be opened.
func (m *Machine) checkHead(c *BeginSubmit) (SessionID, *Refusal) {
	session, known := m.db.names.Get(c.Session)
	if known && m.db.session(session).closed {
		return 0, refuse(CodeConflict, "session %q is closed", c.Session)
	}
	if !known {
		if refusal := m.mayOpen(c.Session); refusal != nil {
			return 0, refusal
		}
	}
	l := &m.limits
	switch n := c.Jobs; {
	case n == 0:
		return 0, refuse(CodeInvalid, "a request has at least one job")
	case n > l.Jobs:
		return 0, refuse(CodeLimit, "%d jobs: a request has at most %d", n, l.Jobs)
	case m.kept()+uint64(n) > l.LiveJobs:
		return 0, refuse(CodeLimit, "%d jobs are kept and %d would be too many: at most %d", m.kept(), n, l.LiveJobs)
	case len(c.Key) > nameBytesMax:
		return 0, refuse(CodeLimit, "an idempotency key has at most %d bytes", nameBytesMax)
	case c.Key != "" && m.db.keys.Len() >= int(l.Keys):
		return 0, refuse(CodeLimit, "%d idempotency keys are kept, as many as the limit allows: submit without one, or when older ones have expired", m.db.keys.Len())
	case c.OnFailure > StopRequest:
		return 0, refuse(CodeInvalid, "unknown on_failure %d", c.OnFailure)
	}
	return session, checkText("a request's name", c.Name)
}

// checkRequest is checkHead for specs and jobs. The Tasker has checked the same with better places in its words; this is
// what Apply relies on.
func (m *Machine) checkRequest(c *SubmitRequest) *Refusal {
	l := &m.limits
	if len(c.Specs) > int(l.Jobs) {
		return refuse(CodeLimit, "%d specs: a request has at most %d, like jobs", len(c.Specs), l.Jobs)
	}
	for i := range c.Specs {
		if refusal := checkSpec(&c.Specs[i], int(l.SpecBytes)); refusal != nil {
			return refusal
		}
	}
	check := jobCheck{limits: l, specs: len(c.Specs), jobs: len(c.Jobs), names: make(map[string]struct{}, len(c.Jobs)), bare: c.bare}
	for i := range c.Jobs {
		if refusal := check.job(i, &c.Jobs[i]); refusal != nil {
			return refusal
		}
	}
	return nil
}

// jobCheck checks the jobs of a request one by one.
type jobCheck struct {
	limits *Limits
	specs  int                 // that there are
	jobs   int                 // likewise
	edges  int                 // so far
	names  map[string]struct{} // so far; looked up, never ranged over
	named  int                 // jobs whose name is among names
	needs  []uint32
	bare   bool // written before there were conditions: they were refused
}

func (c *jobCheck) job(i int, j *JobEntry) *Refusal {
	l := c.limits
	if refusal := checkName("a job's name", j.Name); refusal != nil {
		refusal.Detail = fmt.Sprintf("job %d: %s", i, refusal.Detail)
		return refusal
	}
	if _, twice := c.names[j.Name]; twice {
		return refuse(CodeInvalid, "two jobs are called %q", j.Name)
	}
	c.names[j.Name] = struct{}{}
	c.named++
	if int(j.Spec) >= c.specs {
		return refuse(CodeInvalid, "job %q: spec %d of %d", j.Name, j.Spec, c.specs)
	}
	if len(j.Payload) > int(l.PayloadBytes) {
		return refuse(CodeLimit, "job %q: a payload of %d bytes: at most %d", j.Name, len(j.Payload), l.PayloadBytes)
	}
	c.edges += len(j.Needs)
	if len(j.Needs) > int(l.Needs) || c.edges > int(l.Edges) {
		return refuse(CodeLimit, "job %q: a job has at most %d needs and a request %d", j.Name, l.Needs, l.Edges)
	}
	c.needs = c.needs[:0]
	for _, n := range j.Needs {
		if int(n.Job) >= c.jobs {
			return refuse(CodeInvalid, "job %q: it needs job %d of %d", j.Name, n.Job, c.jobs)
		}
		if n.When >= whenCount || c.bare && !n.plain() {
			return refuse(CodeInvalid, "job %q: condition %d of a need is not known", j.Name, n.When)
		}
		c.needs = append(c.needs, n.Job)
	}
	slices.Sort(c.needs)
	if len(slices.Compact(c.needs)) != len(j.Needs) {
		return refuse(CodeInvalid, "job %q: it needs the same job twice", j.Name)
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
	case r.halted():
		return refuse(CodeConflict, "request %s is about to end: %s", c.ID, r.endingAs())
	}
	r = m.db.editRequest(r)
	r.cancelled = true
	m.cancelAll(r, ReasonUser, 0)
	m.endIfOver(r)
	return nil
}

// releaseFree releases the jobs of a new request that need nothing.
func (m *Machine) releaseFree(r *request) {
	if n := int(r.len()); !m.afford(n, n) {
		m.begin(r, task{kind: taskRelease})
		return
	}
	for _, i := range m.dispatcher.submit(r) {
		m.release(r, i)
	}
}

// cancelAll cancels what has not ended. cause is one more than a job's index, or 0.
func (m *Machine) cancelAll(r *request, why Reason, cause uint32) {
	if !m.afford(int(r.live()), int(r.len())) {
		m.halt(r, why, cause)
		return
	}
	m.drop(r)
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
	revived := r.counts[Failed] + r.counts[Cancelled]
	small := m.afford(int(revived), int(r.len()))
	if !small || r.dag.anyhow {
		m.begin(r, task{kind: taskRevive})
		if small {
			m.work(m.db.editRequest(r), m.stepsOfEntry())
		}
		return revived, nil
	}
	for _, i := range m.dispatcher.revive(&m.db, r, func(i uint32, j *job) { m.wake(r, i, j) }) {
		m.release(r, i)
	}
	return revived, nil
}

// wake lets a job that failed or was cancelled wait again.
func (m *Machine) wake(r *request, i uint32, j *job) {
	m.archive(j, j.state)
	m.db.move(r, j, Waiting)
	j.reason, j.cause, j.retries, j.lost = NoReason, 0, 0, 0
	m.emitJob(r, i, j)
}

// endIfOver ends a request of which nothing can run any more, and with which nothing is to be done any more.
func (m *Machine) endIfOver(r *request) {
	if r.state != Running || r.live() > 0 || len(r.tasks) > 0 {
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
	r.ended, r.pause = m.now, NotPaused
	m.due.ended.Set(endedAt{r.ended, r.id})
	m.due.endedJobs += uint64(r.len())
	m.db.editSession(r.session, func(s *session) { s.live-- })
	m.emitRequest(r)
}
