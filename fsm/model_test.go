package fsm

import (
	"slices"
	"strings"
)

// model is the state machine once more, as simply as can be: lists, loops, no index, no running total. It decides
// everything but one thing: which worker gets which of several jobs that it could get. It is told, and objects.
type model struct {
	now      int64
	limits   Limits
	sessions []*modelSession // the id is the place plus one
	requests []*modelRequest // likewise; those reaped stay listed
	workers  []*modelWorker  // likewise
	keys     map[string]*modelKey
	places   uint64
	uploads  []*modelUpload
}

type modelSession struct {
	id     SessionID
	name   string
	closed bool
	since  int64 // closed
	reaped bool
}

type modelRequest struct {
	id        RequestID
	session   SessionID
	cmd       SubmitRequest
	jobs      []*modelJob
	state     State
	cancelled bool
	paused    bool
	ended     int64
	reaped    bool
}

type modelJob struct {
	id       JobID
	r        *modelRequest
	spec     *JobSpec
	needs    []Need
	told     bool // that it has ended, those who need it
	state    State
	reason   Reason
	attempt  uint32
	retries  uint32
	lost     uint32
	cause    uint32
	worker   WorkerID
	place    uint64
	due      int64
	progress uint8
	result   string
	err      string
	exit     int32
}

type modelWorker struct {
	id          WorkerID
	incarnation uint32
	cmd         JoinWorker
	credit      uint32
	standing    bool
	gone        bool
	draining    bool
	goneAt      int64
	removed     bool
}

type modelKey struct {
	answer  RequestSubmitted
	body    uint64
	created int64
}

func newModel() *model { return &model{limits: DefaultLimits(), keys: map[string]*modelKey{}} }

func (m *model) request(id RequestID) *modelRequest {
	if id == 0 || int(id) > len(m.requests) || m.requests[id-1].reaped {
		return nil
	}
	return m.requests[id-1]
}

func (m *model) job(id JobID) *modelJob {
	if r := m.request(id.Request); r != nil && int(id.Index) < len(r.jobs) {
		return r.jobs[id.Index]
	}
	return nil
}

func (m *model) worker(id WorkerID) *modelWorker {
	if id == 0 || int(id) > len(m.workers) || m.workers[id-1].removed {
		return nil
	}
	return m.workers[id-1]
}

// jobs is every job kept, in the order of the ids.
func (m *model) jobs() (list []*modelJob) {
	for _, r := range m.requests {
		if !r.reaped {
			list = append(list, r.jobs...)
		}
	}
	return list
}

func (m *model) held(w WorkerID) (list []*modelJob) {
	for _, j := range m.jobs() {
		if j.state.Assigned() && j.worker == w {
			list = append(list, j)
		}
	}
	return list
}

func (m *model) heldBy(w WorkerID) (ids []JobID) {
	for _, j := range m.held(w) {
		ids = append(ids, j.id)
	}
	return ids
}

