package rest

import "time"

// Request is a submitted DAG of jobs.
type Request struct {
	ID             string    `json:"id"`
	Session        string    `json:"session"` // its id
	SessionName    string    `json:"session_name"`
	Name           string    `json:"name"`
	State          string    `json:"state"`            // running, done, failed or cancelled
	Pause          string    `json:"pause,omitempty"`  // paused or held while its jobs are kept from workers
	Reason         string    `json:"reason,omitempty"` // why it ended as it did, for people
	Jobs           uint32    `json:"jobs"`
	Counts         Counts    `json:"counts"`
	Progress       uint8     `json:"progress"` // 0–100: share of the jobs that have ended
	MaxRunning     uint32    `json:"max_running,omitempty"`
	OnFailure      string    `json:"on_failure"` // cancel or stop
	IdempotencyKey string    `json:"idempotency_key,omitempty"`
	Index          uint64    `json:"index"` // of the log entry that submitted it
	Created        time.Time `json:"created"`
	Ended          time.Time `json:"ended,omitzero"`
}

// Why the jobs of a [Request] are kept from workers.
const (
	Paused = "paused" // a person paused it
	Held   = "held"   // it was submitted on hold
)

// Over says whether the request has ended.
func (r Request) Over() bool { return r.State != StateRunning }

// Requests is a page of requests, newest first.
type Requests struct {
	Requests []Request `json:"requests"`
	Next     string    `json:"next,omitempty"` // "after" of the next page; empty: this is the last
}

// Retried answers POST /v1/requests/{id}/retry.
type Retried struct {
	Revived uint32  `json:"revived"` // jobs that were put to work again
	Request Request `json:"request"`
}

// Graph is the DAG of a request: GET /v1/requests/{id}/graph.
type Graph struct {
	Request string `json:"request"`
	Jobs    []Node `json:"jobs"`
	Next    string `json:"next,omitempty"` // "after" of the next page; empty: this is the last
}

// Node is one job of a [Graph].
type Node struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	State      string `json:"state"`
	Reason     string `json:"reason,omitempty"`
	Attempt    uint32 `json:"attempt"`
	WorkerName string `json:"worker_name,omitempty"` // of the one that holds or last held it
	Progress   uint8  `json:"progress"`
	Needs      []Need `json:"needs"`
	NeedsAny   []Need `json:"needs_any,omitempty"` // of which one is enough
}
