package fsm

import "time"

// State is where a job stands. DESIGN words: waiting, ready, delayed, picked, running, done, failed, cancelled.
type State uint8

// The states of a job. Done, Failed and Cancelled are terminal: only RetryRequest leads out of them.
const (
	Waiting   State = iota // on its needs
	Ready                  // on the board, or parked while its request runs max_running jobs
	Delayed                // not before a time: backoff or start_after
	Picked                 // granted to a worker, START not yet reported
	Running                // START was reported
	Done                   // ended well
	Failed                 // ended badly, no retry left
	Cancelled              // will not run; Reason tells why
	stateCount
)

var stateNames = [stateCount]string{"waiting", "ready", "delayed", "picked", "running", "done", "failed", "cancelled"}

func (s State) String() string {
	if s < stateCount {
		return stateNames[s]
	}
	return "unknown"
}

// Terminal says whether the job has ended.
func (s State) Terminal() bool { return s >= Done && s < stateCount }

// Assigned says whether a worker holds the job.
func (s State) Assigned() bool { return s == Picked || s == Running }

// ParseState reads a state's name.
func ParseState(name string) (State, bool) {
	for s, n := range stateNames {
		if n == name {
			return State(s), true
		}
	}
	return 0, false
}

// Reason tells why a job or an attempt ended, or why it left its worker.
type Reason uint8

// The reasons. Needs, Stopped, Unneeded and User belong to cancelled jobs.
const (
	NoReason      Reason = iota
	ReasonNeeds          // a need can no longer be met
	ReasonStop           // the request has on_failure: stop and another job failed
	ReasonUnmet          // a need with a condition other than done was not met: "unneeded"
	ReasonUser           // a person cancelled it
	ReasonError          // the runner reported FAILED
	ReasonTimeout        // it ran longer than its timeout
	ReasonLost           // its worker was lost
	ReasonReturn         // its worker handed it back unrun (drain)
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

// WorkKind is the kind of runner that a job wants.
type WorkKind uint8

// The kinds of work.
const (
	WorkCommand WorkKind = iota + 1 // Args is an argument vector
	WorkShell                       // Args[0] is a script for /bin/sh -c
	WorkHandler                     // Args[0] names a Go handler
)

// Pair is one entry of a sorted list that JSON shows as an object.
type Pair struct{ Key, Value string }

// Retry tells how often and when a failed attempt is repeated.
type Retry struct {
	Limit   uint32        // how many further attempts after a FAILED; 0: none
	Backoff time.Duration // before the first retry
	Factor  uint32        // each next delay is the last × Factor / 1000
	Max     time.Duration // no delay is longer; 0: no cap
	Never   []int32       // exit codes that are not retried
}

// JobSpec is what jobs of equal shape share. It is immutable once submitted.
type JobSpec struct {
	Kind       WorkKind
	Args       []string
	Env        []Pair // sorted by Key
	Dir        string
	Queue      string
	Labels     []Pair // sorted by Key; the worker must carry each
	Slots      uint32 // of the worker's; at least 1
	Priority   int8   // -100…100, higher first
	Timeout    time.Duration
	StartAfter time.Duration // after the needs are met
	StartAt    int64         // Unix nanoseconds; 0: none
	Retry      Retry
	LostLimit  uint32 // how many lost workers one job survives

	class string // its class on the board, see classKey. Derived.
}

// When is the condition under which a need is met.
type When uint8

// The conditions.
const (
	WhenDone   When = iota
	WhenFailed      // it failed, with no retry left. What was cancelled has not failed.
	WhenEnded       // it is done, failed or cancelled
	whenCount
)

// Need is one edge of the DAG: the job waits on the Job-th of its request.
type Need struct {
	Job  uint32
	When When
	Any  bool // of all needs of the job that say so, one is enough
}

// Pause tells whether a request's jobs are kept from workers.
type Pause uint8

// The ways of a request to be paused.
const (
	NotPaused Pause = iota
	Paused          // a person paused it
	Held            // it was submitted on hold, and nobody has resumed it yet
	pauseCount
)

var pauseNames = [pauseCount]string{"", "paused", "held"}

func (p Pause) String() string {
	if p < pauseCount {
		return pauseNames[p]
	}
	return "unknown"
}

// OnFailure tells what a failed job does to its request.
type OnFailure uint8

// The policies of a request.
const (
	CancelDependents OnFailure = iota // on_failure: cancel
	StopRequest                       // on_failure: stop
)
