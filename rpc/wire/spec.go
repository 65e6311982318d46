package wire

import (
	"errors"
	"fmt"
	"strings"
)

// Defaults of a request that Canonical fills in.
const (
	DefaultSession     = "default"
	DefaultQueue       = "default"
	DefaultLostLimit   = 5    // lost workers that a job survives; for callers: Canonical takes LostLimit as it is
	DefaultRetryFactor = 2000 // doubles each delay
)

// Limits of what Canonical accepts; the state machine has its own besides.
const (
	NameBytesMax = 256 // of a session, request, job or queue
	PriorityMax  = 100 // and -PriorityMax is the lowest
	// SpecBytesMax bounds the arguments, directory, env and labels of a job, all together: no system starts a process
	// with more, and an assignment must fit a frame.
	SpecBytesMax = 256 << 10
)

// RequestSpec is a request as a person thinks of it: jobs need each other by name. It is what the Go client and the
// HTTP side both come to, and Canonical turns it into a Submit.
type RequestSpec struct {
	Name       string
	Session    string // empty: DefaultSession
	MaxRunning uint32 // 0: no limit
	OnFailure  OnFailure
	Jobs       []JobDef
}

// JobDef is one job of a RequestSpec.
type JobDef struct {
	Name    string
	Spec    Spec   // Queue, Slots and Retry.Factor have defaults; Env and Labels may be in any order
	Payload []byte // JSON, or nil
	Needs   []NeedDef
}

// NeedDef is one need of a JobDef.
type NeedDef struct {
	Job  string
	When When
}

// What can be wrong with a RequestSpec: a SpecError is one of these, by errors.Is.
var (
	ErrNoJobs        = errors.New("a request needs at least one job")
	ErrTooManyJobs   = errors.New("too many jobs")
	ErrTooManyNeeds  = errors.New("too many needs")
	ErrBadName       = errors.New("bad name")
	ErrDuplicateName = errors.New("two jobs have the same name")
	ErrUnknownNeed   = errors.New("need of a job that is not in the request")
	ErrDuplicateNeed = errors.New("the same need twice")
	ErrCycle         = errors.New("jobs need each other in a cycle")
	ErrBadWork       = errors.New("bad work")
	ErrBadValue      = errors.New("bad value")
)

// NoPosition is the Position of a SpecError about the request as a whole.
const NoPosition = -1

// SpecError tells what is wrong with a RequestSpec, and where, so that a caller can add the line.
type SpecError struct {
	Kind     error    // one of the errors above
	Position int      // of the job in RequestSpec.Jobs; NoPosition: the request
	Job      string   // its name
	Field    string   // as the spec file calls it: "needs", "priority"; empty: the job itself
	Need     string   // the need meant, for those about needs
	Cycle    []string // for ErrCycle: each job needs the next, and the last the first
	Detail   string
}

// cycleShown is how many jobs of a cycle an error message names; Cycle has them all.
const cycleShown = 20

func (e *SpecError) Error() string {
	var b strings.Builder
	if e.Position != NoPosition {
		fmt.Fprintf(&b, "job %q: ", e.Job)
	}
	b.WriteString(e.Kind.Error())
	if e.Need != "" {
		fmt.Fprintf(&b, ": %q", e.Need)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if len(e.Cycle) > 0 {
		b.WriteString(": " + describeCycle(e.Cycle))
	}
	return b.String()
}

// Unwrap gives the Kind.
func (e *SpecError) Unwrap() error { return e.Kind }

func describeCycle(cycle []string) string {
	shown := cycle[:min(len(cycle), cycleShown)]
	s := strings.Join(shown, " needs ")
	if rest := len(cycle) - len(shown); rest > 0 {
		s += fmt.Sprintf(" needs … (%d more)", rest)
	}
	return s + " needs " + cycle[0]
}
