package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/musterhq/muster/rpc/wire"
)

// HandlerFunc does one attempt of a job. Its context ends when the attempt is to stop: context.Cause tells why. An
// error fails the attempt, which is retried as the job's spec says unless the error is Permanent; so does a panic.
type HandlerFunc func(ctx context.Context, job Job) (Result, error)

// panicStackMax is how much of the stack of a handler's panic is reported.
const panicStackMax = 2 << 10

// shell runs the scripts of jobs.
const shell = "/bin/sh"

// runner is the JobRunner: it does one attempt, whatever its kind, and tells what came of it.
type runner struct {
	handlers map[string]HandlerFunc
	exec     interface {
		run(ctx context.Context, job Job, w work) outcome
	}
	inputs func(ctx context.Context, job wire.JobID, attempt uint32) ([]wire.Parent, error)
}

// do does the attempt a. It does not return when a handler ends its goroutine instead of returning.
func (r *runner) do(ctx context.Context, a *wire.Assignment, t teller) outcome {
	parents := a.Parents
	if a.FetchInputs {
		var err error
		if parents, err = r.inputs(ctx, a.Job, a.Attempt); err != nil {
			o := failed("fetch the results of the jobs it needs: %v", err)
			o.cut = ctx.Err() != nil
			return o
		}
	}
	job := newJob(a, parents, t)
	spec := a.Spec
	if len(spec.Args) == 0 {
		return failed("the job's spec names nothing to run")
	}
	w := work{args: spec.Args, env: spec.Env, dir: spec.Dir, timeout: spec.Timeout}
	switch spec.Kind {
	case wire.WorkHandler:
		return r.handle(ctx, job, spec.Args[0])
	case wire.WorkShell:
		w.args = []string{shell, "-c", spec.Args[0]}
		return r.exec.run(ctx, job, w)
	case wire.WorkCommand:
		return r.exec.run(ctx, job, w)
	default:
		return failed("kind of work %d is unknown here: this worker is older than its coordinators, upgrade it", spec.Kind)
	}
}

func newJob(a *wire.Assignment, parents []wire.Parent, t teller) Job {
	return Job{
		ID: a.Job.String(), Name: a.Name, Request: a.Job.Request.String(), Session: a.Request.SessionName,
		Attempt: int(a.Attempt), Index: int(a.ArrayIndex), Payload: a.Payload, parents: parents, teller: t,
	}
}

func (r *runner) handle(ctx context.Context, job Job, name string) (o outcome) {
	h, ok := r.handlers[name]
	if !ok {
		return failed("handler %q is not registered with this worker (%s)", name, r.known())
	}
	defer func() {
		if p := recover(); p != nil {
			o = failed("panic: %v\n%s", p, panicStack(debug.Stack()))
		}
	}()
	result, err := h(ctx, job)
	if err = errors.Join(err, checkResult(result)); err == nil {
		return outcome{result: result, exit: noExit}
	}
	o = failed("%v", err)
	o.permanent = isPermanent(err)
	o.cut = ctx.Err() != nil && !o.permanent
	o.timedOut = o.cut && errors.Is(context.Cause(ctx), ErrTimeout)
	return o
}

func (r *runner) known() string {
	if len(r.handlers) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(slices.Sorted(maps.Keys(r.handlers)), ", ")
}

func checkResult(r Result) error {
	if len(r.data) > ResultBytesMax {
		return fmt.Errorf("result has %d bytes, at most %d: hand on large data by reference", len(r.data), ResultBytesMax)
	}
	return r.err
}

// panicStack is the head of a panicking goroutine's stack, from where it panicked.
func panicStack(stack []byte) string {
	s := string(stack)
	if _, below, ok := strings.Cut(s, "\npanic("); ok {
		if _, frames, ok := strings.Cut(below, "\n\t"); ok { // the place of panic() itself
			_, s, _ = strings.Cut(frames, "\n")
		}
	}
	return cutText(s, panicStackMax)
}
