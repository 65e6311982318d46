package fsm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestPlays acts the stories in testdata/plays and compares what the state machine says with the script. The script
// is rewritten by go test ./fsm -run Plays -rewrite; read what that changes.
//
// A play has three kinds of scenes:
//
//	submit NAME [session= key= body= max= on-failure=stop hold=yes]   then one job a line:
//	    NAME [needs=a,b:failed] [any=c:ended] [slots=] [priority=] [queue=] [labels=k:v,…] [retry=] [backoff=] [factor=] [longest=] [never=1,2]
//	         [lost=] [timeout=] [after=]
//	do          one command a line, each an entry; "a; b" is one entry of two commands
//	show WHAT   jobs of all requests, workers, history JOB, sessions, deadline
//
// The commands: join W slots= queues= labels= process= as=IDENTITY; pick W [max=N]; done pick W; start|done|fail|return
// W JOB[#ATTEMPT] [error= exit= result= for-good timeout]; progress W JOB PERCENT; lose W [term=]; leave W; drain W;
// undrain W; cancel R; retry R; pause R; resume R; close S; tick; pass D (time passes, without an entry); restart (snapshot and restore);
// keep NAME=VALUE (limits). W@N speaks as the worker's incarnation N.
//
// A line of the answer that is indented is an event.
func TestPlays(t *testing.T) {
	datadriven.Walk(t, "testdata/plays", func(t *testing.T, path string) {
		p := &play{t: t, m: New(), now: 1_700_000_000_000_000_000, workers: map[string]WorkerJoined{}, requests: map[string]RequestID{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			p.t, p.at = t, d.Pos
			switch d.Cmd {
			case "submit":
				return p.submit(d)
			case "do":
				return p.do(d.Input)
			case "show":
				return p.show(d)
			}
			p.fatal("unknown scene %q", d.Cmd)
			return ""
		})
		replayed := New()
		for i, e := range p.log {
			apply(t, replayed, uint64(i+1), e)
		}
		if replayed.Hash() != p.m.Hash() {
			t.Fatal("played again it ends otherwise")
		}
	})
}

type play struct {
	t        *testing.T
	at       string // place in the script
	m        *Machine
	log      [][]byte
	now      int64
	workers  map[string]WorkerJoined
	requests map[string]RequestID
}

func (p *play) fatal(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s: %s", p.at, fmt.Sprintf(format, args...))
}

// entry applies commands and writes down the answers and events.
func (p *play) entry(cmds ...Command) (out string, answers []Answer) {
	var encoded [][]byte
	for _, c := range cmds {
		encoded = append(encoded, Encode(c))
	}
	entry := NewEntry(p.now, encoded...)
	p.log = append(p.log, entry)
	answers, err := p.m.Apply(uint64(len(p.log)), 1, entry)
	if err != nil {
		p.fatal("%v", err)
	}
	if err := p.m.Check(); err != nil {
		p.fatal("%v", err)
	}
	var b strings.Builder
	for _, a := range answers {
		b.WriteString(p.answer(a))
	}
	for _, e := range p.m.Events() {
		b.WriteString("  " + p.event(e) + "\n")
	}
	return b.String(), answers
}

func (p *play) answer(a Answer) string {
	if a.Refusal != nil {
		return a.Refusal.Error() + "\n"
	}
	switch v := a.Value.(type) {
	case nil:
		return "ok\n"
	case []Code:
		words := []string{}
		for _, c := range v {
			words = append(words, c.String())
		}
		return strings.Join(words, ", ") + "\n"
	case []Grant:
		words := []string{}
		if len(v) == 0 {
			return "got nothing\n"
		}
		for _, g := range v {
			words = append(words, fmt.Sprintf("%s#%d", p.jobName(g.Job), g.Attempt))
		}
		return "got " + strings.Join(words, " ") + "\n"
	case WorkerJoined:
		return fmt.Sprintf("worker %d, incarnation %d\n", v.ID, v.Incarnation)
	case RequestSubmitted:
		return fmt.Sprintf("request %d in session %d: %d jobs, %s, repeat %v\n", v.ID, v.Session, v.Jobs, v.State, v.Repeat)
	case SessionOpened:
		return fmt.Sprintf("session %d, created %v\n", v.ID, v.Created)
	case uint32:
		return fmt.Sprintf("%d\n", v)
	}
	p.fatal("an answer of type %T", a.Value)
	return ""
}

