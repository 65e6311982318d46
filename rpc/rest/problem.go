package rest

import (
	"fmt"
	"net/http"
	"strings"
)

// ProblemType is the media type of a [Problem].
const ProblemType = "application/problem+json"

// The codes of problems: stable words for programs.
const (
	CodeInvalid        = "invalid"         // 400: the request contradicts itself or the interface
	CodeUnsupported    = "unsupported"     // 400: known, but not in this version
	CodeCrossOrigin    = "cross_origin"    // 403: a browser sent it from another site's page
	CodeNotFound       = "not_found"       // 404: no such thing, or no longer kept
	CodeMethod         = "method"          // 405
	CodeConflict       = "conflict"        // 409: not in this state
	CodeStale          = "stale_attempt"   // 409: no longer this worker's attempt
	CodeTooLarge       = "too_large"       // 413
	CodeMediaType      = "media_type"      // 415
	CodeLimit          = "limit"           // 422: a limit of the cluster would be passed
	CodeOverloaded     = "overloaded"      // 429: nothing was done; retry later
	CodeInternal       = "internal"        // 500
	CodeNotImplemented = "not_implemented" // 501
	CodeNoLeader       = "no_leader"       // 503: nothing was done; retry later
	CodeUnknownOutcome = "unknown_outcome" // 503: it may or may not take effect
	CodeDiskFull       = "disk_full"       // 507: nothing was done
)

// Problem is an error answer (RFC 9457). It is an error.
type Problem struct {
	Type       string         `json:"type"` // urn:muster:problem:CODE
	Title      string         `json:"title"`
	Status     int            `json:"status"`
	Detail     string         `json:"detail"`
	Instance   string         `json:"instance,omitempty"` // path of the call
	Code       string         `json:"code"`
	Leader     *Leader        `json:"leader,omitempty"`      // when it helps to know
	RetryAfter Duration       `json:"retry_after,omitempty"` // as the header, when repeating makes sense
	Line       int            `json:"line,omitempty"`        // in the body, from 1
	Column     int            `json:"column,omitempty"`
	Errors     []FieldProblem `json:"errors,omitempty"` // when there are several
}

// FieldProblem is one of several problems with a body.
type FieldProblem struct {
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// Error is the detail, with the line and column it is about.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", p.Line, p.Column)
	}
	if p.Detail != "" {
		b.WriteString(p.Detail)
	} else {
		fmt.Fprintf(&b, "%d %s", p.Status, http.StatusText(p.Status))
	}
	for _, e := range p.Errors {
		b.WriteString("\n  ")
		if e.Line > 0 {
			fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
		}
		b.WriteString(e.Detail)
	}
	return b.String()
}

// NothingDone says that the call certainly had no effect, so that it may be repeated whatever it was.
func (p *Problem) NothingDone() bool { return p.Code == CodeNoLeader || p.Code == CodeOverloaded }

// Temporary says that the same call may succeed a little later.
func (p *Problem) Temporary() bool { return p.NothingDone() || p.Code == CodeUnknownOutcome }
