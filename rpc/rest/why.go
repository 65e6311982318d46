package rest

import "time"

// Why is what a job waits for, or why it ended as it did: GET /v1/jobs/{id}/why.
type Why struct {
	Job     string `json:"job"` // id
	Name    string `json:"name"`
	Request string `json:"request"` // id
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	// Causes are those of now, then what became of earlier attempts, oldest first.
	Causes []Cause `json:"causes"`
}

// The kinds of a [Cause]. They are stable: programs may rely on them.
const (
	CauseNeeds      = "needs"       // jobs are not yet as it needs them
	CauseNeedsAny   = "needs_any"   // none of jobs is yet as it needs one of them
	CauseSettling   = "settling"    // its needs are met, and its large request is being worked off
	CauseEnding     = "ending"      // its request is about to end as state
	CausePaused     = "paused"      // a person paused its request
	CauseHeld       = "held"        // its request was submitted on hold
	CauseBackoff    = "backoff"     // not before until, after a failed attempt
	CauseStartAfter = "start_after" // not before until, as it was submitted
	CauseMaxRunning = "max_running" // its request runs limit jobs already
	CauseNoWorker   = "no_worker"   // no worker can run it; workers has the one that lacks least, if any
	CauseDrained    = "drained"     // workers could run it and are drained
	CauseNoSlots    = "no_slots"    // workers could run it and have too few slots free
	CauseNotAsking  = "not_asking"  // workers could run it and do not ask for jobs
	CauseQueue      = "queue"       // count ready jobs like it come first
	CausePicked     = "picked"      // a worker was given it and has not reported START
	CauseRunning    = "running"     // a worker runs it
	CauseDone       = "done"
	CauseFailed     = "failed"    // with reason error, timeout or lost
	CauseCancelled  = "cancelled" // with reason needs, stopped, unneeded or user; jobs leads to the cause, nearest first
	CauseMoved      = "moved"     // an attempt left its worker without an end, with reason lost, returned or restored
	CauseRetried    = "retried"   // an attempt failed, and the job was tried again
	CauseRevived    = "revived"   // the job had ended, and a person had its request retried
)

// Cause is one reason why a job is where it is. Which fields it has depends on its kind.
type Cause struct {
	Kind     string        `json:"kind"`
	Text     string        `json:"text"` // for people
	Jobs     []CauseJob    `json:"jobs,omitempty"`
	Workers  []CauseWorker `json:"workers,omitempty"`
	Left     uint32        `json:"left,omitempty"`     // further jobs or workers that are not listed
	Limit    uint32        `json:"limit,omitempty"`    // of max_running; of failed: how many retries, or lost workers, it may spend
	Count    uint32        `json:"count,omitempty"`    // of max_running: jobs that run; of queue: jobs before it; of failed: retries, or lost workers, spent
	AtLeast  bool          `json:"at_least,omitempty"` // count is only as far as was looked
	State    string        `json:"state,omitempty"`    // of ending: how; of moved, retried and revived: what the job went into then
	Reason   string        `json:"reason,omitempty"`
	Attempt  uint32        `json:"attempt,omitempty"`
	Error    string        `json:"error,omitempty"`
	ExitCode *int32        `json:"exit_code,omitempty"`
	At       time.Time     `json:"at,omitzero"`    // since when, or when that was
	Until    time.Time     `json:"until,omitzero"` // not before
}

// CauseJob is a job that a [Cause] names.
type CauseJob struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	When   string `json:"when,omitempty"` // of needs and needs_any: done, failed or ended
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
	Worker string `json:"worker,omitempty"` // id of the one that holds it
}

// CauseWorker is a worker that a [Cause] names.
type CauseWorker struct {
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"` // empty: it is forgotten
	State string `json:"state"`          // alive, lost or draining
	Slots uint32 `json:"slots,omitempty"`
	Used  uint32 `json:"used,omitempty"` // slots of what it holds
	Lacks []Lack `json:"lacks,omitempty"`
}

// What a worker may lack.
const (
	LackAlive = "alive" // it is lost or has left
	LackQueue = "queue"
	LackLabel = "label"
	LackSlots = "slots"
)

// Lack is one thing for which a worker cannot run a job.
type Lack struct {
	What string `json:"what"`          // alive, queue, label or slots
	Key  string `json:"key,omitempty"` // of the label
	Want string `json:"want,omitempty"`
	Has  string `json:"has,omitempty"`
}
