package history

import (
	"math"
	"sync"
	"time"
)

// Kind is a kind of operation.
type Kind string

// The kinds of operations. Reads are linearizable; stale ones are recorded by Recorder.Saw alone.
const (
	Submit  Kind = "submit"
	Read    Kind = "read"   // of a request
	Cancel  Kind = "cancel" // of a request
	Retry   Kind = "retry"  // of a request
	Pick    Kind = "pick"   // a grant arrived at its worker
	Start   Kind = "START"
	Done    Kind = "DONE"
	Failed  Kind = "FAILED"
	Return  Kind = "RETURN"
	ReadJob Kind = "read job"
)

// Code is how an operation was answered.
type Code string

// The answers.
const (
	OK       Code = "ok"
	Conflict Code = "conflict"
	NotFound Code = "not found"
	Stale    Code = "stale"   // the attempt is not the worker's to report on
	Fenced   Code = "fenced"  // the worker is not, or not any more, who it was; or this or Stale
	Unknown  Code = "unknown" // no answer, or one that does not tell
)

// Input is what was asked.
type Input struct {
	Kind    Kind
	Request string // its idempotency key; of what concerns a job, its id
	Job     string // its id; empty: the request as a whole
	Body    uint64 // of a submit
	Worker  string
	Attempt uint32
	Result  string // of DONE
}

// Output is what was answered.
type Output struct {
	Code    Code
	ID      string // of the request
	Repeat  bool   // of a submit: the key was known
	State   string // as read
	Ending  string // of a request that is running, as read: what it is about to be
	Attempt uint32 // as read
	Worker  string // as read; empty: not told
	Result  string // as read
}

// Never is the return time of an operation that nobody heard the end of.
const Never = math.MaxInt64

// Op is one operation: from Call to Return, in nanoseconds of the recorder's clock.
type Op struct {
	Client       string
	Call, Return int64
	Input        Input
	Output       Output
}

// Seen is a read's place in the log.
type Seen struct {
	Client       string
	Node         string // one life of one coordinator
	Call, Return int64
	Index        uint64
	Stale        bool
}

// Recorder takes operations down. Its methods may be called from any goroutine.
type Recorder struct {
	began time.Time

	mu    sync.Mutex // guards what is below
	last  int64
	ops   []*Op
	reads []Seen
}

// NewRecorder begins a history now.
func NewRecorder() *Recorder { return &Recorder{began: time.Now()} }

// Now is the recorder's clock. It never tells the same twice, so that what happens in one instant of virtual time keeps
// its order.
func (r *Recorder) Now() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = max(r.last+1, int64(time.Since(r.began)))
	return r.last
}

// Pending is an operation under way.
type Pending struct {
	r  *Recorder
	op *Op
}

// Begin notes a call.
func (r *Recorder) Begin(client string, in Input) Pending { return r.BeginAt(r.Now(), client, in) }

// BeginAt notes a call that was made earlier.
func (r *Recorder) BeginAt(call int64, client string, in Input) Pending {
	return Pending{r, &Op{Client: client, Call: call, Input: in}}
}

// Return notes its answer.
func (p Pending) Return(out Output) {
	p.op.Return, p.op.Output = p.r.Now(), out
	p.add()
}

// Unknown notes that there will be no answer, or none that tells whether it was done.
func (p Pending) Unknown() {
	switch p.op.Input.Kind {
	case Read, ReadJob:
		return // without an effect it tells nothing
	}
	p.op.Return, p.op.Output = Never, Output{Code: Unknown}
	p.add()
}

func (p Pending) add() {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.r.ops = append(p.r.ops, p.op)
}

// Saw notes the log index that a read showed.
func (r *Recorder) Saw(s Seen) {
	s.Return = r.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads = append(r.reads, s)
}

// Ops are the operations so far. An operation that was begun and not ended is not among them, so end each.
func (r *Recorder) Ops() []*Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Op(nil), r.ops...)
}

// Reads are the reads so far.
func (r *Recorder) Reads() []Seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Seen(nil), r.reads...)
}
