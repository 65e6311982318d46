package fsm

import "fmt"

// Code tells a caller what kind of refusal it got. The numbers are never reordered: they cross the wire.
type Code uint8

// The codes.
const (
	CodeOK       Code = iota
	CodeInvalid       // the command contradicts itself or the DAG is not one
	CodeNotFound      // no such session, request, job or worker (or reaped)
	CodeConflict      // not in this state: closed session, ended request, key reused with another body
	CodeStale         // no longer the current attempt, incarnation or term
	CodeLimit         // a limit would be passed; Detail names it
	codeCount
)

var codeNames = [codeCount]string{"ok", "invalid", "not found", "conflict", "stale", "limit"}

func (c Code) String() string {
	if c < codeCount {
		return codeNames[c]
	}
	return "unknown"
}

// Refusal is the typed "no" of a command. The state is unchanged.
type Refusal struct {
	Code   Code
	Detail string // for people: what and which
}

func (r *Refusal) Error() string { return r.Code.String() + ": " + r.Detail }

func refuse(c Code, format string, args ...any) *Refusal {
	return &Refusal{Code: c, Detail: fmt.Sprintf(format, args...)}
}

// Answer is what one command of an entry came to. Exactly one of its fields counts: Refusal when it is not nil.
type Answer struct {
	Value   any
	Refusal *Refusal
}