// do applies a command and says what its answer must be; for PickJobs the grants are not part of it.
func (m *model) do(c Command, term uint64) (value any, code Code) {
	switch c := c.(type) {
	case OpenSession:
		return m.open(c.Name)
	case CloseSession:
		if c.ID == 0 || int(c.ID) > len(m.sessions) || m.sessions[c.ID-1].reaped {
			return nil, CodeNotFound
		}
		if s := m.sessions[c.ID-1]; !s.closed {
			s.closed, s.since = true, m.now
		}
		return nil, CodeOK
	case SubmitRequest:
		return m.submit(c)
	case CancelRequest:
		return nil, m.cancel(c.ID)
	case PauseRequest:
		return nil, m.pause(c.ID, true)
	case ResumeRequest:
		return nil, m.pause(c.ID, false)
	case RetryRequest:
		return m.retry(c.ID)
	case JoinWorker:
		return m.join(c)
	case LeaveWorker:
		w, code := m.current(c.Worker, c.Incarnation)
		if code == CodeOK {
			m.dismiss(w)
			for _, j := range m.held(w.id) {
				m.backOnBoard(j, ReasonReturn)
			}
		}
		return nil, code
	case DrainWorker:
		w := m.worker(c.Worker)
		if w == nil {
			return nil, CodeNotFound
		}
		w.draining = !c.Undo
		return nil, CodeOK
	case PickJobs:
		w, code := m.current(c.Worker, c.Incarnation)
		if code == CodeOK {
			w.credit, w.standing = c.Max, c.Standing && c.Max > 0
		}
		return nil, code
	case JobStates:
		if _, code := m.current(c.Worker, c.Incarnation); code != CodeOK {
			return nil, code
		}
		codes := []Code{}
		for _, p := range c.Reports {
			codes = append(codes, m.report(c.Worker, p))
		}
		return codes, CodeOK
	case Progress:
		for _, p := range c.Items {
			if j := m.job(p.Job); j != nil && j.state.Assigned() && j.attempt == p.Attempt {
				j.progress = min(p.Percent, 100)
			}
		}
		return nil, CodeOK
	case ReassignWorker:
		if c.Term != term {
			return nil, CodeStale
		}
		w, code := m.current(c.Worker, c.Incarnation)
		if code != CodeOK {
			return nil, code
		}
		m.dismiss(w)
		return m.lose(w), CodeOK
	case Tick:
		if c.Term != term {
			return nil, CodeStale
		}
		return m.tick(), CodeOK
	case BeginSubmit:
		return m.begin(c, term)
	case SubmitPart:
		return nil, m.part(c)
	case CommitSubmit:
		return m.commit(c)
	case DropSubmit:
		m.drop(c.Upload)
		return nil, CodeOK
	case SetLimits:
		m.limits = c.Limits
		return nil, CodeOK
	}
	panic("the model does not know the command")
}

func (m *model) session(name string) *modelSession {
	for _, s := range m.sessions {
		if s.name == name && !s.reaped {
			return s
		}
	}
	return nil
}

func (m *model) open(name string) (any, Code) {
	switch s := m.session(name); {
	case s != nil && s.closed:
		return nil, CodeConflict
	case s != nil:
		return SessionOpened{ID: s.id}, CodeOK
	case name == "" || strings.Contains(name, "\n"):
		return nil, CodeInvalid
	}
	kept := uint32(0)
	for _, s := range m.sessions {
		if !s.reaped {
			kept++
		}
	}
	if kept >= m.limits.Sessions {
		return nil, CodeLimit
	}
	s := &modelSession{id: SessionID(len(m.sessions) + 1), name: name}
	m.sessions = append(m.sessions, s)
	return SessionOpened{ID: s.id, Created: true}, CodeOK
}

func (m *model) submit(c SubmitRequest) (any, Code) {
	if answer, code := m.repeated(c.Key, c.Body); code != CodeOK || answer != nil {
		return answer, code
	}
	session, code := m.mayCome(c, len(c.Jobs))
	if code == CodeOK && !sound(c.Jobs, len(c.Specs)) {
		code = CodeInvalid
	}
	if code != CodeOK {
		return nil, code
	}
	m.requests = append(m.requests, &modelRequest{id: RequestID(len(m.requests) + 1), reaped: true})
	return m.accept(c, RequestID(len(m.requests)), session), CodeOK
}

// repeated is the answer to a key that is known.
func (m *model) repeated(key string, body uint64) (any, Code) {
	k := m.keys[key]
	switch {
	case k == nil || key == "":
		return nil, CodeOK
	case k.body != body:
		return nil, CodeConflict
	}
	answer := k.answer
	answer.Repeat = true
	answer.State = m.requests[answer.ID-1].state
	return answer, CodeOK
}

// mayCome says whether a request of n jobs may be taken in, and names its session, which may be to come.
func (m *model) mayCome(c SubmitRequest, n int) (SessionID, Code) {
	before := len(m.sessions)
	opened, code := m.open(c.Session)
	m.sessions = m.sessions[:before] // nothing has changed
	switch {
	case code != CodeOK:
		return 0, code
	case n == 0:
		return 0, CodeInvalid
	case uint64(len(m.jobs())+n) > m.limits.LiveJobs || c.Key != "" && len(m.keys) >= int(m.limits.Keys):
		return 0, CodeLimit
	}
	return opened.(SessionOpened).ID, CodeOK
}

