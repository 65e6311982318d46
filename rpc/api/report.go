package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

func (s *Server) reportState(w http.ResponseWriter, r *http.Request) error {
	in := rest.Report{}
	if err := decode(w, r, &in); err != nil {
		return err
	}
	id, err := pathID(r, "job", fsm.ParseJobID)
	if err != nil {
		return err
	}
	if err := checkReport(&in); err != nil {
		return err
	}
	wid, err := fsm.ParseWorkerID(in.Worker)
	if err != nil {
		return invalid("worker: %v", err)
	}
	on, err := find(r.Context(), s, func(v *fsm.View) (reportOn, error) { return subjectOf(v, id, wid, &in) })
	if err != nil {
		return err
	}
	j := on.job
	if in.State != "" {
		j, err = s.reportWord(r.Context(), on, reportOf(id, &in))
	}
	if err != nil {
		return err
	}
	if in.Progress != nil && j.State.Assigned() {
		err = s.tasker.Progress([]fsm.ProgressItem{{Job: id, Attempt: in.Attempt, Percent: *in.Progress, Text: in.ProgressText}})
	}
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, rest.Reported{Job: id.String(), Attempt: in.Attempt, State: j.State.String()})
}

// reportOn is what a report is about, and from whom.
type reportOn struct {
	job    fsm.JobInfo
	worker fsm.WorkerInfo
}

// subjectOf finds what a report is about. A word on an attempt is judged by the state machine, if its worker is known;
// progress is not, so it is judged here.
func subjectOf(v *fsm.View, id fsm.JobID, w fsm.WorkerID, in *rest.Report) (on reportOn, err error) {
	var job, worker bool
	on.job, job = v.Job(id)
	on.worker, worker = v.Worker(w)
	n, limit := len(in.Result), int(v.Limits().ResultBytes)
	switch {
	case !job:
		return on, notFound("job", id.String())
	case n > limit:
		return on, problem(rest.CodeTooLarge, "result has %d bytes, at most %d are allowed: put it in a file and report its path", n, limit)
	case !worker, in.State == "" && !holds(on.job, w, in.Attempt):
		return on, staleAttempt(on.job, w, in.Attempt)
	}
	return on, nil
}

func checkReport(in *rest.Report) error {
	_, known := reportKinds[in.State]
	switch {
	case in.State != "" && !known:
		return invalid("state %.40q: use START, DONE, FAILED or RETURN", in.State)
	case in.State == "" && in.Progress == nil:
		return invalid("state and progress are both missing: give one of them")
	case in.Progress != nil && *in.Progress > 100:
		return invalid("progress %d: use 0 to 100", *in.Progress)
	case in.Attempt == 0:
		return invalid("attempt is missing")
	case len(in.Result) > 0 && in.State != rest.ReportDone:
		return invalid("result goes with state DONE only")
	case in.ExitCode != nil && *in.ExitCode < 0:
		return invalid("exit_code %d is negative: leave it out when there was no process", *in.ExitCode)
	}
	return nil
}

func holds(j fsm.JobInfo, w fsm.WorkerID, attempt uint32) bool {
	return j.State.Assigned() && j.Worker == w && j.Attempt == attempt
}

func staleAttempt(j fsm.JobInfo, w fsm.WorkerID, attempt uint32) error {
	return problem(rest.CodeStale, "attempt %d of job %s is not worker %s's to report on: the job is %s, attempt %d", attempt, j.ID, w, j.State, j.Attempt)
}

// reportWord has the state machine judge a word on an attempt, and gives the job as it is then.
func (s *Server) reportWord(ctx context.Context, on reportOn, report fsm.JobReport) (fsm.JobInfo, error) {
	w := on.worker.ID
	codes, v, err := propose[[]fsm.Code](ctx, s, &fsm.JobStates{
		Worker: w, Incarnation: on.worker.Incarnation, Reports: []fsm.JobReport{report},
	})
	var refusal *fsm.Refusal
	if errors.As(err, &refusal) && refusal.Code == fsm.CodeStale { // of the worker as a whole
		return on.job, staleAttempt(on.job, w, report.Attempt)
	}
	if err != nil {
		return on.job, err
	}
	j, ok := v.Job(report.Job)
	switch {
	case !ok || len(codes) != 1 || codes[0] == fsm.CodeNotFound:
		return j, notFound("job", report.Job.String())
	case codes[0] == fsm.CodeStale && !repeats(j, w, report):
		return j, staleAttempt(j, w, report.Attempt)
	case codes[0] != fsm.CodeOK && codes[0] != fsm.CodeStale:
		return j, refused(&fsm.Refusal{Code: codes[0], Detail: "job " + report.Job.String()})
	}
	return j, nil
}

// repeats says that the job stands where the report would have brought it, by this very attempt: the same was said
// before, and its answer got lost.
func repeats(j fsm.JobInfo, w fsm.WorkerID, report fsm.JobReport) bool {
	if j.Worker != w || j.Attempt != report.Attempt {
		return false
	}
	switch report.Kind {
	case fsm.ReportStart:
		return j.State == fsm.Running
	case fsm.ReportDone:
		return j.State == fsm.Done
	case fsm.ReportFailed:
		return j.State == fsm.Failed && j.Reason == fsm.ReasonError
	}
	return false
}
