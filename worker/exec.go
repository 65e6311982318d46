package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/wire"
)

// The exec contract, for commands and shell scripts in any language.
//
//	env     MUSTER_SESSION, MUSTER_REQUEST, MUSTER_JOB (its name), MUSTER_JOB_ID, MUSTER_ATTEMPT,
//	        MUSTER_ARRAY_INDEX (instances of an array only), MUSTER_ADDR, MUSTER_TOKEN, the four files below,
//	        envPassed of the worker's own environment, and the job's own env (and MUSTER_WORKER_PROCESS, by which the
//	        guard knows whose they are)
//	input   $MUSTER_INPUT, a JSON file {"payload": …, "parents": {"name": result, …}}; a result that is not JSON is
//	        a string, or {"base64": "…"} when it is not text
//	output  what $MUSTER_RESULT holds at the end, at most ResultBytesMax; JSON is kept as JSON
//	progress the last line of $MUSTER_PROGRESS, see ParseProgress
//	error   what $MUSTER_ERROR holds when the job fails, for people
//	exit    0 is DONE, all else FAILED; a process ended by signal n counts as exit code 128+n
//	stop    SIGTERM to the process group, after the kill grace SIGKILL
//
// The input is there at the start; the other files are made by a job that has something to say. All are in a directory
// of the attempt's own, which is cleared when it ends.
//
// A command runs in its dir, or in the worker's own working directory. Its program is looked up in the PATH that the
// job sees. Standard input is empty; output goes to the attempt's logs and is never parsed. When the process has
// ended, what is left of its group is killed.

// work is the process that an attempt is.
type work struct {
	args    []string
	env     []wire.Pair // wins over the worker's own, loses to MUSTER_*
	dir     string
	timeout time.Duration // for people; the context enforces it
}

// executor runs processes. It is started by start and ended by close, which the runs must not outlive.
type executor struct {
	log       hclog.Logger
	attempts  *attempts
	spawner   *spawner
	guard     *guard // nil: none
	poller    *progressPoller
	null      *os.File
	addresses func() string // for MUSTER_ADDR
	mark      string        // for processMark
	killGrace time.Duration
	kill      context.Context // ends when even a grace is too long
}

// run does one attempt. It returns when nothing of the process group is left.
func (x *executor) run(ctx context.Context, job Job, w work) outcome {
	if ctx.Err() != nil {
		o := failed("not started: %v", context.Cause(ctx))
		o.cut, o.timedOut = true, errors.Is(context.Cause(ctx), ErrTimeout)
		return o
	}
	a, err := x.attempts.begin(job)
	if err != nil {
		return failed("prepare the attempt's directory: %v", err)
	}
	defer a.end()
	env := jobEnv(job, w, a, x.addresses(), x.mark)
	if err := checkDir(w.dir); err != nil {
		return failed("working directory: %v", err)
	}
	path, err := lookPath(w.args[0], envValue(env, "PATH"), w.dir)
	if err != nil {
		return failed("%v", err)
	}
	p, err := x.startProcess(path, w, env, a)
	if err != nil {
		return failed("start %q: %v", w.args[0], err)
	}
	x.poller.add(a, job.Progress)
	end := p.wait(ctx, x.kill, x.killGrace)
	x.poller.remove(a)
	return judge(ctx, end, w, a)
}

// checkDir tells of a working directory that is none: the system's word for it would name the program instead.
func checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", dir)
	}
	return err
}

// judge tells what the end of a process means.
func judge(ctx context.Context, end processEnd, w work, a *attemptDir) outcome {
	o := outcome{exit: end.code(), cut: end.stopped}
	switch {
	case end.stopped && errors.Is(context.Cause(ctx), ErrTimeout):
		o.timedOut = true
		o.failure = withDetail(fmt.Sprintf("%v of %v", ErrTimeout, w.timeout), a.complaint())
	case end.stopped:
		o.failure = fmt.Sprint(context.Cause(ctx))
	case !end.ok():
		o.failure = explain(end.String(), a)
	default:
		result, err := a.result()
		if err != nil {
			o.failure = err.Error()
		}
		o.result = result
	}
	return o
}

// explain is what people read about a failed process: its own words where it left any.
func explain(end string, a *attemptDir) string {
	if own := a.message(); own != "" {
		return own
	}
	return withDetail(end, a.complaint())
}

func withDetail(what, detail string) string {
	if detail == "" {
		return what
	}
	if strings.Contains(detail, "\n") {
		return what + ":\n" + detail
	}
	return what + ": " + detail
}