func (p *play) event(e Event) string {
	job := ""
	if e.Job.Index != NoJob {
		job = fmt.Sprintf("%s#%d", p.jobName(e.Job), e.Attempt)
	}
	why := ""
	if e.Reason != NoReason {
		why = " (" + e.Reason.String() + ")"
	}
	switch e.Kind {
	case EventJob:
		by := ""
		if e.State.Assigned() {
			by = " by " + p.workerName(e.Worker)
		}
		return job + " " + e.State.String() + by + why
	case EventProgress:
		return fmt.Sprintf("%s %d%%", job, e.Progress)
	case EventRequest:
		return "request " + p.requestName(e.Job.Request) + " " + e.State.String()
	case EventWorker:
		return "worker " + p.workerName(e.Worker)
	case EventStop:
		return p.workerName(e.Worker) + " must stop " + job
	}
	return fmt.Sprintf("%+v", e)
}

func (p *play) workerName(id WorkerID) string {
	for name, w := range p.workers {
		if w.ID == id {
			return name
		}
	}
	if w := p.m.workers.worker(id); w != nil {
		return w.name
	}
	return fmt.Sprint(id)
}

func (p *play) requestName(id RequestID) string {
	if r := p.m.db.request(id); r != nil {
		return r.name
	}
	return fmt.Sprint(uint64(id))
}

// jobName is the job's name, with its request's before it once there are several.
func (p *play) jobName(id JobID) string {
	r := p.m.db.request(id.Request)
	switch {
	case r == nil:
		return "?"
	case len(p.requests) > 1:
		return r.name + "/" + r.dag.name(id.Index)
	}
	return r.dag.name(id.Index)
}

func (p *play) submit(d *datadriven.TestData) string {
	c := SubmitRequest{Session: "s", Name: d.CmdArgs[0].Key}
	opts := map[string]string{}
	for _, a := range d.CmdArgs[1:] {
		opts[a.Key] = strings.Join(a.Vals, ",")
	}
	if s, ok := opts["session"]; ok {
		c.Session = s
	}
	c.Key, c.Body, c.MaxRunning = opts["key"], uint64(p.number(opts["body"])), uint32(p.number(opts["max"]))
	c.Hold = opts["hold"] == "yes"
	if opts["on-failure"] == "stop" {
		c.OnFailure = StopRequest
	}
	index := map[string]uint32{}
	lines := strings.Split(d.Input, "\n")
	for i, line := range lines {
		index[strings.Fields(line)[0]] = uint32(i)
	}
	for i, line := range lines {
		words := strings.Fields(line)
		spec, needs := p.spec(words[1:], index)
		c.Specs = append(c.Specs, spec)
		c.Jobs = append(c.Jobs, JobEntry{Name: words[0], Spec: uint32(i), Needs: needs})
	}
	if _, known := p.requests[c.Name]; !known {
		p.requests[c.Name] = RequestID(len(p.requests) + 1) // so that its events can name it
	}
	out, answers := p.entry(c)
	if v, ok := answers[0].Value.(RequestSubmitted); ok {
		p.requests[c.Name] = v.ID
	}
	return out
}

func (p *play) number(s string) int64 {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		p.fatal("%v", err)
	}
	return n
}

func (p *play) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		p.fatal("%v", err)
	}
	return d
}

func (p *play) pairs(s string) (list []Pair) {
	for _, one := range strings.Split(s, ",") {
		k, v, _ := strings.Cut(one, ":")
		list = append(list, Pair{k, v})
	}
	return list
}

// whens are the conditions of needs.
var whens = map[string]When{"": WhenDone, "failed": WhenFailed, "ended": WhenEnded}

