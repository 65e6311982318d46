package fsm

import (
	"fmt"
	"time"
)

// timeoutGrace is how long after a job's timeout the state machine waits for the worker's own word on it.
const timeoutGrace = 2 * time.Second

// goneWorkerKeep is how long a worker that was lost or has left stays listed.
const goneWorkerKeep = time.Hour

// Machine is the replicated state machine. The zero value is not usable: see New.
type Machine struct {
	db         SessionsDB
	dispatcher JobDispatcher
	board      JobBoard
	workers    Workers
	due        deadlines

	limits      Limits
	nextSession SessionID
	nextRequest RequestID
	nextWorker  WorkerID
	nextOrder   uint64      // of the board
	turn        WorkerID    // the worker after which the next match begins
	queue       []RequestID // those with tasks, in turn. It may name some that have none any more.
	incoming    *incoming   // a saved state that comes to take this one's place; nil: none

	best   []ticket // scratch of admitHeld
	doomed []uint32 // scratch of doom
	purse  int      // what this entry may still cost, see afford

	index  uint64 // of the last entry applied
	now    int64  // Unix nanoseconds; never goes back
	term   uint64 // of the entry being applied
	events []Event
	jumped bool // a saved state has taken the place of the one before
}

// New makes the state of a new cluster.
func New() *Machine {
	return &Machine{
		db: SessionsDB{gen: 1}, workers: Workers{gen: 1}, due: newDeadlines(), limits: DefaultLimits(),
		nextSession: 1, nextRequest: 1, nextWorker: 1, nextOrder: 1,
	}
}

// Index is that of the last entry applied.
func (m *Machine) Index() uint64 { return m.index }

// Now is the time of the last entry, in Unix nanoseconds.
func (m *Machine) Now() int64 { return m.now }

// Events is what the last Apply brought about, valid until the next.
func (m *Machine) Events() []Event { return m.events }

// Jumped says whether the last Apply put a saved state in the place of the one before: then Events do not tell the whole.
func (m *Machine) Jumped() bool { return m.jumped }

// NextDeadline is when a Tick will next have something to do.
func (m *Machine) NextDeadline() (at int64, ok bool) {
	if m.Busy() {
		return m.now, true
	}
	at, ok = m.due.next(m.limits)
	if expires, some := m.nextUpload(); some && (!ok || expires < at) {
		at, ok = expires, true
	}
	if expires, some := m.incomingDue(); some && (!ok || expires < at) {
		at, ok = expires, true
	}
	return at, ok
}

// Busy says whether something is left to be done that was too much for the entry that brought it about. Each entry goes
// on with it, whatever it carries.
func (m *Machine) Busy() bool { return len(m.queue) > 0 }

// Counts is the number of jobs kept, by state.
func (m *Machine) Counts() Counts { return m.db.counts }

// Hash is a sum over the whole state: equal states have equal hashes whichever way they came about.
func (m *Machine) Hash() uint64 {
	h := newHasher(hashMachine)
	h.word(m.db.sum)
	h.word(m.workers.sum)
	h.word(uint64(m.nextSession))
	h.word(uint64(m.nextRequest))
	h.word(uint64(m.nextWorker))
	h.word(m.nextOrder)
	h.word(uint64(m.turn))
	h.word(uint64(m.now))
	h.limits(m.limits)
	for _, id := range m.queue {
		h.word(uint64(id))
	}
	if m.incoming != nil {
		h.word(m.incoming.sum())
	}
	return uint64(h)
}

// Skip notes an entry of the log that carries no commands.
func (m *Machine) Skip(index uint64) {
	m.index = index
	m.events, m.jumped = m.events[:0], false
}

// Apply applies the entry at index, which was proposed in term. It answers each command in turn: a refused one has
// changed nothing.
//
// An error means that the entry cannot be understood: bytes that no version wrote, or a command of a newer version.
// The state is then unchanged, and the caller must stop rather than go on without it.
func (m *Machine) Apply(index, term uint64, entry []byte) ([]Answer, error) {
	now, commands, err := decodeEntry(entry)
	if err != nil {
		return nil, fmt.Errorf("log entry %d: %w", index, err)
	}
	m.index, m.term = index, term
	m.now = max(m.now, now)
	m.events, m.jumped = m.events[:0], false
	m.purse = m.stepsOfEntry()
	m.dropUploads()
	m.dropIncoming()
	answers := make([]Answer, len(commands))
	for i, c := range commands {
		answers[i] = m.apply(c)
	}
	m.advance()
	m.match()
	m.retain()
	m.db.settle()
	return answers, nil
}

