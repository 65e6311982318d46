package rest

import "time"

// States of a worker.
const (
	WorkerAlive    = "alive"
	WorkerLost     = "lost" // declared lost, or has left
	WorkerDraining = "draining"
)

// Worker describes a worker.
type Worker struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Queues  []string          `json:"queues"`
	Labels  map[string]string `json:"labels"`
	Slots   uint32            `json:"slots"`
	Used    uint32            `json:"used"`    // slots of what it holds
	Running uint32            `json:"running"` // jobs it holds
	State   string            `json:"state"`   // alive, lost or draining
	Joined  time.Time         `json:"joined"`
	// LastBeat is when it was last heard; absent when this leader has not heard it yet, or another node is asked.
	LastBeat time.Time `json:"last_beat,omitzero"`
}

// Workers lists the workers.
type Workers struct {
	Workers []Worker `json:"workers"`
	Next    string   `json:"next,omitempty"` // "after" of the next page; empty: this is the last
}

// WorkerJoin registers a worker in any language: POST /v1/workers.
type WorkerJoin struct {
	Name   string            `json:"name"`
	Queues []string          `json:"queues,omitempty"` // empty: ["default"]
	Labels map[string]string `json:"labels,omitempty"`
	Slots  uint32            `json:"slots,omitempty"` // 0: 1
}

// WorkerJoined answers [WorkerJoin].
type WorkerJoined struct {
	ID  string   `json:"id"`
	TTL Duration `json:"ttl"` // unheard for that long it is lost: call pick or alive every TTL/5
}

// Attempt is the n-th run of a job: the fencing token of everything that a worker says.
type Attempt struct {
	ID      string `json:"id"` // of the job
	Attempt uint32 `json:"attempt"`
}

// Pick asks for jobs: POST /v1/board/pick, a long poll.
type Pick struct {
	Worker string   `json:"worker"`        // id
	Max    uint32   `json:"max,omitempty"` // slots' worth of jobs; 0: 1
	Wait   Duration `json:"wait,omitzero"` // for the first of them, at most 60s; 0: do not wait
	// Running is what the worker holds. When it is given, what the cluster granted earlier but is not in it (an answer
	// that got lost) is handed out again; without it only new grants are.
	Running []Attempt `json:"running,omitempty"`
}

// Picked answers [Pick].
type Picked struct {
	Jobs []Assignment `json:"jobs"` // none when the wait is over
}

// Assignment is a job that is now the worker's, as that attempt, with all it needs to run it.
type Assignment struct {
	ID      string            `json:"id"`
	Attempt uint32            `json:"attempt"`
	Name    string            `json:"name"`
	Request string            `json:"request"` // its id
	Session string            `json:"session"` // its id
	Spec    Work              `json:"spec"`
	Payload Raw               `json:"payload,omitzero"`
	Parents map[string]Parent `json:"parents"` // results of the jobs it needs, by name
	// ParentsLeftOut counts those whose results are too large together: read them from the request's jobs.
	ParentsLeftOut uint32 `json:"parents_left_out,omitempty"`
}

// Parent is the result of a job that another one needs: its JSON as it is, text or base64 as a string.
type Parent = Raw

// Alive is a worker's beat: POST /v1/board/alive.
type Alive struct {
	Worker  string    `json:"worker"` // id
	Running []Attempt `json:"running,omitempty"`
}

// AliveAnswer tells a worker what to put right.
type AliveAnswer struct {
	Stop    []Attempt    `json:"stop"`    // no longer its own: stop running them
	Missing []Assignment `json:"missing"` // its own, but not in what it said: run them
}

// What a worker says of an attempt.
const (
	ReportStart  = "START"
	ReportDone   = "DONE"
	ReportFailed = "FAILED"
	ReportReturn = "RETURN" // not run, or stopped by a drain: back on the board
)

// Report is a worker's word on an attempt: POST /v1/jobs/{id}/state. It carries a State, or Progress, or both.
type Report struct {
	Worker       string `json:"worker"` // id
	Attempt      uint32 `json:"attempt"`
	State        string `json:"state,omitempty"`         // START, DONE, FAILED or RETURN
	Progress     *uint8 `json:"progress,omitempty"`      // 0–100
	ProgressText string `json:"progress_text,omitempty"` // for people
	Result       Raw    `json:"result,omitempty"`        // DONE: any JSON
	Error        string `json:"error,omitempty"`         // FAILED: for people
	ExitCode     *int32 `json:"exit_code,omitempty"`     // FAILED: of a process; absent: it had none
	Retry        *bool  `json:"retry,omitempty"`         // FAILED: false means that it must not be retried
}

// Reported answers [Report].
type Reported struct {
	Job     string `json:"job"`
	Attempt uint32 `json:"attempt"`
	State   string `json:"state"` // of the job as it is now
}