func (p *play) spec(words []string, index map[string]uint32) (s JobSpec, needs []Need) {
	s = simpleSpec()
	for _, word := range words {
		key, v, _ := strings.Cut(word, "=")
		switch key {
		case "needs", "any":
			for _, name := range strings.Split(v, ",") {
				name, when, _ := strings.Cut(name, ":")
				needs = append(needs, Need{Job: index[name], When: whens[when], Any: key == "any"})
			}
		case "slots":
			s.Slots = uint32(p.number(v))
		case "priority":
			s.Priority = int8(p.number(v))
		case "queue":
			s.Queue = v
		case "labels":
			s.Labels = p.pairs(v)
		case "retry":
			s.Retry.Limit = uint32(p.number(v))
		case "backoff":
			s.Retry.Backoff = p.duration(v)
		case "factor":
			s.Retry.Factor = uint32(p.number(v)) * 1000
		case "longest":
			s.Retry.Max = p.duration(v)
		case "never":
			for _, code := range strings.Split(v, ",") {
				s.Retry.Never = append(s.Retry.Never, int32(p.number(code)))
			}
		case "lost":
			s.LostLimit = uint32(p.number(v))
		case "timeout":
			s.Timeout = p.duration(v)
		case "after":
			s.StartAfter = p.duration(v)
		default:
			p.fatal("unknown option %q", word)
		}
	}
	return s, needs
}

// do plays lines, each an entry.
func (p *play) do(input string) string {
	var out strings.Builder
	for _, line := range strings.Split(input, "\n") {
		fmt.Fprintf(&out, "> %s\n", line)
		var cmds []Command
		var joining string
		for _, text := range strings.Split(line, ";") {
			words := strings.Fields(text)
			if words[0] == "pass" || words[0] == "restart" {
				p.between(words)
				continue
			}
			if words[0] == "join" {
				joining = words[1]
			}
			cmds = append(cmds, p.command(words))
		}
		if cmds == nil {
			continue
		}
		said, answers := p.entry(cmds...)
		for _, a := range answers {
			if v, ok := a.Value.(WorkerJoined); ok {
				p.workers[joining] = v
			}
		}
		out.WriteString(said)
	}
	return out.String()
}

// between is what happens without an entry.
func (p *play) between(words []string) {
	if words[0] == "pass" {
		p.now += int64(p.duration(words[1]))
		return
	}
	m, err := Restore(strings.NewReader(string(snapshot(p.t, p.m))))
	if err != nil {
		p.fatal("%v", err)
	}
	if m.Hash() != p.m.Hash() {
		p.fatal("restored to another state")
	}
	p.m = m
}

// who reads W or W@N.
func (p *play) who(word string) (WorkerID, uint32) {
	name, incarnation, as := strings.Cut(word, "@")
	w, ok := p.workers[name]
	if !ok {
		p.fatal("nobody is called %q", name)
	}
	if as {
		return w.ID, uint32(p.number(incarnation))
	}
	return w.ID, w.Incarnation
}

// what reads [REQUEST/]JOB[#ATTEMPT].
func (p *play) what(word string) (JobID, uint32) {
	path, attempt, has := strings.Cut(word, "#")
	var candidates []RequestID
	name := path
	if r, job, ok := strings.Cut(path, "/"); ok {
		candidates, name = []RequestID{p.requests[r]}, job
	} else {
		for _, id := range p.requests {
			candidates = append(candidates, id)
		}
		slices.Sort(candidates)
	}
	v := p.m.View()
	for _, id := range candidates {
		if j, ok := v.JobByName(id, name); ok {
			if has {
				return j.ID, uint32(p.number(attempt))
			}
			return j.ID, j.Attempt
		}
	}
	if len(candidates) == 1 {
		return JobID{candidates[0], 0}, uint32(p.number(attempt)) // reaped, perhaps
	}
	p.fatal("no job %q", word)
	return JobID{}, 0
}

func (p *play) option(words []string, name string) (string, bool) {
	for _, w := range words {
		if k, v, _ := strings.Cut(w, "="); k == name {
			return v, true
		}
	}
	return "", false
}

var reportKinds = map[string]ReportKind{"start": ReportStart, "done": ReportDone, "fail": ReportFailed, "return": ReportReturn}

