package fsm

import (
	"math/big"
	"slices"
	"time"
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
}

type modelSession struct {
	id     SessionID
	name   string
	closed bool
}

type modelRequest struct {
	id         RequestID
	session    SessionID
	cmd        SubmitRequest
	jobs       []*modelJob
	state      State
	cancelled  bool
	ended      int64
	reaped     bool
	keyCreated int64
}

type modelJob struct {
	id       JobID
	r        *modelRequest
	spec     *JobSpec
	needs    []Need
	state    State
	reason   Reason
	attempt  uint32
	retries  uint32
	lost     uint32
	cause    uint32
	worker   WorkerID
	admitted bool // on the board, not held back by max_running
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
		if c.ID == 0 || int(c.ID) > len(m.sessions) {
			return nil, CodeNotFound
		}
		m.sessions[c.ID-1].closed = true
		return nil, CodeOK
	case SubmitRequest:
		return m.submit(c)
	case CancelRequest:
		return nil, m.cancel(c.ID)
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
	case SetLimits:
		m.limits = c.Limits
		return nil, CodeOK
	}
	panic("the model does not know the command")
}

func (m *model) open(name string) (any, Code) {
	for _, s := range m.sessions {
		if s.name == name && s.closed {
			return nil, CodeConflict
		} else if s.name == name {
			return SessionOpened{ID: s.id}, CodeOK
		}
	}
	if name == "" {
		return nil, CodeInvalid
	}
	s := &modelSession{id: SessionID(len(m.sessions) + 1), name: name}
	m.sessions = append(m.sessions, s)
	return SessionOpened{ID: s.id, Created: true}, CodeOK
}

