package worker

import (
	"fmt"

	"github.com/musterhq/muster/rpc/wire"
)

// noExit is the exit code of what was no process.
const noExit = -1

// errorTextMax is how much of an error for people is reported. The coordinators cut it there too.
const errorTextMax = 4 << 10

// outcome is what came of an attempt.
type outcome struct {
	result    Result
	failure   string // for people; empty: it went well
	exit      int32  // of a process; noExit when there was none
	permanent bool   // no retry can mend it
	timedOut  bool
	cut       bool // it failed because its context ended
}

func failed(format string, args ...any) outcome {
	return outcome{failure: fmt.Sprintf(format, args...), exit: noExit}
}

// report is what is to be said of the attempt at. ok is false when there is nothing to say: it is revoked.
func (o outcome) report(at wire.Attempt, cause error) (report wire.JobReport, ok bool) {
	r := wire.JobReport{Job: at.Job, Attempt: at.Attempt, ExitCode: o.exit}
	switch {
	case cause == ErrRevoked:
		return r, false
	case o.failure == "":
		r.Kind, r.Result, r.JSON = wire.ReportDone, o.result.data, o.result.json
	case o.cut && cause == ErrDraining:
		r.Kind = wire.ReportReturn
	default:
		r.Kind, r.Error = wire.ReportFailed, cutText(o.failure, errorTextMax)
		r.NoRetry, r.Timeout = o.permanent, o.timedOut
	}
	return r, true
}
