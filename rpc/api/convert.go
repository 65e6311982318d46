package api

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/rpc/wire"
)

// Words for fsm.OnFailure, by value.
var onFailureWords = [...]string{fsm.CancelDependents: "cancel", fsm.StopRequest: "stop"}

// whenWords are for fsm.When, by value.
var whenWords = [...]string{fsm.WhenDone: rest.WhenDone, fsm.WhenFailed: "failed", fsm.WhenEnded: "ended"}

// factorUnit is what a retry factor is counted in: thousandths.
const factorUnit = 1000

// Defaults of a retry that is asked for without saying how.
const (
	retryBackoff = time.Second
	retryMax     = time.Minute
)

// submitOf brings a spec into the canonical form in which it is replicated. It returns a *wire.SpecError when the
// spec is not a DAG or a value is out of range.
func submitOf(spec *rest.RequestSpec) (*fsm.SubmitRequest, error) {
	w := wire.RequestSpec{
		Name: spec.Name, Session: spec.Session, MaxRunning: spec.MaxRunning,
		OnFailure: wire.OnFailure(wordIndex(onFailureWords[:], spec.OnFailure)),
		Jobs:      make([]wire.JobDef, len(spec.Jobs)),
	}
	for i := range spec.Jobs {
		j := &spec.Jobs[i]
		w.Jobs[i] = wire.JobDef{Name: j.Name, Spec: wireSpec(&j.Work), Payload: j.Payload, Needs: wireNeeds(j.Needs, j.NeedsAny)}
	}
	if spec.Hold {
		w.OnFailure |= wire.Hold
	}
	s, err := wire.Canonical(&w)
	if err != nil {
		return nil, err
	}
	return fsmSubmit(s), nil
}

// wordIndex finds a word; "" is the first. What is not there becomes a number that the canonical form refuses.
func wordIndex(words []string, word string) uint8 {
	for i, w := range words {
		if w == word || word == "" {
			return uint8(i)
		}
	}
	return math.MaxUint8
}

func wireNeeds(all, anyOf []rest.Need) []wire.NeedDef {
	if len(all)+len(anyOf) == 0 {
		return nil
	}
	list := make([]wire.NeedDef, 0, len(all)+len(anyOf))
	for _, n := range all {
		list = append(list, wire.NeedDef{Job: n.Job, When: wire.When(wordIndex(whenWords[:], n.When))})
	}
	for _, n := range anyOf {
		list = append(list, wire.NeedDef{Job: n.Job, When: wire.When(wordIndex(whenWords[:], n.When)) | wire.WhenAny})
	}
	return list
}

func wireSpec(w *rest.Work) wire.Spec {
	s := wire.Spec{
		Env: wirePairs(w.Env), Dir: w.Dir, Queue: w.Queue, Labels: wirePairs(w.Labels), Slots: w.Slots,
		Priority: int8(min(max(w.Priority, math.MinInt8), math.MaxInt8)), Timeout: time.Duration(w.Timeout),
		StartAfter: w.StartAfter.Delay, StartAt: w.StartAfter.At, Retry: wireRetry(w.Retry), LostLimit: wire.DefaultLostLimit,
	}
	if w.LostLimit != nil {
		s.LostLimit = *w.LostLimit
	}
	s.Kind, s.Args = wireAction(w)
	return s
}

// wireAction gives no kind, which is refused, unless exactly one is set.
func wireAction(w *rest.Work) (kind wire.WorkKind, args []string) {
	set := 0
	if w.Command != nil {
		kind, args, set = wire.WorkCommand, w.Command, set+1
	}
	if w.Shell != "" {
		kind, args, set = wire.WorkShell, []string{w.Shell}, set+1
	}
	if w.Handler != "" {
		kind, args, set = wire.WorkHandler, []string{w.Handler}, set+1
	}
	if set != 1 {
		return 0, nil
	}
	return kind, args
}

func wireRetry(r *rest.Retry) wire.Retry {
	if r == nil {
		return wire.Retry{}
	}
	out := wire.Retry{Limit: r.Limit, Backoff: retryBackoff, Factor: wire.DefaultRetryFactor, Max: retryMax, Never: r.Never}
	if r.Backoff != nil {
		out.Backoff = time.Duration(*r.Backoff)
	}
	if r.Factor != nil {
		out.Factor = uint32(min(max(math.Round(*r.Factor*factorUnit), 1), math.MaxUint32))
	}
	if r.Max != nil {
		out.Max = time.Duration(*r.Max)
	}
	return out
}

// wirePairs need not sort: the canonical form does.
func wirePairs(m map[string]string) []wire.Pair {
	if len(m) == 0 {
		return nil
	}
	pairs := make([]wire.Pair, 0, len(m))
	for k, v := range m {
		pairs = append(pairs, wire.Pair{Key: k, Value: v})
	}
	return pairs
}