func (m *model) submit(c SubmitRequest) (any, Code) {
	if k := m.keys[c.Key]; k != nil && c.Key != "" {
		if k.body != c.Body {
			return nil, CodeConflict
		}
		answer := k.answer
		answer.Repeat = true
		answer.State = m.requests[answer.ID-1].state
		return answer, CodeOK
	}
	for _, s := range m.sessions {
		if s.name == c.Session && s.closed {
			return nil, CodeConflict
		}
	}
	if c.Session == "" || len(c.Jobs) == 0 {
		return nil, CodeInvalid
	}
	if uint64(len(m.jobs())+len(c.Jobs)) > m.limits.LiveJobs {
		return nil, CodeLimit
	}
	if !sound(c.Jobs, len(c.Specs)) {
		return nil, CodeInvalid
	}
	opened, _ := m.open(c.Session)
	r := &modelRequest{id: RequestID(len(m.requests) + 1), session: opened.(SessionOpened).ID, cmd: c, state: Running, keyCreated: m.now}
	m.requests = append(m.requests, r)
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
	return answer, CodeOK
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
			if int(need.Job) >= len(jobs) || slices.Contains(j.Needs[:n], need) {
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
	j.place = m.places
	m.readyInPlace(j)
}

// readyInPlace puts a job on the board, unless max_running bars it: those on the board have a claim to run.
func (m *model) readyInPlace(j *modelJob) {
	j.state, j.due, j.admitted = Ready, 0, false
	j.admitted = m.room(j.r)
}

func (m *model) room(r *modelRequest) bool {
	claims := uint32(0)
	for _, j := range r.jobs {
		if j.state.Assigned() || j.state == Ready && j.admitted {
			claims++
		}
	}
	return r.cmd.MaxRunning == 0 || claims < r.cmd.MaxRunning
}

// admit fills the places that have become free under max_running, best first.
func (m *model) admit(r *modelRequest) {
	for m.room(r) {
		var best *modelJob
		for _, j := range r.jobs {
			if j.state == Ready && !j.admitted && (best == nil || j.before(best)) {
				best = j
			}
		}
		if best == nil {
			return
		}
		best.admitted = true
	}
}

func (j *modelJob) before(o *modelJob) bool {
	return j.spec.Priority > o.spec.Priority || j.spec.Priority == o.spec.Priority && j.place < o.place
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
		for _, o := range j.r.jobs {
			waitsOnIt := slices.ContainsFunc(o.needs, func(n Need) bool { return n.Job == j.id.Index })
			if o.state == Waiting && waitsOnIt && j.r.open(o) == 0 {
				m.release(o)
			}
		}
		m.admit(j.r)
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

func (r *modelRequest) open(j *modelJob) (n int) {
	for _, need := range j.needs {
		if r.jobs[need.Job].state != Done {
			n++
		}
	}
	return n
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
	m.admit(j.r)
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
		doomed := []*modelJob{j}
		for len(doomed) > 0 {
			cause := doomed[0]
			doomed = doomed[1:]
			for _, o := range j.r.jobs {
				if o.state == Waiting && slices.ContainsFunc(o.needs, func(n Need) bool { return n.Job == cause.id.Index }) {
					m.cancelJob(o, ReasonNeeds, cause.id.Index)
					doomed = append(doomed, o)
				}
			}
		}
	}
	m.admit(j.r)
	m.end(j.r)
}

func (m *model) cancelJob(j *modelJob, why Reason, cause uint32) {
	if !j.state.Terminal() {
		j.state, j.reason, j.cause, j.due = Cancelled, why, cause, 0
	}
}

// backOnBoard puts a job that a worker held where it was.
func (m *model) backOnBoard(j *modelJob, why Reason) {
	j.reason, j.progress = why, 0
	m.readyInPlace(j)
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
			j.reason = ReasonLost
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
			j.state, j.reason, j.cause, j.retries, j.lost, j.progress = Waiting, NoReason, NoJob, 0, 0, 0
			again = append(again, j)
			revived++
		}
	}
	for _, j := range again {
		if r.open(j) == 0 {
			m.release(j)
		}
	}
	return revived, CodeOK
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
	r.ended = m.now
	switch {
	case r.cancelled:
		r.state = Cancelled
	case failed:
		r.state = Failed
	default:
		r.state = Done
	}
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
	for _, r := range m.requests {
		if !r.reaped && r.state != Running && r.ended+int64(m.limits.KeepFor) <= m.now {
			r.reaped = true
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

// wants is how many slots a worker may be given now.
func (m *model) wants(w *modelWorker) uint32 {
	free := w.cmd.Slots
	for _, j := range m.held(w.id) {
		free -= j.spec.Slots
	}
	switch {
	case w.gone || w.draining || w.removed:
		return 0
	case w.standing:
		return free
	}
	return min(free, w.credit)
}

// grantable says whether a worker could be given a job now.
func (m *model) grantable(w *modelWorker, j *modelJob) bool {
	if j.state != Ready || !j.admitted || j.spec.Slots > m.wants(w) || !slices.Contains(w.cmd.Queues, j.spec.Queue) {
		return false
	}
	for _, l := range j.spec.Labels {
		if !slices.Contains(w.cmd.Labels, l) {
			return false
		}
	}
	return true
}

// grant gives a job to a worker, and says what is wrong with that.
func (m *model) grant(g Grant, to WorkerID) (objection string) {
	j, w := m.job(g.Job), m.worker(to)
	switch {
	case j == nil || w == nil:
		return "the job or the worker is not known"
	case !m.grantable(w, j):
		return "the worker may not have it"
	case g.Attempt != j.attempt+1:
		return "the attempt does not follow the last"
	}
	for _, o := range m.jobs() {
		if m.grantable(w, o) && o.before(j) {
			return "job " + o.id.String() + " comes first"
		}
	}
	j.state, j.attempt, j.worker, j.reason, j.progress = Picked, g.Attempt, to, NoReason, 0
	if !w.standing {
		w.credit -= j.spec.Slots
	}
	return ""
}

// leftover is a job that could have been granted and was not.
func (m *model) leftover() (*modelJob, *modelWorker) {
	for _, w := range m.workers {
		for _, j := range m.jobs() {
			if !w.removed && m.grantable(w, j) {
				return j, w
			}
		}
	}
	return nil, nil
}
