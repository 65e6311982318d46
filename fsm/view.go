package fsm

import (
	"math"
	"slices"
	"time"
)

// View is the state as it was after one entry. It never changes and may be read by any number of goroutines.
type View struct {
	db      SessionsDB
	workers Workers
	limits  Limits
	index   uint64
	now     int64
	hash    uint64
	next    frozenCounters
}

type frozenCounters struct {
	session SessionID
	request RequestID
	worker  WorkerID
	order   uint64
	turn    WorkerID
	queue   []RequestID

	incoming *incoming
}

// View freezes the state between two entries. It costs microseconds; what changes afterwards is copied on its first
// write, so one every few milliseconds is enough for any number of readers.
func (m *Machine) View() *View {
	return &View{
		hash: m.Hash(), db: m.db.freeze(), workers: m.workers.freeze(), limits: m.limits, index: m.index, now: m.now,
		next: frozenCounters{m.nextSession, m.nextRequest, m.nextWorker, m.nextOrder, m.turn, slices.Clone(m.queue), m.incoming},
	}
}

// Index is that of the last entry in the view.
func (v *View) Index() uint64 { return v.index }

// Time is that of the last entry in the view.
func (v *View) Time() time.Time { return wallTime(v.now) }

// Hash is Machine.Hash at Index.
func (v *View) Hash() uint64 { return v.hash }

// Limits are those in force.
func (v *View) Limits() Limits { return v.limits }

// Counts is the number of jobs kept, by state.
func (v *View) Counts() Counts { return v.db.counts }

func wallTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// Session describes a session.
func (v *View) Session(id SessionID) (SessionInfo, bool) {
	s, ok := v.db.sessions.Get(id)
	if !ok {
		return SessionInfo{}, false
	}
	return sessionInfo(s), true
}

// SessionByName finds a session.
func (v *View) SessionByName(name string) (SessionInfo, bool) {
	id, ok := v.db.names.Get(name)
	if !ok {
		return SessionInfo{}, false
	}
	return v.Session(id)
}

// Sessions lists at most limit sessions after one, oldest first.
func (v *View) Sessions(after SessionID, limit int) []SessionInfo {
	var list []SessionInfo
	if after == math.MaxUint64 {
		return nil
	}
	v.db.sessions.Ascend(after+1, func(_ SessionID, s *session) bool {
		if len(list) < limit {
			list = append(list, sessionInfo(s))
		}
		return len(list) < limit
	})
	return list
}

func sessionInfo(s *session) SessionInfo {
	return SessionInfo{ID: s.id, Name: s.name, Closed: s.closed, Created: wallTime(s.created), Requests: s.requests, Live: s.live}
}

func (v *View) request(id RequestID) *request {
	r, _ := v.db.requests.Get(id)
	return r
}

// Request describes a request.
func (v *View) Request(id RequestID) (RequestInfo, bool) {
	r := v.request(id)
	if r == nil {
		return RequestInfo{}, false
	}
	return v.requestInfo(r), true
}

// Requests lists requests, newest first.
func (v *View) Requests(f RequestFilter) []RequestInfo {
	var list []RequestInfo
	before := f.Before
	if before == 0 {
		before = math.MaxUint64
	}
	v.db.requests.Descend(before-1, func(_ RequestID, r *request) bool {
		if (f.Session == 0 || r.session == f.Session) && (!f.HasState || r.state == f.State) && len(list) < f.Limit {
			list = append(list, v.requestInfo(r))
		}
		return len(list) < f.Limit
	})
	return list
}

func (v *View) requestInfo(r *request) RequestInfo {
	info := RequestInfo{
		ID: r.id, Session: r.session, Name: r.name, Key: r.key, State: r.state, MaxRunning: r.maxRunning,
		OnFailure: r.onFailure, Pause: r.pause, Ending: r.endingAs(), Jobs: r.len(), Index: r.index, Created: wallTime(r.created), Ended: wallTime(r.ended),
	}
	for s, n := range r.counts {
		info.Counts[s] = uint64(n)
	}
	if s, ok := v.db.sessions.Get(r.session); ok {
		info.SessionName = s.name
	}
	return info
}

// Job describes a job.
func (v *View) Job(id JobID) (JobInfo, bool) {
	r := v.request(id.Request)
	if r == nil || id.Index >= r.len() {
		return JobInfo{}, false
	}
	return v.jobInfo(r, id.Index), true
}

// Jobs lists jobs of a request.
func (v *View) Jobs(id RequestID, f JobFilter) []JobInfo {
	r := v.request(id)
	if r == nil {
		return nil
	}
	var list []JobInfo
	for i := max(f.After+1, 0); i < int(r.len()) && len(list) < f.Limit; i++ {
		if !f.HasState || r.job(uint32(i)).state == f.State {
			list = append(list, v.jobInfo(r, uint32(i)))
		}
	}
	return list
}

// JobByName finds a job of a request. It looks at each name in turn.
func (v *View) JobByName(id RequestID, name string) (JobInfo, bool) {
	r := v.request(id)
	if r == nil {
		return JobInfo{}, false
	}
	for i := range r.len() {
		if r.dag.name(i) == name {
			return v.jobInfo(r, i), true
		}
	}
	return JobInfo{}, false
}

// JobName is the name of a job, "" if it is not known.
func (v *View) JobName(id JobID) string {
	r := v.request(id.Request)
	if r == nil || id.Index >= r.len() {
		return ""
	}
	return r.dag.name(id.Index)
}

