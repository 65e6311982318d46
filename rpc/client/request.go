package client

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/musterhq/muster/rpc/wire"
)

// Request is what Submit hands in.
type Request struct {
	Name           string
	Session        string // opened if absent; empty: "default"
	MaxRunning     uint32 // jobs at once; 0: no limit
	StopOnFailure  bool   // a failed job stops the whole request, not only what depends on it
	Hold           bool   // nothing of it is granted before Resume
	IdempotencyKey string // the same key answers the same request; empty: a random one for each Submit
	Jobs           []Job
}

// Job is one job of a Request. Exactly one of Command, Shell and Handler is set.
type Job struct {
	Name       string
	Command    []string             // an argument vector
	Shell      string               // a script for /bin/sh -c
	Handler    string               // the name of a Go handler
	Payload    any                  // sent as JSON; a json.RawMessage as it is; nil: none
	Needs      []string             // names of jobs that must be done before
	NeedsAny   []string             // names of jobs of which one must be done before
	When       map[string]wire.When // conditions other than done of jobs in Needs and NeedsAny, by name
	Env        map[string]string
	Dir        string
	Queue      string            // empty: "default"
	Labels     map[string]string // that the worker must carry
	Slots      uint32            // 0: 1
	Priority   int               // -100…100, higher first
	Timeout    time.Duration     // 0: none
	StartAfter time.Duration     // after its needs are met
	StartAt    time.Time
	Retry      wire.Retry
	LostLimit  int // lost workers that it survives; 0: wire.DefaultLostLimit; negative: none
}

// spec turns r into what wire.Canonical takes.
func (r *Request) spec() (*wire.RequestSpec, error) {
	spec := &wire.RequestSpec{
		Name: r.Name, Session: r.Session, MaxRunning: r.MaxRunning, Jobs: make([]wire.JobDef, len(r.Jobs)),
	}
	if r.StopOnFailure {
		spec.OnFailure = wire.StopRequest
	}
	if r.Hold {
		spec.OnFailure |= wire.Hold
	}
	for i := range r.Jobs {
		if err := r.Jobs[i].def(&spec.Jobs[i]); err != nil {
			err.Position, err.Job = i, r.Jobs[i].Name
			return nil, err
		}
	}
	return spec, nil
}

func (j *Job) def(def *wire.JobDef) *wire.SpecError {
	def.Name = j.Name
	def.Needs = make([]wire.NeedDef, 0, len(j.Needs)+len(j.NeedsAny))
	for _, name := range j.Needs {
		def.Needs = append(def.Needs, wire.NeedDef{Job: name, When: j.When[name]})
	}
	for _, name := range j.NeedsAny {
		def.Needs = append(def.Needs, wire.NeedDef{Job: name, When: j.When[name] | wire.WhenAny})
	}
	for name := range j.When {
		if !slices.Contains(j.Needs, name) && !slices.Contains(j.NeedsAny, name) {
			return &wire.SpecError{Kind: wire.ErrUnknownNeed, Field: "needs", Need: name, Detail: "a condition is given for a job that is not needed"}
		}
	}
	var err error
	if def.Payload, err = payload(j.Payload); err != nil {
		return &wire.SpecError{Kind: wire.ErrBadValue, Field: "payload", Detail: "payload: " + err.Error()}
	}
	if j.Priority < -wire.PriorityMax || j.Priority > wire.PriorityMax { // before it is cut to 8 bits
		return &wire.SpecError{Kind: wire.ErrBadValue, Field: "priority", Detail: fmt.Sprintf(
			"priority: %d is not in -%d…%d", j.Priority, wire.PriorityMax, wire.PriorityMax)}
	}
	def.Spec = wire.Spec{
		Env: pairs(j.Env), Dir: j.Dir, Queue: j.Queue, Labels: pairs(j.Labels), Slots: j.Slots,
		Priority: int8(j.Priority), Timeout: j.Timeout, StartAfter: j.StartAfter, StartAt: j.StartAt, Retry: j.Retry,
		LostLimit: lostLimit(j.LostLimit),
	}
	def.Spec.Kind, def.Spec.Args = j.work()
	return nil
}

// work is what the job runs; no kind when it is not exactly one thing.
func (j *Job) work() (wire.WorkKind, []string) {
	switch {
	case len(j.Command) > 0 && j.Shell == "" && j.Handler == "":
		return wire.WorkCommand, j.Command
	case len(j.Command) == 0 && j.Shell != "" && j.Handler == "":
		return wire.WorkShell, []string{j.Shell}
	case len(j.Command) == 0 && j.Shell == "" && j.Handler != "":
		return wire.WorkHandler, []string{j.Handler}
	}
	return 0, nil
}

func payload(v any) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	return json.Marshal(v)
}

func lostLimit(n int) uint32 {
	switch {
	case n == 0:
		return wire.DefaultLostLimit
	case n < 0:
		return 0
	}
	return uint32(min(n, math.MaxInt32))
}

func pairs(m map[string]string) []wire.Pair {
	if len(m) == 0 {
		return nil
	}
	list := make([]wire.Pair, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, wire.Pair{Key: key, Value: m[key]})
	}
	return list
}