func fsmSubmit(w *wire.Submit) *fsm.SubmitRequest {
	s := &fsm.SubmitRequest{
		Session: w.Session, Name: w.Name, Key: w.Key, Body: w.Body, MaxRunning: w.MaxRunning,
		OnFailure: fsm.OnFailure(w.OnFailure.Policy()), Hold: w.OnFailure.Held(),
		Specs: make([]fsm.JobSpec, len(w.Specs)), Jobs: make([]fsm.JobEntry, len(w.Jobs)),
	}
	for i := range w.Specs {
		s.Specs[i] = fsmSpec(&w.Specs[i])
	}
	for i := range w.Jobs {
		j := &w.Jobs[i]
		s.Jobs[i] = fsm.JobEntry{Name: j.Name, Spec: j.Spec, Payload: j.Payload, Needs: fsmNeeds(j.Needs)}
	}
	return s
}

func fsmSpec(w *wire.Spec) fsm.JobSpec {
	s := fsm.JobSpec{
		Kind: fsm.WorkKind(w.Kind), Args: w.Args, Env: fsmPairs(w.Env), Dir: w.Dir, Queue: w.Queue, Labels: fsmPairs(w.Labels),
		Slots: w.Slots, Priority: w.Priority, Timeout: w.Timeout, StartAfter: w.StartAfter, LostLimit: w.LostLimit,
		Retry: fsm.Retry(w.Retry),
	}
	if !w.StartAt.IsZero() {
		s.StartAt = w.StartAt.UnixNano()
	}
	return s
}

func fsmNeeds(w []wire.Need) []fsm.Need {
	if len(w) == 0 {
		return nil
	}
	needs := make([]fsm.Need, len(w))
	for i, n := range w {
		needs[i] = fsm.Need{Job: n.Job, When: fsm.When(n.When.Condition()), Any: n.When.Any()}
	}
	return needs
}

func fsmPairs(w []wire.Pair) []fsm.Pair {
	if len(w) == 0 {
		return nil
	}
	pairs := make([]fsm.Pair, len(w))
	for i, p := range w {
		pairs[i] = fsm.Pair(p)
	}
	return pairs
}

func submittedOf(a fsm.RequestSubmitted) rest.Submitted {
	return rest.Submitted{ID: a.ID.String(), Session: a.Session.String(), Jobs: a.Jobs, State: a.State.String(), Repeat: a.Repeat}
}

func sessionOf(i fsm.SessionInfo) rest.Session {
	state := "open"
	if i.Closed {
		state = "closed"
	}
	return rest.Session{ID: i.ID.String(), Name: i.Name, State: state, Created: i.Created, Requests: i.Requests, Live: i.Live}
}

func countsOf(c fsm.Counts) rest.Counts {
	return rest.Counts{
		Waiting: c[fsm.Waiting], Ready: c[fsm.Ready], Delayed: c[fsm.Delayed], Picked: c[fsm.Picked],
		Running: c[fsm.Running], Done: c[fsm.Done], Failed: c[fsm.Failed], Cancelled: c[fsm.Cancelled],
	}
}

func requestOf(i fsm.RequestInfo) rest.Request {
	r := rest.Request{
		ID: i.ID.String(), Session: i.Session.String(), SessionName: i.SessionName, Name: i.Name, State: i.State.String(),
		Jobs: i.Jobs, Counts: countsOf(i.Counts), MaxRunning: i.MaxRunning, OnFailure: onFailureWords[i.OnFailure],
		Pause: i.Pause.String(), IdempotencyKey: i.Key, Index: i.Index, Created: i.Created, Ended: i.Ended,
	}
	if i.Jobs > 0 {
		r.Progress = uint8(r.Counts.Ended() * 100 / uint64(i.Jobs))
	}
	r.Reason = requestReason(r)
	return r
}

func requestReason(r rest.Request) string {
	of := " of " + strconv.FormatUint(uint64(r.Jobs), 10) + " jobs "
	switch r.State {
	case rest.StateFailed:
		return strconv.FormatUint(r.Counts.Failed, 10) + of + "failed"
	case rest.StateCancelled:
		return strconv.FormatUint(r.Counts.Cancelled, 10) + of + "were cancelled"
	}
	return ""
}

// names gives the names of jobs.
type names interface {
	JobName(id fsm.JobID) string
}