func (p *play) command(words []string) Command {
	if kind, ok := reportKinds[words[0]]; ok {
		return p.report(kind, words[1:])
	}
	switch words[0] {
	case "join":
		return p.join(words[1:])
	case "pick":
		w, inc := p.who(words[1])
		if n, some := p.option(words, "max"); some {
			return PickJobs{Worker: w, Incarnation: inc, Max: uint32(p.number(n))}
		}
		return PickJobs{Worker: w, Incarnation: inc, Max: 1, Standing: true}
	case "progress":
		_, _ = p.who(words[1])
		job, attempt := p.what(words[2])
		return Progress{Items: []ProgressItem{{Job: job, Attempt: attempt, Percent: uint8(p.number(words[3]))}}}
	case "lose":
		w, inc := p.who(words[1])
		term := int64(1)
		if t, ok := p.option(words, "term"); ok {
			term = p.number(t)
		}
		return ReassignWorker{Worker: w, Incarnation: inc, Term: uint64(term), Cause: "no beat"}
	case "leave":
		w, inc := p.who(words[1])
		return LeaveWorker{Worker: w, Incarnation: inc}
	case "drain", "undrain":
		w, _ := p.who(words[1])
		return DrainWorker{Worker: w, Undo: words[0] == "undrain"}
	case "cancel":
		return CancelRequest{ID: p.requests[words[1]]}
	case "pause":
		return PauseRequest{ID: p.requests[words[1]]}
	case "resume":
		return ResumeRequest{ID: p.requests[words[1]]}
	case "retry":
		return RetryRequest{ID: p.requests[words[1]]}
	case "open":
		return OpenSession{Name: words[1]}
	case "close":
		s, _ := p.m.View().SessionByName(words[1])
		return CloseSession{ID: s.ID}
	case "tick":
		return Tick{Term: 1}
	case "keep":
		return SetLimits{Limits: p.limits(words[1:])}
	}
	p.fatal("unknown command %q", words)
	return nil
}

func (p *play) report(kind ReportKind, words []string) Command {
	w, inc := p.who(words[0])
	r := JobReport{Kind: kind}
	r.Job, r.Attempt = p.what(words[1])
	r.Error, _ = p.option(words, "error")
	exit, _ := p.option(words, "exit")
	r.ExitCode = int32(p.number(exit))
	if result, ok := p.option(words, "result"); ok {
		r.Result = []byte(result)
	}
	_, r.NoRetry = p.option(words, "for-good")
	_, r.Timeout = p.option(words, "timeout")
	return JobStates{Worker: w, Incarnation: inc, Reports: []JobReport{r}}
}

func (p *play) join(words []string) Command {
	c := JoinWorker{Name: words[0], Identity: words[0], Process: 1, Queues: []string{"default"}, Slots: 1}
	for _, word := range words[1:] {
		key, v, _ := strings.Cut(word, "=")
		switch key {
		case "slots":
			c.Slots = uint32(p.number(v))
		case "queues":
			c.Queues = strings.Split(v, ",")
		case "labels":
			c.Labels = p.pairs(v)
		case "process":
			c.Process = uint64(p.number(v))
		case "as":
			c.Identity = v
		default:
			p.fatal("unknown option %q", word)
		}
	}
	return c
}

func (p *play) limits(words []string) Limits {
	l := p.m.limits
	for _, word := range words {
		key, v, _ := strings.Cut(word, "=")
		switch key {
		case "for":
			l.KeepFor = p.duration(v)
		case "keys":
			l.KeepKeys = p.duration(v)
		case "requests":
			l.KeepRequests = uint32(p.number(v))
		case "jobs":
			l.KeepJobs = uint64(p.number(v))
		case "live":
			l.LiveJobs = uint64(p.number(v))
		case "sessions":
			l.Sessions = uint32(p.number(v))
		case "steps":
			l.Steps = uint32(p.number(v))
		case "keys-at-most":
			l.Keys = uint32(p.number(v))
		default:
			p.fatal("unknown limit %q", word)
		}
	}
	return l
}
