package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/rpc/spec"
)

// statusOf is the HTTP status of each code.
var statusOf = map[string]int{
	rest.CodeInvalid: 400, rest.CodeUnsupported: 400, rest.CodeCrossOrigin: 403, rest.CodeNotFound: 404,
	rest.CodeMethod: 405, rest.CodeConflict: 409, rest.CodeStale: 409, rest.CodeTooLarge: 413,
	rest.CodeMediaType: 415, rest.CodeLimit: 422, rest.CodeOverloaded: 429, rest.CodeInternal: 500,
	rest.CodeNotImplemented: 501, rest.CodeNoLeader: 503, rest.CodeUnknownOutcome: 503, rest.CodeDiskFull: 507,
}

// refusalCode is the code of each refusal of the state machine.
var refusalCode = map[fsm.Code]string{
	fsm.CodeInvalid: rest.CodeInvalid, fsm.CodeNotFound: rest.CodeNotFound, fsm.CodeConflict: rest.CodeConflict,
	fsm.CodeStale: rest.CodeStale, fsm.CodeLimit: rest.CodeLimit,
}

// electionRetry is when to ask again for a leader: an election takes less than a second. (The header Retry-After has
// whole seconds only; muster's own client reads the body.)
const electionRetry = 250 * time.Millisecond

// problem makes an error answer.
func problem(code, format string, args ...any) *rest.Problem {
	status := statusOf[code]
	return &rest.Problem{
		Type: "urn:muster:problem:" + code, Title: http.StatusText(status), Status: status, Code: code,
		Detail: fmt.Sprintf(format, args...),
	}
}

func invalid(format string, args ...any) *rest.Problem {
	return problem(rest.CodeInvalid, format, args...)
}

func notFound(what, id string) *rest.Problem {
	return problem(rest.CodeNotFound, "no %s %.80q: it never was, or it ended long enough ago to be forgotten", what, id)
}

// errTimedOut is returned when a majority did not answer a read in time.
var errTimedOut = errors.New("no majority answered in time")

// problemOf is how an error looks as an answer.
func (s *Server) problemOf(err error) *rest.Problem {
	var (
		p         *rest.Problem
		refusal   *fsm.Refusal
		notLeader *cluster.NotLeaderError
		bad       *spec.Error
		tooLarge  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		return refused(refusal)
	case errors.Is(err, cluster.ErrNoLeader):
		return s.noLeader("no leader is known: a majority of the coordinators must be up and reach each other; see /v1/status")
	case errors.As(err, &notLeader):
		return s.noLeader("this coordinator (%s) is no longer the leader", s.self().Name)
	case errors.Is(err, cluster.ErrForeignSnapshot):
		return problem(rest.CodeConflict, "%v; nothing was changed; repeat it with force=true if that is what you want", err)
	case errors.Is(err, cluster.ErrBadSnapshot):
		return invalid("%v; nothing was changed", err)
	case errors.Is(err, cluster.ErrBadServer):
		return problem(rest.CodeNotFound, "%v; GET /v1/operator/raft lists them", err)
	case errors.Is(err, errTimedOut):
		return s.noLeader("no majority answered within %s; see /v1/status, or read with consistency=stale", readTimeout)
	case errors.Is(err, cluster.ErrOverloaded):
		return s.later(problem(rest.CodeOverloaded, "%v; nothing was done", err))
	case errors.Is(err, cluster.ErrDiskFull):
		return problem(rest.CodeDiskFull, "the coordinator's disk is short of space, so it takes no new requests: free some")
	case errors.As(err, &bad):
		return specProblem(bad)
	case errors.As(err, &tooLarge):
		return problem(rest.CodeTooLarge, "body is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, cluster.ErrUnknownOutcome), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return s.later(problem(rest.CodeUnknownOutcome,
			"leadership was lost or no majority answered meanwhile, so this may or may not take effect: look, or repeat it if it is idempotent"))
	}
	return problem(rest.CodeInternal, "%v", err)
}

func refused(r *fsm.Refusal) *rest.Problem {
	if code, ok := refusalCode[r.Code]; ok {
		return problem(code, "%s", r.Detail)
	}
	return problem(rest.CodeInternal, "%v", r)
}

func specProblem(e *spec.Error) *rest.Problem {
	p := invalid("%s", e.Problem.Message)
	if e.Field != "" {
		p.Detail = e.Field + ": " + e.Message
	}
	p.Line, p.Column = e.Line, e.Column
	if len(e.More) > 0 {
		for _, q := range e.Problems() {
			p.Errors = append(p.Errors, rest.FieldProblem{Field: q.Field, Detail: q.Message, Line: q.Line, Column: q.Column})
		}
	}
	return p
}

// noLeader is a problem that goes away with the next election.
func (s *Server) noLeader(format string, args ...any) *rest.Problem {
	p := problem(rest.CodeNoLeader, format, args...)
	p.RetryAfter = rest.Duration(min(s.tasker.RetryAfter(), electionRetry))
	p.Leader = s.leader()
	return p
}

func (s *Server) later(p *rest.Problem) *rest.Problem {
	p.RetryAfter = rest.Duration(s.tasker.RetryAfter())
	return p
}

// fail answers with a problem.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := *s.problemOf(err)
	p.Instance = r.URL.Path
	if p.Status >= 500 && p.Code == rest.CodeInternal {
		s.log.Error("HTTP call failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	h := w.Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(time.Duration(p.RetryAfter).Seconds()))))
	}
	h.Set("Content-Type", rest.ProblemType)
	h.Del("Content-Encoding")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p) // whoever asked may be gone; there is nobody else to tell
}