func jobOf(i fsm.JobInfo, n names) rest.Job {
	j := rest.Job{
		ID: i.ID.String(), Request: i.ID.Request.String(), Name: i.Name, State: i.State.String(), Reason: i.Reason.String(),
		Attempt: i.Attempt, Retries: i.Retries, Lost: i.Lost, WorkerName: i.WorkerName, Progress: i.Progress,
		ProgressText: i.ProgressText, Payload: jsonOf(i.Payload), Error: i.Error,
		ExitCode: exitCodeOf(i.State, i.Reason, i.ExitCode), Spec: workOf(i.Spec),
		Times: rest.Times{
			Submitted: i.Times.Submitted, Ready: i.Times.Ready, Picked: i.Times.Picked, Started: i.Times.Started,
			Ended: i.Times.Ended, NotBefore: i.Times.NotBefore,
		},
	}
	j.Needs, j.NeedsAny = needsOf(i.ID.Request, i.Needs, n)
	if i.Worker != 0 {
		j.Worker = i.Worker.String()
	}
	j.Result, j.ResultEncoding = resultOf(i)
	if i.Cause != fsm.NoJob {
		cause := fsm.JobID{Request: i.ID.Request, Index: i.Cause}
		j.Cause = &rest.JobRef{ID: cause.String(), Name: n.JobName(cause)}
	}
	return j
}

func resultOf(i fsm.JobInfo) (rest.Raw, string) {
	return rest.EncodeResult(i.Result, i.ResultJSON && json.Valid(i.Result))
}

// jsonOf shows bytes that should be JSON.
func jsonOf(b []byte) rest.Raw {
	value, _ := rest.EncodeResult(b, json.Valid(b))
	return value
}

// exitCodeOf is nil unless a process ended.
func exitCodeOf(s fsm.State, r fsm.Reason, code int32) *int32 {
	if code < 0 || s != fsm.Done && r != fsm.ReasonError && r != fsm.ReasonTimeout {
		return nil
	}
	return &code
}

// needsOf tells the needs all of which must be met from those of which any is enough.
func needsOf(request fsm.RequestID, needs []fsm.Need, n names) (all, anyOf []rest.Need) {
	all = make([]rest.Need, 0, len(needs))
	for _, need := range needs {
		doc := rest.Need{Job: n.JobName(fsm.JobID{Request: request, Index: need.Job})}
		if need.When != fsm.WhenDone {
			doc.When = whenWords[need.When]
		}
		if need.Any {
			anyOf = append(anyOf, doc)
		} else {
			all = append(all, doc)
		}
	}
	return all, anyOf
}

func workOf(s *fsm.JobSpec) rest.Work {
	w := rest.Work{
		Env: mapOf(s.Env), Dir: s.Dir, Queue: s.Queue, Labels: mapOf(s.Labels), Slots: s.Slots, Priority: int(s.Priority),
		Timeout: rest.Duration(s.Timeout), StartAfter: rest.StartAfter{Delay: s.StartAfter}, Retry: retryOf(s.Retry),
		LostLimit: &s.LostLimit,
	}
	if s.StartAt != 0 {
		w.StartAfter = rest.StartAfter{At: time.Unix(0, s.StartAt).UTC()}
	}
	switch s.Kind {
	case fsm.WorkCommand:
		w.Command = s.Args
	case fsm.WorkShell:
		w.Shell = s.Args[0]
	case fsm.WorkHandler:
		w.Handler = s.Args[0]
	}
	return w
}

func retryOf(r fsm.Retry) *rest.Retry {
	if r.Limit == 0 {
		return nil
	}
	backoff, factor, highest := rest.Duration(r.Backoff), float64(r.Factor)/factorUnit, rest.Duration(r.Max)
	return &rest.Retry{Limit: r.Limit, Backoff: &backoff, Factor: &factor, Max: &highest, Never: r.Never}
}

func mapOf(pairs []fsm.Pair) map[string]string {
	if len(pairs) == 0 {
		return nil
	}
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		m[p.Key] = p.Value
	}
	return m
}

func stepOf(s fsm.Step) rest.Step {
	step := rest.Step{
		Index: s.Index, Time: s.At, State: s.State.String(), Attempt: s.Attempt, Reason: s.Reason.String(),
		Progress: s.Progress, Error: s.Error, ExitCode: exitCodeOf(s.State, s.Reason, s.ExitCode),
	}
	if s.Worker != 0 {
		step.Worker = s.Worker.String()
	}
	return step
}

func nodeOf(i fsm.JobInfo, n names) rest.Node {
	node := rest.Node{
		ID: i.ID.String(), Name: i.Name, State: i.State.String(), Reason: i.Reason.String(), Attempt: i.Attempt,
		WorkerName: i.WorkerName, Progress: i.Progress,
	}
	node.Needs, node.NeedsAny = needsOf(i.ID.Request, i.Needs, n)
	return node
}

// beats tells when workers were last heard.
type beats interface {
	LastBeat(w fsm.WorkerID) (time.Time, bool)
}

