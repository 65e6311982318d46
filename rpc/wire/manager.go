package wire

import "time"

// State is where a job stands. Requests use Running, Done, Failed and Cancelled.
type State uint8

// The states.
const (
	Waiting State = iota
	Ready
	Delayed
	Picked
	Running
	Done
	Failed
	Cancelled
	stateCount
)

var stateNames = [stateCount]string{"waiting", "ready", "delayed", "picked", "running", "done", "failed", "cancelled"}

func (s State) String() string {
	if s < stateCount {
		return stateNames[s]
	}
	return "unknown"
}

// Terminal says whether the job or request has ended.
func (s State) Terminal() bool { return s >= Done && s < stateCount }

// Reason tells why a job or attempt ended, or why it left its worker.
type Reason uint8

// The reasons.
const (
	NoReason      Reason = iota
	ReasonNeeds          // a need can no longer be met
	ReasonStop           // on_failure: stop, and another job failed
	ReasonUnmet          // a conditional need was not met
	ReasonUser           // a person cancelled it
	ReasonError          // the runner reported FAILED
	ReasonTimeout        // it ran longer than its timeout
	ReasonLost           // its worker was lost
	ReasonReturn         // its worker handed it back
	ReasonRestore        // a saved state took the place of the one in which a worker held it
	reasonCount
)

var reasonNames = [reasonCount]string{"", "needs", "stopped", "unneeded", "user", "error", "timeout", "lost", "returned", "restored"}

func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return "unknown"
}

// OnFailure tells what a failed job does to its request, with Hold or without.
type OnFailure uint8

// The policies.
const (
	CancelDependents OnFailure = iota
	StopRequest
)

// Hold beside one of the policies of a request that is submitted says that nothing of it is granted before it is resumed. It is
// there, and not a field of its own, so that a coordinator which does not know it refuses the request.
const Hold OnFailure = 4

// Held says whether the request is submitted on hold.
func (p OnFailure) Held() bool { return p&Hold != 0 }

// Policy is p without Hold.
func (p OnFailure) Policy() OnFailure { return p &^ Hold }

// WorkKind is the kind of runner that a job wants.
type WorkKind uint8

// The kinds of work.
const (
	WorkCommand WorkKind = iota + 1 // Args is an argument vector
	WorkShell                       // Args[0] is a script for /bin/sh -c
	WorkHandler                     // Args[0] names a Go handler
)

// When is the condition under which a need is met, with WhenAny or without.
type When uint8

// The conditions.
const (
	WhenDone   When = iota
	WhenFailed      // it failed, with no retry left
	WhenEnded       // it is done, failed or cancelled
	whenCount
)

// WhenAny beside one of the conditions says that of all needs of the job that say so, one is enough.
const WhenAny When = 4

// Any says whether a need is one of those of which one is enough.
func (w When) Any() bool { return w&WhenAny != 0 }

// Condition is w without WhenAny.
func (w When) Condition() When { return w &^ WhenAny }

// Pair is one entry of a sorted list that stands for a map.
type Pair struct{ Key, Value string }

// Retry tells how often and when a failed attempt is repeated.
type Retry struct {
	Limit   uint32        // further attempts after a FAILED
	Backoff time.Duration // before the first retry
	Factor  uint32        // each next delay is the last × Factor / 1000
	Max     time.Duration // no delay is longer; 0: no cap
	Never   []int32       // exit codes that are not retried
}

// Spec is what jobs of equal shape share.
type Spec struct {
	Kind       WorkKind
	Args       []string
	Env        []Pair // sorted by Key
	Dir        string
	Queue      string
	Labels     []Pair // sorted by Key; the worker must carry each
	Slots      uint32
	Priority   int8 // -100…100, higher first
	Timeout    time.Duration
	StartAfter time.Duration // after its needs are met
	StartAt    time.Time     // zero: none
	Retry      Retry
	LostLimit  uint32 // lost workers that one job survives
}

// Need is one edge of the DAG, to the Job-th of the same request.
type Need struct {
	Job  uint32
	When When
}

// OpenSession opens a session, or finds the open one of that name.
type OpenSession struct{ Name string }

// SessionOpened answers OpenSession.
type SessionOpened struct {
	ID      SessionID
	Created bool
}

