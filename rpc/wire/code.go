package wire

import (
	"fmt"
	"time"

	"github.com/musterhq/muster/rpc/pack"
)

// Code tells a caller what kind of "no" it got. Numbers are never reordered.
type Code uint8

// The codes. Those below 32 are the state machine's, the others the RPC port's.
const (
	CodeOK       Code = iota
	CodeInvalid       // the request contradicts itself or its DAG is not one
	CodeNotFound      // no such session, request, job or worker
	CodeConflict      // not in this state: closed session, ended request, key reused with another body
	CodeStale         // no longer the current attempt or incarnation
	CodeLimit         // a limit would be passed; Detail names it

	CodeNotLeader      Code = iota + 26 // ask the coordinator at Leader; nothing was done
	CodeNoLeader                        // there is no leader now; nothing was done
	CodeOverloaded                      // nothing was done; try again after RetryAfter
	CodeUnknownOutcome                  // it may or may not take effect: leadership was lost meanwhile
	CodeInternal                        // a fault of the coordinator; its log tells more
	CodeVersion                         // no protocol version in common
	CodeCluster                         // this is another cluster
	CodeDenied                          // the token is not accepted
	CodeUnsupported                     // no such method here
	CodeDeadline                        // the caller's deadline passed, or it cancelled the call
	CodeDiskFull                        // the coordinator's disk is short: submits are refused
	CodeMalformed                       // the message could not be read
)

var codeNames = map[Code]string{
	CodeOK: "ok", CodeInvalid: "invalid", CodeNotFound: "not found", CodeConflict: "conflict", CodeStale: "stale",
	CodeLimit: "limit", CodeNotLeader: "not the leader", CodeNoLeader: "no leader", CodeOverloaded: "overloaded",
	CodeUnknownOutcome: "unknown outcome", CodeInternal: "internal error", CodeVersion: "unsupported protocol version",
	CodeCluster: "wrong cluster", CodeDenied: "denied", CodeUnsupported: "unsupported method",
	CodeDeadline: "deadline passed", CodeDiskFull: "disk full", CodeMalformed: "malformed message",
}

func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Error is a typed error that crossed, or will cross, the wire.
//
// errors.Is(err, ErrStale) asks for its code; errors.As gives the rest.
type Error struct {
	Code       Code
	Detail     string        // for people
	Leader     string        // RPC address of the leader, as far as the sender knows
	LeaderHTTP string        // its HTTP address
	Term       uint64        // in which it leads
	RetryAfter time.Duration // before another try makes sense; 0: no advice
}

// Errors to compare with, by errors.Is.
var (
	ErrInvalid        = &Error{Code: CodeInvalid}
	ErrNotFound       = &Error{Code: CodeNotFound}
	ErrConflict       = &Error{Code: CodeConflict}
	ErrStale          = &Error{Code: CodeStale}
	ErrLimit          = &Error{Code: CodeLimit}
	ErrNotLeader      = &Error{Code: CodeNotLeader}
	ErrNoLeader       = &Error{Code: CodeNoLeader}
	ErrOverloaded     = &Error{Code: CodeOverloaded}
	ErrUnknownOutcome = &Error{Code: CodeUnknownOutcome}
	ErrInternal       = &Error{Code: CodeInternal}
	ErrVersion        = &Error{Code: CodeVersion}
	ErrCluster        = &Error{Code: CodeCluster}
	ErrDenied         = &Error{Code: CodeDenied}
	ErrUnsupported    = &Error{Code: CodeUnsupported}
	ErrDeadline       = &Error{Code: CodeDeadline}
	ErrDiskFull       = &Error{Code: CodeDiskFull}
	ErrMalformed      = &Error{Code: CodeMalformed}
)

// Errorf makes an Error of a code with a detail for people.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Code.String()
	}
	return e.Code.String() + ": " + e.Detail
}

// Is matches an *Error of the same code without a detail, such as ErrStale.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Detail == "" && t.Code == e.Code
}

// Append writes e.
func (e *Error) Append(w *pack.Writer) {
	w.Array(6)
	w.Uint(uint64(e.Code))
	w.String(e.Detail)
	w.String(e.Leader)
	w.String(e.LeaderHTTP)
	w.Uint(e.Term)
	w.Int(int64(e.RetryAfter))
}

// Read reads what Append wrote.
func (e *Error) Read(r *pack.Reader) {
	r.Begin()
	e.Code = Code(r.Uint8())
	e.Detail = r.String(TextBytesMax)
	e.Leader = r.String(TextBytesMax)
	e.LeaderHTTP = r.String(TextBytesMax)
	e.Term = r.Uint()
	e.RetryAfter = time.Duration(r.Int())
	r.End()
}
