package fsm

import (
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// release lets a job whose needs are met go on: to the board, or to wait for its time.
func (m *Machine) release(r *request, i uint32) {
	s := r.spec(i)
	at := s.StartAt
	if s.StartAfter > 0 {
		at = max(at, addTime(m.now, s.StartAfter))
	}
	if at > m.now {
		m.delay(r, i, at)
		return
	}
	m.makeReady(r, i, 0)
}

// addTime is t + d without overflow.
func addTime(t int64, d time.Duration) int64 {
	if sum := t + int64(d); sum >= t {
		return sum
	}
	return 1<<63 - 1
}

func (m *Machine) delay(r *request, i uint32, until int64) {
	j := m.db.editJob(r, i)
	m.db.move(r, j, Delayed)
	j.due = until
	j.delayed = m.stamp()
	m.due.jobs.Set(jobDue{until, JobID{r.id, i}})
	m.emitJob(r, i, j)
}

// undelay forgets a job's deadline, if it has one.
func (m *Machine) undelay(r *request, i uint32, j *job) {
	if j.due != 0 {
		m.due.jobs.Delete(jobDue{j.due, JobID{r.id, i}})
		j.due = 0
	}
}

// makeReady is JobBoard.addJob. order is the place that the job had before, 0 for a new one at the end.
func (m *Machine) makeReady(r *request, i uint32, order uint64) {
	j := m.db.editJob(r, i)
	m.undelay(r, i, j)
	m.db.move(r, j, Ready)
	if order == 0 {
		order = m.nextOrder
		m.nextOrder++
	}
	j.order = order
	j.ready = m.stamp()
	m.boardJob(r, i, j)
	m.emitJob(r, i, j)
}

// boardJob puts a ready job on the board, or, while its request is paused, with those that are kept off it.
func (m *Machine) boardJob(r *request, i uint32, j *job) {
	if r.pause != NotPaused {
		j.flags |= flagHeld
		m.board.Hold(r.spec(i), ticket{j.order, JobID{r.id, i}})
		return
	}
	m.post(r, i, j)
}

// post puts a ready job on the board.
func (m *Machine) post(r *request, i uint32, j *job) {
	j.flags &^= flagHeld
	r.boarded++
	m.board.Add(r.spec(i), ticket{j.order, JobID{r.id, i}})
	m.weighRoom(r)
}

// weighRoom keeps the board's surplus right, after a change of the jobs that r has on the board or runs.
func (m *Machine) weighRoom(r *request) {
	if r.maxRunning == 0 && r.pause == NotPaused && r.surplus == 0 {
		return
	}
	var surplus uint32
	if room := r.room(); r.boarded > room {
		surplus = r.boarded - room
	}
	m.board.surplus += int(surplus) - int(r.surplus)
	r.surplus = surplus
}

// onBoard says whether a ticket still stands for a job on the board.
func (m *Machine) onBoard(t ticket) bool { return m.stands(t, 0) }

// heldBack says whether a ticket still stands for a job that max_running holds back.
func (m *Machine) heldBack(t ticket) bool { return m.stands(t, flagHeld) }

func (m *Machine) stands(t ticket, held jobFlags) bool {
	r := m.db.request(t.job.Request)
	if r == nil {
		return false
	}
	j := r.job(t.job.Index)
	return j.state == Ready && j.flags&flagHeld == held && j.order == t.order
}

// unboard takes a job that is about to leave Ready off the board. The job must have left it by the time the board
// next looks, so the caller moves it at once.
func (m *Machine) unboard(r *request, i uint32, j *job) {
	if j.state != Ready {
		return
	}
	t := ticket{j.order, JobID{r.id, i}}
	if j.flags&flagHeld != 0 {
		j.flags &^= flagHeld
		m.board.Unhold(r.spec(i), t, m.heldBack)
		return
	}
	r.boarded--
	m.board.Remove(r.spec(i), t, m.onBoard)
	m.weighRoom(r)
}

// park takes a job whose request is full off the board until the request has room. The job must be the first of its
// class: JobBoard forgets that entry at once, so that the job may come back with the same order. Any job of a request that
// is paused may be parked: it comes back with another order, see admitSome.
func (m *Machine) park(r *request, t ticket) {
	r = m.db.own(r)
	i := t.job.Index
	j := m.db.editJob(r, i)
	m.unboard(r, i, j)
	j.flags |= flagHeld
	m.board.Hold(r.spec(i), t)
}

// admitHeld follows the end of an assignment: the request has room for one more, so the best of its parked jobs goes
// back on the board, one in each class because any of them may be what a worker can run. Thus the best jobs of each
// class, as many as there is room for, are on the board. Those that are not granted after all are parked again.
func (m *Machine) admitHeld(r *request) {
	m.weighRoom(r)
	if r.room() == 0 || r.halted() || r.admitting() {
		return
	}
	m.best = m.board.FirstHeld(m.best[:0], r.id, m.heldBack)
	for _, t := range m.best {
		i := t.job.Index
		j := m.db.editJob(r, i)
		m.unboard(r, i, j)
		m.boardJob(r, i, j)
	}
}

// freeHands ends an assignment: the worker's slots and the request's place are free again.
func (m *Machine) freeHands(r *request, i uint32, j *job) {
	m.undelay(r, i, j)
	m.workers.release(j.worker, JobID{r.id, i}, r.spec(i).Slots)
}

// grant is pickJob: the job is now w's, as one attempt more.
func (m *Machine) grant(w *worker, r *request, i uint32) *worker {
	j := m.db.editJob(r, i)
	m.unboard(r, i, j)
	m.db.move(r, j, Picked)
	j.attempt++
	j.worker = w.id
	j.reason, j.progress = NoReason, 0
	j.picked, j.started, j.ended = m.stamp(), stamp{}, stamp{}
	m.weighRoom(r)
	m.emitJob(r, i, j)
	return m.workers.take(w, JobID{r.id, i}, r.spec(i).Slots)
}

// archive moves what is known of an attempt that is over into the history: the job goes on, to the state to.
func (m *Machine) archive(j *job, to State) {
	if j.picked == (stamp{}) && j.ended == (stamp{}) {
		return
	}
	more := j.extra()
	past := more.past
	if len(past) == pastMax {
		past = past[1:]
		more.dropped++
	}
	more.past = append(append(make([]pastAttempt, 0, len(past)+1), past...), pastAttempt{
		attempt: j.attempt, worker: j.worker, to: to, reason: j.reason, progress: j.progress, exit: more.exit, err: more.err,
		delayed: j.delayed, ready: j.ready, picked: j.picked, started: j.started, ended: j.ended,
	})
	more.err, more.exit, more.text, more.percent, more.progressedAt = "", 0, "", 0, stamp{}
	more.result, more.json = nil, false
	j.setMore(more)
	j.delayed, j.ready, j.picked, j.started, j.ended = stamp{}, stamp{}, stamp{}, stamp{}, stamp{}
	j.progress = 0
}

func (m *Machine) jobStates(c *JobStates) (any, *Refusal) {
	if _, refusal := m.workers.current(c.Worker, c.Incarnation); refusal != nil {
		return nil, refusal
	}
	codes := make([]Code, len(c.Reports))
	for n := range c.Reports {
		codes[n] = m.report(c.Worker, &c.Reports[n])
	}
	return codes, nil
}

// report judges one word of a worker. A word repeated is answered as the first time, and changes nothing.
func (m *Machine) report(w WorkerID, p *JobReport) Code {
	r := m.db.request(p.Job.Request)
	if r == nil || p.Job.Index >= r.len() {
		return CodeNotFound
	}
	i := p.Job.Index
	j := r.job(i)
	if j.attempt != p.Attempt || j.worker != w {
		return CodeStale
	}
	if j.state.Assigned() && r.halted() {
		r = m.db.own(r)
		m.cancelHalted(r, i)
		j = r.job(i)
	}
	if !j.state.Assigned() {
		return repeatedReport(j, p.Kind)
	}
	r = m.db.own(r)
	switch p.Kind {
	case ReportStart:
		m.jobStarted(r, i)
	case ReportDone:
		if len(p.Result) > int(m.limits.ResultBytes) {
			return CodeLimit
		}
		m.jobDone(r, i, p)
	case ReportFailed:
		m.jobFailed(r, i, failure(p))
	case ReportReturn:
		m.giveBack(r, i, ReasonReturn)
	default:
		return CodeInvalid
	}
	return CodeOK
}

// repeatedReport judges a word on an attempt that is over.
func repeatedReport(j *job, kind ReportKind) Code {
	over := kind == ReportStart && (j.state == Done || j.reason == ReasonError || j.reason == ReasonTimeout) ||
		kind == ReportDone && j.state == Done ||
		kind == ReportFailed && (j.reason == ReasonError || j.reason == ReasonTimeout) ||
		kind == ReportReturn && j.reason == ReasonReturn
	if over && j.state != Cancelled {
		return CodeOK
	}
	return CodeStale
}

func (m *Machine) jobStarted(r *request, i uint32) {
	if r.job(i).state != Picked {
		return
	}
	j := m.db.editJob(r, i)
	m.db.move(r, j, Running)
	j.started = m.stamp()
	if t := r.spec(i).Timeout; t > 0 {
		j.due = addTime(m.now, t+timeoutGrace)
		m.due.jobs.Set(jobDue{j.due, JobID{r.id, i}})
	}
	m.emitJob(r, i, j)
}

// jobDone is JobBoard.jobDone: the job ends well, and the dispatcher releases what waited only on it.
func (m *Machine) jobDone(r *request, i uint32, p *JobReport) {
	j := m.db.editJob(r, i)
	m.freeHands(r, i, j)
	m.db.move(r, j, Done)
	j.ended = m.stamp()
	j.progress = 100
	if len(p.Result) > 0 {
		more := j.extra()
		more.result, more.json = p.Result, p.JSON
		j.setMore(more)
	}
	m.emitJob(r, i, j)
	m.needMet(r, i)
	m.admitHeld(r)
	m.endIfOver(r)
}

// needMet tells the dependents of a job that it is done.
func (m *Machine) needMet(r *request, i uint32) {
	if r.dag.anyhow {
		m.doom(r, i)
		return
	}
	if n := len(r.dag.dependents(i)); !m.afford(n, n) {
		m.begin(r, task{kind: taskMet, job: i})
		return
	}
	for _, dep := range m.dispatcher.done(&m.db, r, i) {
		m.release(r, dep)
	}
}

// budgetMax is the most retries and the most lost workers that a job survives, whatever its spec allows: what a job
// counts them in ends there.
const budgetMax = math.MaxUint16

// ending is how an attempt failed.
type ending struct {
	reason  Reason
	err     string
	exit    int32
	noRetry bool
}

func failure(p *JobReport) ending {
	e := ending{reason: ReasonError, err: p.Error, exit: p.ExitCode, noRetry: p.NoRetry}
	if p.Timeout {
		e.reason = ReasonTimeout
	}
	return e
}

// jobFailed is JobBoard.jobFailed: the attempt is over; a retry is due, or the job has failed.
func (m *Machine) jobFailed(r *request, i uint32, e ending) {
	j := m.db.editJob(r, i)
	m.endAttempt(r, i, j, e)
	retry := &r.spec(i).Retry
	if e.noRetry || uint32(j.retries) >= min(retry.Limit, budgetMax) || never(retry, e) {
		m.fail(r, i, j)
		return
	}
	wait := backoff(retry, uint32(j.retries))
	j.retries++
	if wait > 0 {
		m.archive(j, Delayed)
		m.delay(r, i, addTime(m.now, wait))
	} else {
		m.archive(j, Ready)
		m.makeReady(r, i, 0)
	}
	m.admitHeld(r)
}

func (m *Machine) endAttempt(r *request, i uint32, j *job, e ending) {
	m.freeHands(r, i, j)
	j.ended = m.stamp()
	j.reason = e.reason
	more := j.extra()
	more.err, more.exit = cut(e.err, int(m.limits.TextBytes)), e.exit
	j.setMore(more)
}

// fail is the end of a job that will not be tried again.
func (m *Machine) fail(r *request, i uint32, j *job) {
	m.db.move(r, j, Failed)
	m.emitJob(r, i, j)
	if r.onFailure == StopRequest {
		m.cancelAll(r, ReasonStop, i+1)
	} else {
		m.doom(r, i)
	}
	m.admitHeld(r)
	m.endIfOver(r)
}

// doom is cancelJobsDepOn: job i has ended, and those of the jobs that wait on it, directly or through others, that need it
// otherwise can never run. Those that need it as it is go on. What is too much for this entry is left to those that follow.
func (m *Machine) doom(r *request, i uint32) {
	if len(r.dag.dependents(i)) == 0 {
		return
	}
	const small = smallChanges * costChange
	purse := max(m.purse, small)
	t := task{kind: taskDoom, doomed: append(m.doomed[:0], i)}
	m.doomed = t.doomed[:0]
	m.purse = min(m.purse, m.doomThem(r, &t, purse))
	if len(t.doomed) > 0 {
		t.doomed = slices.Clone(t.doomed)
		m.begin(r, t)
	}
}

func never(retry *Retry, e ending) bool {
	if e.reason != ReasonError {
		return false
	}
	for _, code := range retry.Never {
		if code == e.exit {
			return true
		}
	}
	return false
}

// backoff is the wait before the retry after n earlier ones: exponential, in integers, so that it is the same on
// every machine.
func backoff(r *Retry, n uint32) time.Duration {
	wait := r.Backoff
	const longest = 365 * 24 * time.Hour
	for range min(n, 64) {
		if r.Factor > 1000 && wait < longest {
			wait = scale(wait, r.Factor, longest)
		}
	}
	wait = min(wait, longest)
	if r.Max > 0 {
		wait = min(wait, r.Max)
	}
	return wait
}

// scale is wait × factor / 1000, at most longest, whatever the product.
func scale(wait time.Duration, factor uint32, longest time.Duration) time.Duration {
	hi, lo := bits.Mul64(uint64(wait), uint64(factor))
	if hi >= 1000 {
		return longest
	}
	product, _ := bits.Div64(hi, lo, 1000)
	return time.Duration(min(product, uint64(longest)))
}

// giveBack puts an assigned job back on the board, where it was in the order.
func (m *Machine) giveBack(r *request, i uint32, why Reason) {
	j := m.db.editJob(r, i)
	order := j.order
	m.endAttempt(r, i, j, ending{reason: why})
	m.archive(j, Ready)
	m.makeReady(r, i, order)
	m.admitHeld(r)
}

// loseJob is giveBack for a job whose worker was lost, up to its lost_limit.
func (m *Machine) loseJob(r *request, i uint32, cause string) {
	j := m.db.editJob(r, i)
	if uint32(j.lost) >= min(r.spec(i).LostLimit, budgetMax) {
		m.endAttempt(r, i, j, ending{reason: ReasonLost, err: "its worker was lost (" + cause + "), and lost_limit is reached", exit: -1})
		m.fail(r, i, j)
		return
	}
	order := j.order
	m.endAttempt(r, i, j, ending{reason: ReasonLost, err: "its worker was lost: " + cause, exit: -1})
	m.archive(j, Ready)
	j.lost++
	m.makeReady(r, i, order)
	m.admitHeld(r)
}

// cancelJob ends a job that has not ended. Its worker, if it has one, is told to stop it.
func (m *Machine) cancelJob(r *request, i uint32, why Reason, cause uint32) {
	j := m.db.editJob(r, i)
	if j.state.Assigned() {
		m.emit(Event{Kind: EventStop, Job: JobID{r.id, i}, Attempt: j.attempt, Worker: j.worker, Session: r.session})
		m.freeHands(r, i, j)
	}
	m.unboard(r, i, j)
	m.undelay(r, i, j)
	m.db.move(r, j, Cancelled)
	j.reason, j.cause = why, cause
	j.ended = m.stamp()
	m.emitJob(r, i, j)
}

func (m *Machine) progress(c *Progress) {
	for n := range c.Items {
		p := &c.Items[n]
		r := m.db.request(p.Job.Request)
		if r == nil || p.Job.Index >= r.len() {
			continue
		}
		if j := r.job(p.Job.Index); j.attempt != p.Attempt || !j.state.Assigned() || r.halted() {
			continue
		}
		r = m.db.own(r)
		j := m.db.editJob(r, p.Job.Index)
		j.progress = min(p.Percent, 100)
		more := j.extra()
		more.text, more.percent, more.progressedAt = cut(p.Text, int(m.limits.TextBytes)), j.progress, m.stamp()
		j.setMore(more)
		m.emit(Event{
			Kind: EventProgress, State: j.state, Progress: j.progress, Attempt: j.attempt,
			Job: p.Job, Session: r.session, Worker: j.worker,
		})
	}
}

// cut makes a text valid UTF-8 and shortens it to at most max bytes, at a rune's border.
func cut(s string, max int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > max {
		for max > 0 && !utf8.RuneStart(s[max]) {
			max--
		}
		s = s[:max]
	}
	return s
}