// accept takes in a request under an id that was kept for it.
func (m *model) accept(c SubmitRequest, id RequestID, session SessionID) RequestSubmitted {
	if _, code := m.open(c.Session); code != CodeOK {
		panic("it was checked")
	}
	r := m.requests[id-1]
	*r = modelRequest{id: id, session: session, cmd: c, state: Running, paused: c.Hold}
	for i, e := range c.Jobs {
		r.jobs = append(r.jobs, &modelJob{id: JobID{r.id, uint32(i)}, r: r, spec: &c.Specs[e.Spec], needs: e.Needs, cause: NoJob})
	}
	answer := RequestSubmitted{ID: r.id, Session: r.session, Jobs: uint32(len(r.jobs)), State: Running}
	if c.Key != "" {
		m.keys[c.Key] = &modelKey{answer: answer, body: c.Body, created: m.now}
	}
	for _, j := range r.jobs {
		if len(j.needs) == 0 {
			m.release(j)
		}
	}
	return answer
}

// sound says whether jobs have names of their own and needs that exist, once each, without a cycle.
func sound(jobs []JobEntry, specs int) bool {
	for i, j := range jobs {
		if j.Name == "" || int(j.Spec) >= specs {
			return false
		}
		for _, o := range jobs[:i] {
			if o.Name == j.Name {
				return false
			}
		}
		for n, need := range j.Needs {
			if int(need.Job) >= len(jobs) || slices.ContainsFunc(j.Needs[:n], func(o Need) bool { return o.Job == need.Job }) {
				return false
			}
		}
	}
	// No cycle: as often as there are jobs, strike those whose needs are struck.
	struck := make([]bool, len(jobs))
	for range jobs {
		for i, j := range jobs {
			struck[i] = !slices.ContainsFunc(j.Needs, func(n Need) bool { return !struck[n.Job] })
		}
	}
	return !slices.Contains(struck, false)
}

func (m *model) current(id WorkerID, incarnation uint32) (*modelWorker, Code) {
	w := m.worker(id)
	switch {
	case w == nil:
		return nil, CodeNotFound
	case w.incarnation != incarnation || w.gone:
		return nil, CodeStale
	}
	return w, CodeOK
}

func (m *model) lose(w *modelWorker) (n uint32) {
	for _, j := range m.held(w.id) {
		if !j.state.Assigned() {
			continue // the loss of another job stopped this one
		}
		n++
		if j.lost < j.spec.LostLimit {
			j.lost++
			m.backOnBoard(j, ReasonLost)
		} else {
			j.reason, j.err, j.exit = ReasonLost, "its worker was lost", -1
			m.fail(j)
		}
	}
	return n
}

func (m *model) dismiss(w *modelWorker) {
	w.gone, w.goneAt, w.credit, w.standing = true, m.now, 0, false
}

func (m *model) join(c JoinWorker) (any, Code) {
	if c.Name == "" || c.Slots == 0 || len(c.Queues) == 0 {
		return nil, CodeInvalid
	}
	for _, w := range m.workers {
		if w.removed || c.Identity == "" || w.cmd.Identity != c.Identity {
			continue
		}
		if w.gone || w.cmd.Process != c.Process {
			m.lose(w)
			*w = modelWorker{id: w.id, incarnation: w.incarnation + 1, cmd: c}
		}
		return WorkerJoined{ID: w.id, Incarnation: w.incarnation}, CodeOK
	}
	w := &modelWorker{id: WorkerID(len(m.workers) + 1), incarnation: 1, cmd: c}
	m.workers = append(m.workers, w)
	return WorkerJoined{ID: w.id, Incarnation: 1}, CodeOK
}

