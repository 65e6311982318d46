package rest

import "time"

// The names of events on GET /v1/events.
const (
	EventJob      = "job"
	EventProgress = "progress"
	EventRequest  = "request"
	EventWorker   = "worker"
	// EventReset says that events were left out: re-read what you keep, then go on with what follows.
	EventReset = "reset"
)

// Event is one thing that happened. Its index is that of the log entry, and its id on the stream; all events of one
// entry follow each other. A stream resumes after an index; whoever may have lost its connection within an entry resumes
// before it, as [Client.Watch] does.
type Event struct {
	Type        string    `json:"type"` // job, progress, request, worker or reset
	Index       uint64    `json:"index"`
	Time        time.Time `json:"time,omitzero"`
	State       string    `json:"state,omitempty"` // of the job, the request or the worker
	Reason      string    `json:"reason,omitempty"`
	Pause       string    `json:"pause,omitempty"` // of the request as it is now: paused or held
	Job         string    `json:"job,omitempty"`   // id
	JobName     string    `json:"job_name,omitempty"`
	Request     string    `json:"request,omitempty"` // id
	RequestName string    `json:"request_name,omitempty"`
	Session     string    `json:"session,omitempty"` // id
	SessionName string    `json:"session_name,omitempty"`
	Attempt     uint32    `json:"attempt,omitempty"`
	Worker      string    `json:"worker,omitempty"` // id
	WorkerName  string    `json:"worker_name,omitempty"`
	Progress    uint8     `json:"progress,omitempty"`
}
