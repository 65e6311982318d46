package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/rpc/spec"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1   // the work failed or was cancelled, or what fits nothing below
	exitUsage       = 2   // wrong flags, arguments, settings or spec
	exitUnreachable = 3   // no leader, or no coordinator answered
	exitForbidden   = 4   // not allowed
	exitUnhealthy   = 5   // the cluster is
	exitNotFound    = 6   //
	exitConflict    = 7   // not in this state
	exitTimeout     = 124 // the command's own time ran out; the work goes on
	exitInterrupted = 130 // by a person; the work goes on
)

var (
	errInterrupted = errors.New("interrupted")
	errUnhealthy   = errors.New("the cluster is not healthy")
	errNoLeader    = errors.New("the cluster has no leader")
)

// usageError is returned when the command line, a file or a setting is wrong.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// workError is returned when the work that was waited for did not end well. What there is to say has been said.
type workError struct{ code int }

func (e *workError) Error() string { return "the work did not end well" }

// timeoutError is returned when a command's own time ran out.
type timeoutError struct{ what string }

func (e *timeoutError) Error() string { return e.what }

// exitCode maps each kind of error to the code that scripts rely on.
func exitCode(err error) int {
	var (
		usage       *usageError
		work        *workError
		timeout     *timeoutError
		wrongSpec   *spec.Error
		problem     *rest.Problem
		unreachable *rest.UnreachableError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &work):
		return work.code
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &timeout):
		return exitTimeout
	case errors.As(err, &usage), errors.As(err, &wrongSpec):
		return exitUsage
	case isNotFound(err):
		return exitNotFound
	case errors.Is(err, errUnhealthy):
		return exitUnhealthy
	case errors.As(err, &unreachable), errors.Is(err, errNoLeader), errors.Is(err, context.DeadlineExceeded):
		return exitUnreachable
	case errors.As(err, &problem):
		return problemCode(problem)
	}
	return exitFailed
}

func problemCode(p *rest.Problem) int {
	switch p.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return exitUsage
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitForbidden
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusConflict:
		return exitConflict
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return exitUnreachable
	case http.StatusInsufficientStorage:
		return exitUnhealthy
	}
	return exitFailed
}