func workerOf(i fsm.WorkerInfo, b beats) rest.Worker {
	w := rest.Worker{
		ID: i.ID.String(), Name: i.Name, Queues: i.Queues, Labels: mapOf(i.Labels), Slots: i.Slots, Used: i.Used,
		Running: i.Running, State: workerState(i), Joined: i.Joined,
	}
	if w.Labels == nil {
		w.Labels = map[string]string{}
	}
	if at, ok := b.LastBeat(i.ID); ok {
		w.LastBeat = at.UTC()
	}
	return w
}

func workerState(i fsm.WorkerInfo) string {
	switch {
	case i.Lost:
		return rest.WorkerLost
	case i.Draining:
		return rest.WorkerDraining
	}
	return rest.WorkerAlive
}

func attemptsOf(grants []fsm.Grant) []rest.Attempt {
	list := make([]rest.Attempt, len(grants))
	for i, g := range grants {
		list[i] = rest.Attempt{ID: g.Job.String(), Attempt: g.Attempt}
	}
	return list
}

func grantsOf(attempts []rest.Attempt) ([]fsm.Grant, error) {
	list := make([]fsm.Grant, len(attempts))
	for i, a := range attempts {
		id, err := fsm.ParseJobID(a.ID)
		if err != nil {
			return nil, invalid("running[%d].id: %v", i, err)
		}
		list[i] = fsm.Grant{Job: id, Attempt: a.Attempt}
	}
	return list, nil
}

// reportKinds are the words of a worker.
var reportKinds = map[string]fsm.ReportKind{
	rest.ReportStart: fsm.ReportStart, rest.ReportDone: fsm.ReportDone, rest.ReportFailed: fsm.ReportFailed,
	rest.ReportReturn: fsm.ReportReturn,
}

// noExitCode says that there was no process.
const noExitCode = -1

func reportOf(job fsm.JobID, r *rest.Report) fsm.JobReport {
	out := fsm.JobReport{
		Job: job, Attempt: r.Attempt, Kind: reportKinds[r.State], Result: r.Result, JSON: len(r.Result) > 0,
		Error: r.Error, ExitCode: noExitCode, NoRetry: r.Retry != nil && !*r.Retry,
	}
	if r.ExitCode != nil {
		out.ExitCode = *r.ExitCode
	}
	return out
}

// eventOf fills in the names as v knows them: what has been forgotten since has none.
func eventOf(e fsm.Event, v *fsm.View) rest.Event {
	doc := rest.Event{
		Index: e.Index, Time: time.Unix(0, e.Now).UTC(), State: e.State.String(), Reason: e.Reason.String(),
		Attempt: e.Attempt, Progress: e.Progress,
	}
	if e.Worker != 0 {
		w, _ := v.Worker(e.Worker)
		doc.Worker, doc.WorkerName = e.Worker.String(), w.Name
		if e.Kind == fsm.EventWorker {
			doc.State = workerState(w)
		}
	}
	if e.Kind != fsm.EventWorker {
		doc.Request, doc.Session = e.Job.Request.String(), e.Session.String()
		r, _ := v.Request(e.Job.Request)
		doc.RequestName, doc.SessionName = r.Name, r.SessionName
	}
	switch e.Kind {
	case fsm.EventJob, fsm.EventProgress:
		doc.Type = rest.EventJob
		if e.Kind == fsm.EventProgress {
			doc.Type = rest.EventProgress
		}
		doc.Job, doc.JobName = e.Job.String(), v.JobName(e.Job)
	case fsm.EventRequest:
		doc.Type = rest.EventRequest
		r, _ := v.Request(e.Job.Request)
		doc.Pause = r.Pause.String()
	case fsm.EventWorker:
		doc.Type = rest.EventWorker
	}
	return doc
}

func coordinatorOf(s cluster.Server) rest.Coordinator {
	return rest.Coordinator{
		ID: s.ID, Name: s.Name, RPC: s.RPC, HTTP: s.HTTP, Voter: s.Voter, Leader: s.Leader, Alive: s.Alive,
		LastContact: sinceContact(s.LastContact), Applied: s.Applied,
	}
}

// sinceContact leaves out what is negative: never.
func sinceContact(d time.Duration) rest.Duration { return rest.Duration(max(d, 0)) }

func leaderOf(p cluster.Peer) *rest.Leader {
	return &rest.Leader{ID: p.ID, Name: p.Name, Address: p.RPC, HTTP: p.HTTP, Term: p.Term}
}

func raftOf(s cluster.Status) rest.RaftStatus {
	return rest.RaftStatus{
		State: strings.ToLower(s.RaftState), Term: s.Term, Applied: s.Applied, Committed: s.Committed, Last: s.LastLog,
		Hash: hashText(s.StateHash), HashIndex: s.HashIndex, LastContact: sinceContact(s.LastContact),
	}
}

// hashText is of fixed width, so that hashes can be compared by eye.
func hashText(h uint64) string {
	const width = 16
	s := strconv.FormatUint(h, 16)
	return "0000000000000000"[:width-len(s)] + s
}
