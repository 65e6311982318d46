package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

const (
	// pickWaitMax is how long a pick may wait.
	pickWaitMax = 60 * time.Second
	// pickMax is how many slots' worth of jobs one pick may ask for.
	pickMax = 1024
	// parentsBytesMax is how much of its parents' results an assignment carries.
	parentsBytesMax = 16 << 20
	// beatsPerTTL is how often a waiting pick beats for its worker.
	beatsPerTTL = 5
	// windUpTimeout is how long a pick that was given up may take to take its order back.
	windUpTimeout = 10 * time.Second
)

// picks knows the pick that waits for each worker. A newer one of the same worker ends it: the worker gave it up.
type picks struct {
	mu      sync.Mutex
	waiting map[fsm.WorkerID]*waitingPick // at most one for each
}

type waitingPick struct {
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed when it has taken its order back
}

// errSuperseded ends a pick.
var errSuperseded = errors.New("the worker asked again")

// begin ends the worker's earlier pick and waits for its end. The answer ends this one.
func (p *picks) begin(w fsm.WorkerID, cancel context.CancelCauseFunc) (end func()) {
	mine := &waitingPick{cancel: cancel, ended: make(chan struct{})}
	p.mu.Lock()
	if p.waiting == nil {
		p.waiting = make(map[fsm.WorkerID]*waitingPick)
	}
	earlier := p.waiting[w]
	p.waiting[w] = mine
	p.mu.Unlock()
	if earlier != nil {
		earlier.cancel(errSuperseded)
		<-earlier.ended
	}
	return func() {
		close(mine.ended)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.waiting[w] == mine {
			delete(p.waiting, w)
		}
	}
}

// joined finds a worker that may pick and beat.
func joined(v *fsm.View, id string) (fsm.WorkerInfo, error) {
	if id == "" {
		return fsm.WorkerInfo{}, invalid("worker is missing: give the id that POST /v1/workers answered")
	}
	wid, err := fsm.ParseWorkerID(id)
	if err != nil {
		return fsm.WorkerInfo{}, invalid("worker: %v", err)
	}
	info, ok := v.Worker(wid)
	if !ok {
		return info, notFound("worker", id)
	}
	if info.Lost {
		return info, lostWorker(id)
	}
	return info, nil
}

func lostWorker(id string) error {
	return problem(rest.CodeStale, "worker %s was not heard for too long, or has left: what it ran is no longer its own; join again with POST /v1/workers", id)
}

func (s *Server) pick(w http.ResponseWriter, r *http.Request) error {
	var in rest.Pick
	if err := decode(w, r, &in); err != nil {
		return err
	}
	if wait := time.Duration(in.Wait); wait > pickWaitMax {
		return invalid("wait %s: at most %s", in.Wait, pickWaitMax)
	}
	if in.Max > pickMax {
		return invalid("max %d: at most %d", in.Max, pickMax)
	}
	known, err := grantsOf(in.Running)
	if err != nil {
		return err
	}
	v, err := s.local(r.Context())
	if err != nil {
		return err
	}
	info, err := joined(v, in.Worker)
	if err != nil {
		return err
	}
	unhurried(w)
	ctx, cancel := s.streaming(r)
	defer cancel()
	ctx, supersede := context.WithCancelCause(ctx)
	defer supersede(nil)
	defer s.picks.begin(info.ID, supersede)()

	p := &picking{s: s, worker: info, max: max(in.Max, 1), wait: time.Duration(in.Wait), known: known, said: in.Running != nil}
	v, grants, err := p.run(ctx)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, rest.Picked{Jobs: assignmentsOf(v, grants)})
}

// picking is one pick. What was granted in it is what the worker holds at its end and did not at its beginning: the
// state is the truth, and events only tell when to look.
type picking struct {
	s      *Server
	worker fsm.WorkerInfo
	max    uint32
	wait   time.Duration
	known  []fsm.Grant // what the worker says it holds
	said   bool        // it did say so; else known is what it holds at the beginning
}

