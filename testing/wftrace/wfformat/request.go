package wfformat

import (
	"fmt"
	"strconv"
	"time"
)

// Request is a muster request spec, as JSON.
type Request struct {
	Name    string `json:"name,omitempty"`
	Session string `json:"session,omitempty"`
	Jobs    []Job  `json:"jobs"`
}

// Job is one job of a Request.
type Job struct {
	Name    string   `json:"name"`
	Needs   []string `json:"needs,omitempty"`
	Shell   string   `json:"shell,omitempty"`
	Handler string   `json:"handler,omitempty"`
	Payload *Payload `json:"payload,omitempty"`
}

// Payload is what a handler job gets.
type Payload struct {
	Seconds float64 `json:"seconds"` // to sleep
}

// Options say how a Trace becomes a Request.
type Options struct {
	TimeScale float64 // run times are multiplied by it; it must not be negative
	Session   string  // empty: the default one
	Handler   string  // a Go handler that sleeps for its payload's seconds; empty: shell jobs
}

// Convert makes a request of a trace: a job for each task, named by the task's id.
func Convert(t Trace, o Options) (Request, error) {
	if !(o.TimeScale >= 0) {
		return Request{}, fmt.Errorf("time scale %v is not a number from 0 up", o.TimeScale)
	}
	r := Request{Name: t.Name, Session: o.Session, Jobs: make([]Job, 0, len(t.Tasks))}
	for _, task := range t.Tasks {
		j := Job{Name: task.ID, Needs: task.Parents}
		seconds := task.Runtime.Seconds() * o.TimeScale
		if o.Handler == "" {
			j.Shell = "sleep " + strconv.FormatFloat(seconds, 'f', 6, 64)
		} else {
			j.Handler, j.Payload = o.Handler, &Payload{Seconds: seconds}
		}
		r.Jobs = append(r.Jobs, j)
	}
	return r, nil
}

// Work is how long the request's jobs run in sum, and Span how long the longest chain of them does: no number of
// workers can be faster. It is 0 when the tasks form a cycle.
func Work(t Trace, scale float64) (work, span time.Duration) {
	end := map[string]time.Duration{}
	for done := -1; done != len(end); { // each round ends those whose parents have ended
		done = len(end)
		for _, task := range t.Tasks {
			if _, known := end[task.ID]; known {
				continue
			}
			begin, ready := latest(end, task.Parents)
			if ready {
				end[task.ID] = begin + time.Duration(float64(task.Runtime)*scale)
				work += time.Duration(float64(task.Runtime) * scale)
				span = max(span, end[task.ID])
			}
		}
	}
	if len(end) < len(t.Tasks) {
		return 0, 0
	}
	return work, span
}

// latest is when the last of the tasks ends; ready is false while one of them has no end yet.
func latest(end map[string]time.Duration, ids []string) (at time.Duration, ready bool) {
	for _, id := range ids {
		e, known := end[id]
		if !known {
			return 0, false
		}
		at = max(at, e)
	}
	return at, true
}