func (m *Machine) apply(c Command) (a Answer) {
	switch c := c.(type) {
	case *SubmitRequest:
		a.Value, a.Refusal = m.submitRequest(c)
	case *JobStates:
		a.Value, a.Refusal = m.jobStates(c)
	case *PickJobs:
		a.Value, a.Refusal = m.pickJobs(c)
	case *Progress:
		m.progress(c)
	case *Tick:
		a.Value, a.Refusal = m.tick(c)
	case *OpenSession:
		a.Value, a.Refusal = m.openSession(c)
	case *CloseSession:
		a.Refusal = m.closeSession(c)
	case *CancelRequest:
		a.Refusal = m.cancelRequest(c)
	case *PauseRequest:
		a.Refusal = m.pauseRequest(c)
	case *ResumeRequest:
		a.Refusal = m.resumeRequest(c)
	case *RetryRequest:
		a.Value, a.Refusal = m.retryRequest(c)
	case *JoinWorker:
		a.Value, a.Refusal = m.joinWorker(c)
	case *LeaveWorker:
		a.Refusal = m.leaveWorker(c)
	case *DrainWorker:
		a.Refusal = m.drainWorker(c)
	case *ReassignWorker:
		a.Value, a.Refusal = m.reassignWorker(c)
	case *SetLimits:
		a.Refusal = m.setLimits(c)
	case *BeginSubmit:
		a.Value, a.Refusal = m.beginSubmit(c)
	case *SubmitPart:
		a.Refusal = m.submitPart(c)
	case *CommitSubmit:
		a.Value, a.Refusal = m.commitSubmit(c)
	case *DropSubmit:
		m.dropSubmit(c)
	case *BeginRestore:
		a.Refusal = m.beginRestore(c)
	case *RestorePart:
		a.Refusal = m.restorePart(c)
	case *CommitRestore:
		a.Value, a.Refusal = m.commitRestore(c)
	case *DropRestore:
		m.dropRestore(c)
	}
	if a.Refusal != nil {
		a.Value = nil
	}
	return a
}

func (m *Machine) stamp() stamp { return stamp{m.index, m.now} }

func (m *Machine) emit(e Event) {
	e.Index, e.Now = m.index, m.now
	m.events = append(m.events, e)
}

func (m *Machine) emitJob(r *request, i uint32, j *job) {
	m.emit(Event{
		Kind: EventJob, State: j.state, Reason: j.reason, Progress: j.progress, Attempt: j.attempt,
		Job: JobID{r.id, i}, Session: r.session, Worker: j.worker,
	})
}

func (m *Machine) emitRequest(r *request) {
	m.emit(Event{Kind: EventRequest, State: r.state, Job: JobID{r.id, NoJob}, Session: r.session})
}

func (m *Machine) emitWorker(w *worker) { m.emit(Event{Kind: EventWorker, Worker: w.id}) }

func (m *Machine) setLimits(c *SetLimits) *Refusal {
	l := c.Limits
	if l.Jobs == 0 || l.Needs == 0 || l.Edges == 0 || l.Sessions == 0 || l.Workers == 0 || l.LiveJobs == 0 ||
		l.PayloadBytes == 0 || l.ResultBytes == 0 || l.TextBytes == 0 || l.KeepFor <= 0 || l.KeepRequests == 0 ||
		l.KeepJobs == 0 || l.KeepKeys <= 0 || l.Keys == 0 || l.SpecBytes == 0 {
		return refuse(CodeInvalid, "every limit must be above zero")
	}
	l = l.since(m.limits)
	if l.Steps == 0 || l.Uploads == 0 || l.UploadBytes == 0 || l.UploadFor <= 0 {
		return refuse(CodeInvalid, "every limit must be above zero")
	}
	m.limits = l
	return nil
}
