package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/rpc/spec"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, 0},
		{"anything", errors.New("x"), 1},
		{"failed work", &workError{1}, 1},
		{"a job's own code", &workError{42}, 42},
		{"usage", &usageError{errors.New("x")}, 2},
		{"wrong spec", fmt.Errorf("x: %w", &spec.Error{}), 2},
		{"invalid", &rest.Problem{Status: 400}, 2},
		{"too large", &rest.Problem{Status: 413}, 2},
		{"above a limit", &rest.Problem{Status: 422}, 2},
		{"no leader known", fmt.Errorf("x: %w", errNoLeader), 3},
		{"no leader answered", &rest.Problem{Status: 503, Code: rest.CodeNoLeader}, 3},
		{"overloaded", &rest.Problem{Status: 429}, 3},
		{"unreachable", &rest.UnreachableError{Cause: context.DeadlineExceeded}, 3},
		{"unreachable though something answered", &rest.UnreachableError{Tried: []rest.Tried{{Err: &rest.Problem{Status: 404}}}}, 3},
		{"no token", &rest.Problem{Status: 401}, 4},
		{"not allowed", &rest.Problem{Status: 403}, 4},
		{"unhealthy", fmt.Errorf("x: %w", errUnhealthy), 5},
		{"disk full", &rest.Problem{Status: 507}, 5},
		{"not found", &rest.Problem{Status: 404}, 6},
		{"no such name", notFound("x"), 6},
		{"conflict", &rest.Problem{Status: 409}, 7},
		{"internal", &rest.Problem{Status: 500}, 1},
		{"own time-out", &timeoutError{"x"}, 124},
		{"interrupted", fmt.Errorf("x: %w", errInterrupted), 130},
		{"interrupted while nobody answered", &rest.UnreachableError{Cause: errInterrupted}, 130},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
