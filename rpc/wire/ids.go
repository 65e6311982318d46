package wire

import (
	"errors"
	"fmt"
	"strings"
)

// ErrBadID is returned when a string is not an id of the wanted kind.
var ErrBadID = errors.New("malformed id")

// SessionID names a session.
type SessionID uint64

// RequestID names a request.
type RequestID uint64

// WorkerID names a registered worker.
type WorkerID uint64

// JobID names a job: the Index-th of its request, from 0.
type JobID struct {
	Request RequestID
	Index   uint32
}

// NoJob is an index that names no job.
const NoJob = ^uint32(0)

// How ids are written for people is the state machine's rule; a test of rpc/server keeps the two the same.
const (
	idDigits   = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base 32 in lower case
	seqWidth   = 10
	indexWidth = 5
)

func (id SessionID) String() string { return string(appendDigits([]byte{'s'}, uint64(id), seqWidth)) }
func (id RequestID) String() string { return string(appendDigits([]byte{'r'}, uint64(id), seqWidth)) }
func (id WorkerID) String() string  { return string(appendDigits([]byte{'w'}, uint64(id), seqWidth)) }

// String is "j", the request's number, "-" and the job's index: it sorts by age, then by place in the request.
func (id JobID) String() string {
	b := appendDigits(append(make([]byte, 0, 2+seqWidth+indexWidth), 'j'), uint64(id.Request), seqWidth)
	return string(appendDigits(append(b, '-'), uint64(id.Index), indexWidth))
}

// ParseSessionID reads what SessionID.String wrote. It returns ErrBadID for anything else.
func ParseSessionID(s string) (SessionID, error) {
	n, err := parseSeq(s, 's', "session")
	return SessionID(n), err
}

// ParseRequestID reads what RequestID.String wrote. It returns ErrBadID for anything else.
func ParseRequestID(s string) (RequestID, error) {
	n, err := parseSeq(s, 'r', "request")
	return RequestID(n), err
}

// ParseWorkerID reads what WorkerID.String wrote. It returns ErrBadID for anything else.
func ParseWorkerID(s string) (WorkerID, error) {
	n, err := parseSeq(s, 'w', "worker")
	return WorkerID(n), err
}

// ParseJobID reads what JobID.String wrote. It returns ErrBadID for anything else.
func ParseJobID(s string) (JobID, error) {
	if len(s) == 2+seqWidth+indexWidth && s[0] == 'j' && s[1+seqWidth] == '-' {
		request, ok1 := parseDigits(s[1 : 1+seqWidth])
		index, ok2 := parseDigits(s[2+seqWidth:])
		if ok1 && ok2 {
			return JobID{RequestID(request), uint32(index)}, nil
		}
	}
	return JobID{}, fmt.Errorf("%w: %.40q is not a job id (like %s)", ErrBadID, s, JobID{1, 0})
}

func parseSeq(s string, prefix byte, what string) (uint64, error) {
	if len(s) == 1+seqWidth && s[0] == prefix {
		if n, ok := parseDigits(s[1:]); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: %.40q is not a %s id (like %c0000000001)", ErrBadID, s, what, prefix)
}

func appendDigits(b []byte, n uint64, width int) []byte {
	for shift := 5 * (width - 1); shift >= 0; shift -= 5 {
		b = append(b, idDigits[n>>shift&31])
	}
	return b
}

func parseDigits(s string) (n uint64, ok bool) {
	for i := range len(s) {
		d := strings.IndexByte(idDigits, s[i])
		if d < 0 {
			return 0, false
		}
		n = n<<5 | uint64(d)
	}
	return n, true
}