func (m *model) cancel(id RequestID) Code {
	r := m.request(id)
	switch {
	case r == nil:
		return CodeNotFound
	case r.state == Cancelled:
		return CodeOK
	case r.state != Running:
		return CodeConflict
	}
	r.cancelled = true
	for _, j := range r.jobs {
		m.cancelJob(j, ReasonUser, NoJob)
	}
	m.end(r)
	return CodeOK
}

// pause keeps a request's jobs from being granted, or no longer: then those that are ready go to the end of the board.
func (m *model) pause(id RequestID, on bool) Code {
	r := m.request(id)
	switch {
	case r == nil:
		return CodeNotFound
	case r.state != Running:
		return CodeConflict
	}
	for _, j := range r.jobs {
		if r.paused && !on && j.state == Ready {
			m.ready(j)
		}
	}
	r.paused = on
	return CodeOK
}

func (m *model) retry(id RequestID) (any, Code) {
	r := m.request(id)
	switch {
	case r == nil:
		return nil, CodeNotFound
	case r.state == Running || r.state == Done:
		return nil, CodeConflict
	}
	r.state, r.cancelled = Running, false
	var revived uint32
	var again []*modelJob
	for _, j := range r.jobs {
		if j.state != Done {
			if j.state == Cancelled {
				j.err, j.exit = "", 0 // what came last was no failure
			}
			j.told = false
			again = append(again, j)
			revived++
		}
	}
	for _, j := range again { // one after the other: who is still to be revived knows nothing yet
		j.state, j.reason, j.cause, j.retries, j.lost, j.progress = Waiting, NoReason, NoJob, 0, 0, 0
		switch m.stands(j) {
		case met:
			m.release(j)
		case unmet:
			m.cancelJob(j, m.unmetReason(j), m.culprit(j))
			m.tell(j)
		}
	}
	m.end(r)
	return revived, CodeOK
}

func (m *model) tick() (changes uint32) {
	for {
		var first *modelJob
		for _, j := range m.jobs() { // equal times: in the order of the ids
			if j.due != 0 && j.due <= m.now && (first == nil || j.due < first.due) {
				first = j
			}
		}
		if first == nil {
			break
		}
		changes++
		if first.state == Delayed {
			m.ready(first)
		} else {
			m.failed(first, ReasonTimeout, "ran longer than its timeout of "+first.spec.Timeout.String(), -1, false)
		}
	}
	for i := len(m.uploads) - 1; i >= 0; i-- {
		if u := m.uploads[i]; u.touched+int64(m.limits.UploadFor) <= m.now {
			m.drop(u.head.Upload)
			changes++
		}
	}
	for _, r := range m.requests {
		if !r.reaped && r.state != Running && r.ended+int64(m.limits.KeepFor) <= m.now {
			r.reaped = true
			changes++
		}
	}
	for _, s := range m.sessions {
		kept := slices.ContainsFunc(m.requests, func(r *modelRequest) bool { return r.session == s.id && !r.reaped })
		if s.closed && !s.reaped && !kept && s.since+int64(m.limits.KeepFor) <= m.now {
			s.reaped = true
			changes++
		}
	}
	for key, k := range m.keys {
		if m.requests[k.answer.ID-1].reaped && k.created+int64(m.limits.KeepKeys) <= m.now {
			delete(m.keys, key)
			changes++
		}
	}
	for _, w := range m.workers {
		if !w.removed && w.gone && w.goneAt+int64(goneWorkerKeep) <= m.now {
			w.removed = true
			changes++
		}
	}
	return changes
}

// retain is retention by number, which every entry brings about.
func (m *model) retain() {
	for {
		var ended []*modelRequest
		var jobs uint64
		for _, r := range m.requests {
			if !r.reaped && r.state != Running {
				ended = append(ended, r)
				jobs += uint64(len(r.jobs))
			}
		}
		if len(ended) <= int(m.limits.KeepRequests) && (jobs <= m.limits.KeepJobs || len(ended) <= 1) {
			return
		}
		slices.SortStableFunc(ended, func(a, b *modelRequest) int { return int(min(1, max(-1, a.ended-b.ended))) })
		ended[0].reaped = true
	}
}
