package rest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// The states of a job; a request is running, done, failed or cancelled.
const (
	StateWaiting   = "waiting"
	StateReady     = "ready"
	StateDelayed   = "delayed"
	StatePicked    = "picked"
	StateRunning   = "running"
	StateDone      = "done"
	StateFailed    = "failed"
	StateCancelled = "cancelled"
)

// Base64 is the Job.ResultEncoding of a result that is not text.
const Base64 = "base64"

// Job is one job of a request.
type Job struct {
	ID             string  `json:"id"`
	Request        string  `json:"request"` // its id
	Name           string  `json:"name"`
	Index          *uint32 `json:"index,omitempty"` // in its array; absent: not of an array
	State          string  `json:"state"`
	Reason         string  `json:"reason,omitempty"` // needs, stopped, unneeded, user, error, timeout, lost, returned
	Attempt        uint32  `json:"attempt"`          // 0: never picked
	Retries        uint32  `json:"retries"`          // spent on FAILED
	Lost           uint32  `json:"lost"`             // spent on lost workers
	Worker         string  `json:"worker,omitempty"` // id of the one that holds or last held it
	WorkerName     string  `json:"worker_name,omitempty"`
	Progress       uint8   `json:"progress"` // 0–100
	ProgressText   string  `json:"progress_text,omitempty"`
	Needs          []Need  `json:"needs"`
	NeedsAny       []Need  `json:"needs_any,omitempty"` // of which one is enough
	Payload        Raw     `json:"payload,omitzero"`
	Result         Raw     `json:"result,omitzero"`           // JSON as it is; text and, with ResultEncoding, other bytes as a string
	ResultEncoding string  `json:"result_encoding,omitempty"` // base64, or absent
	Error          string  `json:"error,omitempty"`
	ExitCode       *int32  `json:"exit_code,omitempty"` // of its process, once it ended; absent when it had none
	Cause          *JobRef `json:"cause,omitempty"`     // the job because of which it was cancelled
	Spec           Work    `json:"spec"`
	Times          Times   `json:"times"`
}

// ResultBytes is the result as the job wrote it.
func (j Job) ResultBytes() ([]byte, error) {
	if j.ResultEncoding == "" {
		return j.Result, nil
	}
	if j.ResultEncoding != Base64 {
		return nil, fmt.Errorf("result of job %s has the unknown encoding %q", j.ID, j.ResultEncoding)
	}
	var text string
	if err := json.Unmarshal(j.Result, &text); err != nil {
		return nil, fmt.Errorf("result of job %s: %w", j.ID, err)
	}
	return base64.StdEncoding.DecodeString(text)
}

// EncodeResult is how a result is shown: JSON as it is, text as a JSON string, other bytes as a base64 string.
func EncodeResult(b []byte, isJSON bool) (value Raw, encoding string) {
	switch {
	case len(b) == 0:
		return nil, ""
	case isJSON:
		return Raw(b), ""
	case utf8.Valid(b):
		return jsonString(string(b)), ""
	}
	return jsonString(base64.StdEncoding.EncodeToString(b)), Base64
}

func jsonString(s string) Raw {
	b, _ := json.Marshal(s) // a string always marshals
	return b
}

// JobRef names a job.
type JobRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Times are when a job came to where it is; those of earlier attempts are in its history.
type Times struct {
	Submitted time.Time `json:"submitted"`
	Ready     time.Time `json:"ready,omitzero"`
	Picked    time.Time `json:"picked,omitzero"`
	Started   time.Time `json:"started,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	NotBefore time.Time `json:"not_before,omitzero"` // while it is delayed
}

// Jobs is a page of jobs in their order.
type Jobs struct {
	Jobs []Job  `json:"jobs"`
	Next string `json:"next,omitempty"` // "after" of the next page; empty: this is the last
}

// History is what happened to a job: GET /v1/jobs/{id}/history.
type History struct {
	Job   string `json:"job"`
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
}

// Step is one entry of a [History].
type Step struct {
	Index    uint64    `json:"index"` // of the log entry
	Time     time.Time `json:"time"`
	State    string    `json:"state"`
	Attempt  uint32    `json:"attempt"`
	Worker   string    `json:"worker,omitempty"` // id
	Reason   string    `json:"reason,omitempty"`
	Progress uint8     `json:"progress"`
	Error    string    `json:"error,omitempty"`
	ExitCode *int32    `json:"exit_code,omitempty"`
}