// run gives the new grants and a view that has them.
func (p *picking) run(ctx context.Context) (*fsm.View, []fsm.Grant, error) {
	v, err := p.s.local(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !p.said {
		p.known = v.Held(p.worker.ID)
	}
	if lost := p.fresh(v); len(lost) > 0 {
		return v, lost, p.beat(v) // an earlier answer did not arrive: hand it out again
	}
	if err := p.beat(v); err != nil {
		return nil, nil, err
	}
	events := p.s.tasker.Watch(v.Index())
	defer events.Close()
	if v, err = p.order(ctx, p.max); err != nil {
		return nil, nil, err
	}
	grants := p.fresh(v)
	if len(grants) == 0 && p.wait > 0 {
		p.await(ctx, events)
	}
	return p.end(ctx)
}

// fresh are the grants that the worker does not know of.
func (p *picking) fresh(v *fsm.View) []fsm.Grant {
	return slices.DeleteFunc(v.Held(p.worker.ID), func(g fsm.Grant) bool { return slices.Contains(p.known, g) })
}

func (p *picking) order(ctx context.Context, slots uint32) (*fsm.View, error) {
	_, v, err := propose[any](ctx, p.s, &fsm.PickJobs{Worker: p.worker.ID, Incarnation: p.worker.Incarnation, Max: slots})
	return v, err
}

// beat keeps the worker alive while its call waits. It says that the worker holds all that it was granted.
func (p *picking) beat(v *fsm.View) error {
	a, err := p.s.tasker.Beat(p.worker.ID, p.worker.Incarnation, v.Held(p.worker.ID))
	if err == nil && !a.Known {
		err = lostWorker(p.worker.ID.String())
	}
	return err
}

// await returns when a grant may have come, or when waiting makes no more sense.
func (p *picking) await(ctx context.Context, events Watcher) {
	ctx, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	for {
		turn, done := context.WithTimeout(ctx, p.s.tasker.TTL()/beatsPerTTL)
		batch, err := events.Next(turn)
		done()
		if ctx.Err() != nil || errors.Is(err, cluster.ErrTooOld) || slices.ContainsFunc(batch, p.granted) {
			return
		}
		if err == nil {
			continue
		}
		v, err := p.s.local(ctx)
		if err != nil || p.beat(v) != nil || !p.s.tasker.IsLeader() {
			return
		}
	}
}

func (p *picking) granted(e fsm.Event) bool {
	return e.Kind == fsm.EventJob && e.State == fsm.Picked && e.Worker == p.worker.ID
}

// end takes the order back, so that nothing is granted that no call waits for. When whoever asked has gone, what was
// granted meanwhile goes back on the board.
func (p *picking) end(ctx context.Context) (*fsm.View, []fsm.Grant, error) {
	windUp, cancel := context.WithTimeout(context.WithoutCancel(ctx), windUpTimeout)
	defer cancel()
	v, err := p.order(windUp, 0)
	if err != nil {
		return nil, nil, err
	}
	grants := p.fresh(v)
	if ctx.Err() == nil || len(grants) == 0 {
		return v, grants, nil
	}
	_, _, err = propose[any](windUp, p.s, &fsm.JobStates{
		Worker: p.worker.ID, Incarnation: p.worker.Incarnation, Reports: returnsOf(grants),
	})
	return v, nil, err
}

func returnsOf(grants []fsm.Grant) []fsm.JobReport {
	reports := make([]fsm.JobReport, len(grants))
	for i, g := range grants {
		reports[i] = fsm.JobReport{Job: g.Job, Attempt: g.Attempt, Kind: fsm.ReportReturn, ExitCode: noExitCode}
	}
	return reports
}

func (s *Server) alive(w http.ResponseWriter, r *http.Request) error {
	var in rest.Alive
	if err := decode(w, r, &in); err != nil {
		return err
	}
	running, err := grantsOf(in.Running)
	if err != nil {
		return err
	}
	v, err := s.local(r.Context())
	if err != nil {
		return err
	}
	info, err := joined(v, in.Worker)
	if err != nil {
		return err
	}
	a, err := s.tasker.Beat(info.ID, info.Incarnation, running)
	if err != nil {
		return err
	}
	if !a.Known {
		return lostWorker(in.Worker)
	}
	if v, err = s.local(r.Context()); err != nil { // one that has what the beat found
		return err
	}
	return answer(w, http.StatusOK, rest.AliveAnswer{Stop: attemptsOf(a.Stop), Missing: assignmentsOf(v, a.Missing)})
}

// assignmentsOf describes grants to a worker. One that has moved on meanwhile is left out.
func assignmentsOf(v *fsm.View, grants []fsm.Grant) []rest.Assignment {
	list := make([]rest.Assignment, 0, len(grants))
	for _, g := range grants {
		if j, ok := v.Job(g.Job); ok && j.Attempt == g.Attempt {
			list = append(list, assignmentOf(v, j))
		}
	}
	return list
}

func assignmentOf(v *fsm.View, j fsm.JobInfo) rest.Assignment {
	a := rest.Assignment{
		ID: j.ID.String(), Attempt: j.Attempt, Name: j.Name, Request: j.ID.Request.String(), Spec: workOf(j.Spec),
		Payload: jsonOf(j.Payload), Parents: make(map[string]rest.Parent, len(j.Needs)),
	}
	if r, ok := v.Request(j.ID.Request); ok {
		a.Session = r.Session.String()
	}
	left := parentsBytesMax
	for _, need := range j.Needs {
		parent, ok := v.Job(fsm.JobID{Request: j.ID.Request, Index: need.Job})
		if left -= len(parent.Result); !ok || left < 0 {
			a.ParentsLeftOut++
			continue
		}
		a.Parents[parent.Name], _ = resultOf(parent)
	}
	return a
}

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
	v, err := s.local(r.Context())
	if err != nil {
		return err
	}
	j, ok := v.Job(id)
	if !ok {
		return notFound("job", id.String())
	}
	wid, err := fsm.ParseWorkerID(in.Worker)
	if err != nil {
		return invalid("worker: %v", err)
	}
	if n, limit := len(in.Result), int(v.Limits().ResultBytes); n > limit {
		return problem(rest.CodeTooLarge, "result has %d bytes, at most %d are allowed: put it in a file and report its path", n, limit)
	}
	if in.State != "" {
		j, err = s.reportWord(r.Context(), v, wid, reportOf(id, &in))
	} else if !holds(j, wid, in.Attempt) {
		err = staleAttempt(j, wid, in.Attempt)
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
func (s *Server) reportWord(ctx context.Context, v *fsm.View, w fsm.WorkerID, report fsm.JobReport) (fsm.JobInfo, error) {
	before, _ := v.Job(report.Job)
	info, ok := v.Worker(w)
	if !ok {
		return before, staleAttempt(before, w, report.Attempt)
	}
	codes, v, err := propose[[]fsm.Code](ctx, s, &fsm.JobStates{
		Worker: w, Incarnation: info.Incarnation, Reports: []fsm.JobReport{report},
	})
	var refusal *fsm.Refusal
	if errors.As(err, &refusal) && refusal.Code == fsm.CodeStale { // of the worker as a whole
		return before, staleAttempt(before, w, report.Attempt)
	}
	if err != nil {
		return before, err
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
