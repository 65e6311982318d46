package rest

// RequestSpec is what a Manager submits: POST /v1/requests, or a file for muster submit.
type RequestSpec struct {
	Name       string    `json:"name,omitempty" yaml:"name,omitempty"`               // shown to people
	Session    string    `json:"session,omitempty" yaml:"session,omitempty"`         // session name, opened if absent; empty: "default"
	MaxRunning uint32    `json:"max_running,omitempty" yaml:"max_running,omitempty"` // jobs of this request picked or running at once; 0: no limit
	OnFailure  string    `json:"on_failure,omitempty" yaml:"on_failure,omitempty"`   // cancel (dependents only, the default) or stop (the whole request)
	Hold       bool      `json:"hold,omitempty" yaml:"hold,omitempty"`               // nothing of it is granted before it is resumed
	Jobs       []JobSpec `json:"jobs" yaml:"jobs"`
}

// JobSpec is one job of a [RequestSpec].
type JobSpec struct {
	Name     string  `json:"name" yaml:"name"`                               // unique in its request
	Array    *uint32 `json:"array,omitempty" yaml:"array,omitempty"`         // instances; nil: not an array
	Needs    []Need  `json:"needs,omitempty" yaml:"needs,omitempty"`         // all of them must be met
	NeedsAny []Need  `json:"needs_any,omitempty" yaml:"needs_any,omitempty"` // one of them is enough
	Payload  Raw     `json:"payload,omitempty" yaml:"payload,omitempty"`     // any JSON; the job finds it in its input
	Work     `yaml:",inline"`
}

// Work says what a job does and where and when it may run. Exactly one of Command, Shell and Handler is set.
type Work struct {
	Command    []string          `json:"command,omitempty" yaml:"command,omitempty"` // an argument vector
	Shell      string            `json:"shell,omitempty" yaml:"shell,omitempty"`     // a script for /bin/sh -c
	Handler    string            `json:"handler,omitempty" yaml:"handler,omitempty"` // the name of a Go handler
	Env        map[string]string `json:"env,omitempty" yaml:"env,omitempty"`
	Dir        string            `json:"dir,omitempty" yaml:"dir,omitempty"`
	Queue      string            `json:"queue,omitempty" yaml:"queue,omitempty"`       // empty: "default"
	Labels     map[string]string `json:"labels,omitempty" yaml:"labels,omitempty"`     // the worker must carry each
	Slots      uint32            `json:"slots,omitempty" yaml:"slots,omitempty"`       // of the worker's; 0: 1
	Priority   int               `json:"priority,omitempty" yaml:"priority,omitempty"` // -100…100, higher first
	Timeout    Duration          `json:"timeout,omitzero" yaml:"timeout,omitempty"`    // 0: none
	StartAfter StartAfter        `json:"start_after,omitzero" yaml:"start_after,omitempty"`
	Retry      *Retry            `json:"retry,omitempty" yaml:"retry,omitempty"`           // nil: no retry
	LostLimit  *uint32           `json:"lost_limit,omitempty" yaml:"lost_limit,omitempty"` // lost workers it may survive; nil: 5
}

// Retry tells how often and when a failed attempt is repeated. Nil fields take the defaults named beside them.
type Retry struct {
	Limit   uint32    `json:"limit" yaml:"limit"`                          // further attempts after a FAILED
	Backoff *Duration `json:"backoff,omitempty" yaml:"backoff,omitempty"`  // before the first of them; nil: 1s
	Factor  *float64  `json:"factor,omitempty" yaml:"factor,omitempty"`    // each next delay is the last × factor; nil: 2
	Max     *Duration `json:"max,omitempty" yaml:"max,omitempty"`          // no delay is longer; nil: 1m; 0s: no cap
	Never   []int32   `json:"never,omitempty" yaml:"never,omitempty,flow"` // exit codes that are not retried
}

// Submitted answers POST /v1/requests.
type Submitted struct {
	ID      string `json:"id"`
	Session string `json:"session"` // its id
	Jobs    uint32 `json:"jobs"`
	State   string `json:"state"`            // of the request as it is now
	Repeat  bool   `json:"repeat,omitempty"` // the idempotency key was known: this is the first answer again
}