// Dependents lists the jobs of the same request that need a job directly. For a moment after a request has come in parts
// they are not known.
func (v *View) Dependents(id JobID) []uint32 {
	r := v.request(id.Request)
	if r == nil || id.Index >= r.len() || r.turning() {
		return nil
	}
	return r.dag.dependents(id.Index)
}

func (v *View) jobInfo(r *request, i uint32) JobInfo {
	j := r.job(i)
	info := JobInfo{
		ID: JobID{r.id, i}, Name: r.dag.name(i), Spec: r.spec(i), Payload: r.dag.payload(i), Needs: r.dag.needsOf(i),
		State: j.state, Reason: j.reason, Attempt: j.attempt, Retries: uint32(j.retries), Lost: uint32(j.lost),
		Worker: j.worker, Progress: j.progress, Cause: j.cause - 1, // cause 0 becomes NoJob
		Times: Times{
			Submitted: wallTime(r.created), Ready: wallTime(j.ready.at), Picked: wallTime(j.picked.at),
			Started: wallTime(j.started.at), Ended: wallTime(j.ended.at),
		},
	}
	if j.state == Delayed {
		info.Times.NotBefore = wallTime(j.due)
	}
	if w, ok := v.workers.byID.Get(j.worker); ok {
		info.WorkerName = w.name
	}
	if m := j.more; m != nil {
		info.ProgressText, info.Result, info.ResultJSON = m.text, m.result, m.json
		info.Error, info.ExitCode = m.err, m.exit
		if n := len(m.past); n > 0 && j.state != Done && j.state != Failed { // this attempt has no outcome of its own
			info.Error, info.ExitCode = m.past[n-1].err, m.past[n-1].exit
		}
	}
	return info
}

// History lists what became of a job, oldest first, in the order of the log. Each step is a state that the job went
// into, so that Done, Failed and Cancelled are in it once for each time that the job really ended: an attempt that ended
// without that shows as the Ready or Delayed that it led to, with its reason and error.
func (v *View) History(id JobID) []Step {
	r := v.request(id.Request)
	if r == nil || id.Index >= r.len() {
		return nil
	}
	j := r.job(id.Index)
	h := history{{Index: r.index, At: wallTime(r.created), State: Waiting}}
	now := pastAttempt{
		attempt: j.attempt, worker: j.worker, to: j.state, reason: j.reason, progress: j.progress,
		delayed: j.delayed, ready: j.ready, picked: j.picked, started: j.started, ended: j.ended,
	}
	var progressed Step
	if m := j.more; m != nil {
		for i := range m.past {
			h.attempt(&m.past[i], Step{})
		}
		now.err, now.exit = m.err, m.exit
		progressed = Step{Index: m.progressedAt.index, At: wallTime(m.progressedAt.at), Progress: m.percent}
	}
	h.attempt(&now, progressed)
	return h
}

// history grows step by step.
type history []Step

// add appends a step that was made at s, if it was, and is not what the last step says already.
func (h *history) add(s stamp, step Step) {
	step.Index, step.At = s.index, wallTime(s.at)
	if last := (*h)[len(*h)-1]; s == (stamp{}) || step.Worker == 0 && last.State == step.State && last.Index == step.Index {
		return
	}
	*h = append(*h, step)
}

// attempt adds the steps of one attempt; progressed is its newest progress, if Index is not 0.
func (h *history) attempt(p *pastAttempt, progressed Step) {
	mine := func(s State) Step { return Step{State: s, Attempt: p.attempt, Worker: p.worker} }
	h.add(p.delayed, Step{State: Delayed})
	h.add(p.ready, Step{State: Ready})
	h.add(p.picked, mine(Picked))
	progressed.Attempt, progressed.Worker = p.attempt, p.worker
	if early := p.started == (stamp{}) || progressed.Index < p.started.index; early && progressed.Index != 0 {
		progressed.State = Picked // it came before START
		*h = append(*h, progressed)
		progressed.Index = 0
	}
	h.add(p.started, mine(Running))
	if progressed.Index != 0 {
		progressed.State = Running
		*h = append(*h, progressed)
	}
	end := mine(p.to)
	end.Reason, end.Progress, end.Error, end.ExitCode = p.reason, p.progress, p.err, p.exit
	if p.picked == (stamp{}) {
		end.Attempt, end.Worker = 0, 0 // cancelled in nobody's hands: what j says of them is of the attempt before
	}
	h.add(p.ended, end)
}

// Worker describes a worker.
func (v *View) Worker(id WorkerID) (WorkerInfo, bool) {
	w, ok := v.workers.byID.Get(id)
	if !ok {
		return WorkerInfo{}, false
	}
	return workerInfo(w), true
}

// Workers lists every registered worker, in the order in which they first joined.
func (v *View) Workers() []WorkerInfo {
	list := make([]WorkerInfo, 0, v.workers.byID.Len())
	v.workers.byID.Scan(func(_ WorkerID, w *worker) bool {
		list = append(list, workerInfo(w))
		return true
	})
	return list
}

func workerInfo(w *worker) WorkerInfo {
	return WorkerInfo{
		ID: w.id, Incarnation: w.incarnation, Name: w.name, Queues: w.queues, Labels: w.labels, Slots: w.slots,
		Used: w.used, Running: uint32(len(w.held)), Lost: w.gone, Draining: w.draining, Joined: wallTime(w.joined),
	}
}

// Held lists the attempts that a worker holds.
func (v *View) Held(id WorkerID) []Grant {
	w, ok := v.workers.byID.Get(id)
	if !ok {
		return nil
	}
	list := make([]Grant, 0, len(w.held))
	for _, job := range w.held {
		if r := v.request(job.Request); r != nil {
			list = append(list, Grant{job, r.job(job.Index).attempt})
		}
	}
	return list
}