// CloseSession refuses further requests to a session.
type CloseSession struct{ ID SessionID }

// Submit hands in a request in canonical form; Canonical makes it from a RequestSpec.
type Submit struct {
	Session    string // name; opened if absent
	Name       string
	Key        string // idempotency key
	Body       uint64 // Digest of the rest
	MaxRunning uint32 // 0: no limit
	OnFailure  OnFailure
	Specs      []Spec
	Jobs       []SubmitJob
}

// SubmitJob is one job of a Submit.
type SubmitJob struct {
	Name    string
	Spec    uint32 // index into Specs
	Payload []byte // JSON, or nil
	Needs   []Need
}

// Submitted answers Submit.
type Submitted struct {
	ID      RequestID
	Session SessionID
	Jobs    uint32
	State   State
	Repeat  bool // the idempotency key was known: this is the first answer
}

// Cancel cancels a request.
type Cancel struct{ ID RequestID }

// Pause keeps the jobs of a request from workers, those aside that they hold, or, undone, no longer.
type Pause struct {
	ID   RequestID
	Undo bool
}

// RetryRequest puts the failed jobs of an ended request to work again.
type RetryRequest struct{ ID RequestID }

// Retried answers RetryRequest.
type Retried struct{ Jobs uint32 }

// GetRequest asks for a request.
type GetRequest struct{ ID RequestID }

// Wait asks for a request once it has ended. The answer comes after Max at the latest, then with a State that is not
// terminal.
type Wait struct {
	ID  RequestID
	Max time.Duration
}

// RequestInfo describes a request.
type RequestInfo struct {
	ID          RequestID
	Session     SessionID
	SessionName string
	Name        string
	Key         string
	State       State
	MaxRunning  uint32
	OnFailure   OnFailure
	Jobs        uint32
	Counts      Counts
	Index       uint64 // of the log entry that submitted it
	Created     time.Time
	Ended       time.Time // zero while it runs
}

// Counts is a number of jobs for each State.
type Counts [stateCount]uint64

// ListJobs asks for jobs of a request in their order.
type ListJobs struct {
	Request  RequestID
	State    State // matched when HasState
	HasState bool
	Skip     uint32 // jobs of a lower index are passed over: 0, or the last page's Next
	Limit    uint32 // at most PageMax; 0: as many as fit a page
}

// JobsPage answers ListJobs.
type JobsPage struct {
	Jobs []JobInfo
	Next uint32 // Skip of the next page, when More
	More bool
}

// GetJob asks for a job.
type GetJob struct{ ID JobID }

// Times are when a job came to where it is. Zero: not yet.
type Times struct {
	Submitted, Ready, Picked, Started, Ended time.Time
	NotBefore                                time.Time // while Delayed
}

// JobInfo describes a job.
type JobInfo struct {
	ID           JobID
	Name         string
	Spec         Spec
	Payload      []byte
	Needs        []Need
	State        State
	Reason       Reason
	Attempt      uint32
	Retries      uint32
	Lost         uint32
	Worker       WorkerID
	WorkerName   string
	Progress     uint8
	ProgressText string
	Result       []byte
	ResultJSON   bool
	Error        string
	ExitCode     int32
	Cause        uint32 // index of the job because of which it was cancelled; NoJob: none
	Times        Times
}

// Drain stops (or, undone, allows again) further grants to a worker.
type Drain struct {
	Worker WorkerID
	Undo   bool
}

// GetStatus asks a coordinator, leader or not, how it and the cluster are.
type GetStatus struct{}

// Status answers GetStatus.
type Status struct {
	Cluster   string
	ClusterID string // empty when the cluster has none yet
	Version   string // of the program
	NodeID    string
	NodeName  string
	Leader    Leader
	RaftState string
	Term      uint64
	Applied   uint64
	Committed uint64
	LastLog   uint64
	StateHash uint64 // at HashIndex
	HashIndex uint64
	Tolerates uint32 // coordinators that may still fail
	Healthy   bool
	Problem   string // empty when healthy
	Servers   []Server
}

// Server is one coordinator of a Status.
type Server struct {
	ID, Name, RPC, HTTP  string
	Voter, Leader, Alive bool
	LastContact          time.Duration
	Applied              uint64 // 0: unknown
}
