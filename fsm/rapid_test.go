package fsm

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAgainstTheModel writes random logs, lets the Machine and the model apply them and compares all that they say,
// entry by entry. On the way the Machine is exchanged for one restored from its snapshot, views are taken that must
// not change, and at the end the log is replayed.
//
// More of it: go test ./fsm -run Model -rapid.checks=100000 -rapid.steps=100
func TestAgainstTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDuel(t)
		actions := map[string]func(*rapid.T){"": func(*rapid.T) {}}
		for name, draw := range d.commands() {
			actions[name] = func(t *rapid.T) { d.entry(t, draw(t)) }
		}
		actions["entry of several"] = d.several
		actions["all report"] = d.allReport
		actions["all are done"] = func(t *rapid.T) { d.everyWorker(t, ReportDone) }
		actions["time passes"] = d.passTime
		actions["snapshot"] = d.restore
		actions["view"] = func(t *rapid.T) { d.views = append(d.views, keptView{d.m.View(), digest(d.m.View())}) }
		for range 3 { // one Repeat is too short a life for much to happen in
			t.Repeat(actions)
		}
		d.finish(t)
	})
}

// duel is a Machine and its model, with the log that both have seen.
type duel struct {
	m     *Machine
	model *model
	log   [][]byte
	now   int64
	views []keptView

	parted []SubmitRequest // those that come in parts; Upload is the place plus one
	sent   []int           // jobs of each
}

type keptView struct {
	view   *View
	digest string
}

const duelTerm = 3

func newDuel(t *rapid.T) *duel {
	d := &duel{m: New(), model: newModel(), now: 1_700_000_000_000_000_000}
	d.entry(t)
	d.entry(t, d.joinOf(t, "i1", 1), d.joinOf(t, "i2", 1))
	d.entry(t, PickJobs{Worker: 1, Incarnation: 1, Max: 1, Standing: true})
	d.entry(t, PickJobs{Worker: 2, Incarnation: 1, Max: 2})
	d.entry(t, d.submit(t))
	return d
}

// entry applies commands as one entry to both. A PickJobs must come last: then all grants of the entry come after all
// else that it does, which is what the model can follow.
func (d *duel) entry(t *rapid.T, cmds ...Command) {
	encoded := make([][]byte, len(cmds))
	for i, c := range cmds {
		encoded[i] = Encode(c)
	}
	entry := NewEntry(d.now, encoded...)
	d.log = append(d.log, entry)
	index := uint64(len(d.log))
	answers, err := d.m.Apply(index, duelTerm, entry)
	if err != nil {
		t.Fatalf("entry %d: %v", index, err)
	}
	d.model.now = max(d.model.now, d.now)
	var picker WorkerID
	for i, c := range cmds {
		want, code := d.model.do(c, duelTerm)
		if got := answers[i]; codeOf(got) != code {
			t.Fatalf("entry %d: %T %+v is answered %+v, want %s", index, c, c, got, code)
		}
		if pick, ok := c.(PickJobs); ok {
			picker = pick.Worker
		} else if got := fmt.Sprintf("%+v", answers[i].Value); code == CodeOK && got != fmt.Sprintf("%+v", want) {
			t.Fatalf("entry %d: %T %+v is answered %s, want %+v", index, c, c, got, want)
		}
	}
	d.grants(t, picker, answers)
	d.model.retain()
	d.compare(t)
}

func codeOf(a Answer) Code {
	if a.Refusal != nil {
		return a.Refusal.Code
	}
	return CodeOK
}

// grants tells the model who got what, and sees that the answer to a PickJobs says the same.
func (d *duel) grants(t *rapid.T, picker WorkerID, answers []Answer) {
	var picked []Grant
	for _, e := range d.m.Events() {
		if e.Index != d.m.Index() || e.Now != d.m.Now() {
			t.Fatalf("event %+v in entry %d at %d", e, d.m.Index(), d.m.Now())
		}
		if e.Kind != EventJob || e.State != Picked {
			continue
		}
		g := Grant{e.Job, e.Attempt}
		if objection := d.model.grant(g, e.Worker); objection != "" {
			t.Fatalf("entry %d grants %+v to %s: %s", d.m.Index(), g, e.Worker, objection)
		}
		if e.Worker == picker {
			picked = append(picked, g)
		}
	}
	if picker != 0 && answers[len(answers)-1].Refusal == nil {
		if got, _ := answers[len(answers)-1].Value.([]Grant); !slices.Equal(got, picked) {
			t.Fatalf("the pick is answered %+v, granted were %+v", got, picked)
		}
	}
	if j, w := d.model.leftover(); j != nil {
		t.Fatalf("entry %d: job %s could go to worker %s and was left", d.m.Index(), j.id, w.id)
	}
}

// compare looks at everything that both show.
func (d *duel) compare(t *rapid.T) {
	if err := d.m.Check(); err != nil {
		t.Fatalf("after entry %d: %v", d.m.Index(), err)
	}
	v := d.m.View()
	want, got := d.model.describe(), describe(v)
	if want != got {
		t.Fatalf("after entry %d:\n%s", d.m.Index(), difference(want, got))
	}
	for _, r := range v.Requests(RequestFilter{Limit: 1 << 20}) {
		for _, j := range v.Jobs(r.ID, JobFilter{After: -1, Limit: 1 << 20}) {
			checkHistory(t, v, j)
		}
	}
	for _, e := range d.m.Events() {
		if j, ok := v.Job(e.Job); e.Kind == EventStop && ok && j.State.Assigned() && j.Worker == e.Worker && j.Attempt == e.Attempt {
			t.Fatalf("%s was told to stop %s, which it holds", e.Worker, e.Job)
		}
	}
}

// checkHistory sees that a job's history runs forward and ends where the job is.
func checkHistory(t *rapid.T, v *View, j JobInfo) {
	steps := v.History(j.ID)
	var last Step
	for _, s := range steps {
		if s.Index < last.Index || s.At.Before(last.At) || s.Attempt != 0 && s.Attempt < last.Attempt {
			t.Fatalf("the history of job %s goes back: %+v", j.ID, steps)
		}
		last = Step{Index: s.Index, At: s.At, Attempt: max(last.Attempt, s.Attempt), State: s.State}
	}
	revived := j.State == Waiting && last.State.Terminal() // a history does not say when a request was retried
	if last.State != j.State && !revived || last.Index > v.Index() {
		t.Fatalf("job %s is %s, its history ends in %s: %+v", j.ID, j.State, last.State, steps)
	}
}

// describe writes down what a view shows, in the words of model.describe.
func describe(v *View) string {
	var b strings.Builder
	for _, s := range v.Sessions(0, 1<<20) {
		fmt.Fprintf(&b, "session %d %q closed %v\n", s.ID, s.Name, s.Closed)
	}
	for _, w := range v.Workers() {
		held := v.Held(w.ID)
		slices.SortFunc(held, func(a, b Grant) int { return bytes.Compare([]byte(a.Job.String()), []byte(b.Job.String())) })
		ids := []JobID{}
		for _, g := range held {
			ids = append(ids, g.Job)
		}
		fmt.Fprintf(&b, "worker %d incarnation %d slots %d gone %v draining %v holds %v\n", w.ID, w.Incarnation, w.Slots, w.Lost, w.Draining, ids)
	}
	requests := v.Requests(RequestFilter{Limit: 1 << 20})
	slices.Reverse(requests)
	for _, r := range requests {
		fmt.Fprintf(&b, "request %d of %d: %s paused %v ended %v counts %v\n", r.ID, r.Session, r.State, r.Pause != NotPaused, !r.Ended.IsZero(), r.Counts)
		for _, j := range v.Jobs(r.ID, JobFilter{After: -1, Limit: 1 << 20}) {
			due := int64(0)
			if !j.Times.NotBefore.IsZero() {
				due = j.Times.NotBefore.UnixNano()
			}
			fmt.Fprintf(&b, "  %d %s: %s reason %q attempt %d by %d retries %d lost %d cause %d progress %d due %d result %q error %q exit %d\n", j.ID.Index, j.Name,
				j.State, j.Reason, j.Attempt, j.Worker, j.Retries, j.Lost, int32(j.Cause), j.Progress, due, j.Result, shortError(j.Error), j.ExitCode)
		}
	}
	return b.String()
}

func (m *model) describe() string {
	var b strings.Builder
	for _, s := range m.sessions {
		if !s.reaped {
			fmt.Fprintf(&b, "session %d %q closed %v\n", s.id, s.name, s.closed)
		}
	}
	for _, w := range m.workers {
		if !w.removed {
			ids := append([]JobID{}, m.heldBy(w.id)...)
			fmt.Fprintf(&b, "worker %d incarnation %d slots %d gone %v draining %v holds %v\n", w.id, w.incarnation, w.cmd.Slots, w.gone, w.draining, ids)
		}
	}
	for _, r := range m.requests {
		if r.reaped {
			continue
		}
		var counts Counts
		for _, j := range r.jobs {
			counts[j.state]++
		}
		fmt.Fprintf(&b, "request %d of %d: %s paused %v ended %v counts %v\n", r.id, r.session, r.state, r.paused, r.state != Running, counts)
		for i, j := range r.jobs {
			due := int64(0)
			if j.state == Delayed {
				due = j.due
			}
			fmt.Fprintf(&b, "  %d %s: %s reason %q attempt %d by %d retries %d lost %d cause %d progress %d due %d result %q error %q exit %d\n", i, r.cmd.Jobs[i].Name,
				j.state, j.reason, j.attempt, j.worker, j.retries, j.lost, int32(j.cause), j.progress, due, j.result, shortError(j.err), j.exit)
		}
	}
	return b.String()
}

// shortError leaves out how the loss of a worker is told.
func shortError(s string) string {
	if strings.HasPrefix(s, "its worker was lost") {
		return "lost"
	}
	return s
}

// difference shows the lines in which two texts differ.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out strings.Builder
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			fmt.Fprintf(&out, "want %s\ngot  %s\n", x, y)
		}
	}
	return out.String()
}

// digest is all that a view shows, history and specs too.
func digest(v *View) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %x %v %v\n%s", v.Index(), v.Time(), v.Hash(), v.Counts(), v.Limits(), describe(v))
	for _, r := range v.Requests(RequestFilter{Limit: 1 << 20}) {
		fmt.Fprintf(&b, "%+v\n", r)
		for _, j := range v.Jobs(r.ID, JobFilter{After: -1, Limit: 1 << 20}) {
			fmt.Fprintf(&b, "%+v\n%+v\n", *j.Spec, v.History(j.ID))
			j.Spec = nil
			fmt.Fprintf(&b, "%+v\n", j)
		}
	}
	fmt.Fprintf(&b, "%+v %+v\n", v.Workers(), v.Sessions(0, 1<<20))
	return b.String()
}

// restore exchanges the machine for one that is read from its snapshot.
func (d *duel) restore(t *rapid.T) {
	var buf bytes.Buffer
	if _, err := d.m.View().WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	m, err := Restore(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if m.Hash() != d.m.Hash() || m.Index() != d.m.Index() || m.Now() != d.m.Now() || m.Counts() != d.m.Counts() {
		t.Fatalf("restored: hash %x at %d, counts %v; was %x at %d, %v", m.Hash(), m.Index(), m.Counts(), d.m.Hash(), d.m.Index(), d.m.Counts())
	}
	at, some := d.m.NextDeadline()
	if restoredAt, restoredSome := m.NextDeadline(); restoredAt != at || restoredSome != some {
		t.Fatalf("restored: next deadline %d %v, was %d %v", restoredAt, restoredSome, at, some)
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	d.m = m
}

// finish looks at the old views again and replays the log.
func (d *duel) finish(t *rapid.T) {
	for _, k := range d.views {
		if now := digest(k.view); now != k.digest {
			t.Fatalf("the view of entry %d has changed:\n%s", k.view.Index(), difference(k.digest, now))
		}
	}
	m := New()
	for i, entry := range d.log {
		if _, err := m.Apply(uint64(i+1), duelTerm, entry); err != nil {
			t.Fatal(err)
		}
	}
	if m.Hash() != d.m.Hash() || digest(m.View()) != digest(d.m.View()) {
		t.Fatalf("the replay came to another state:\n%s", difference(digest(d.m.View()), digest(m.View())))
	}
}

// commands are the kinds of commands that can be drawn.
func (d *duel) commands() map[string]func(*rapid.T) Command {
	return map[string]func(*rapid.T) Command{
		"open": func(t *rapid.T) Command { return OpenSession{Name: sessionName(t)} },
		"close": func(t *rapid.T) Command {
			return CloseSession{ID: SessionID(rapid.IntRange(0, len(d.model.sessions)+1).Draw(t, "session"))}
		},
		"submit":   func(t *rapid.T) Command { return d.submit(t) },
		"submit 2": func(t *rapid.T) Command { return d.submit(t) },
		"begin":    d.beginParts,
		"part":     d.nextPart,
		"part 2":   d.nextPart,
		"part 3":   d.nextPart,
		"drop": func(t *rapid.T) Command {
			return DropSubmit{Upload: uint64(rapid.IntRange(1, max(1, len(d.parted))).Draw(t, "upload"))}
		},
		"cancel": func(t *rapid.T) Command { return CancelRequest{ID: d.request(t)} },
		"retry":  func(t *rapid.T) Command { return RetryRequest{ID: d.request(t)} },
		"pause":  func(t *rapid.T) Command { return PauseRequest{ID: d.request(t)} },
		"resume": func(t *rapid.T) Command { return ResumeRequest{ID: d.request(t)} },
		"go on":  func(t *rapid.T) Command { return ResumeRequest{ID: d.request(t)} },
		"join": func(t *rapid.T) Command {
			return d.joinOf(t, rapid.SampledFrom([]string{"", "i1", "i2", "i3", "i4"}).Draw(t, "identity"), uint64(rapid.IntRange(1, 3).Draw(t, "process")))
		},
		"leave": func(t *rapid.T) Command {
			w, inc := d.worker(t)
			return LeaveWorker{Worker: w, Incarnation: inc}
		},
		"drain": func(t *rapid.T) Command {
			w, _ := d.worker(t)
			return DrainWorker{Worker: w, Undo: rapid.Bool().Draw(t, "undo")}
		},
		"pick":   func(t *rapid.T) Command { return d.pick(t) },
		"pick 2": func(t *rapid.T) Command { return d.pick(t) },
		"report": func(t *rapid.T) Command { return d.reports(t) },
		"progress": func(t *rapid.T) Command {
			j, attempt := d.job(t)
			return Progress{Items: []ProgressItem{{Job: j, Attempt: attempt, Percent: rapid.Uint8().Draw(t, "percent"), Text: "x"}}}
		},
		"lose": func(t *rapid.T) Command {
			w, inc := d.worker(t)
			return ReassignWorker{Worker: w, Incarnation: inc, Term: rapid.SampledFrom([]uint64{duelTerm, duelTerm, duelTerm, 2}).Draw(t, "term"), Cause: "no beat"}
		},
		"tick": func(t *rapid.T) Command {
			return Tick{Term: rapid.SampledFrom([]uint64{duelTerm, duelTerm, duelTerm, 2}).Draw(t, "term")}
		},
		"limits": func(t *rapid.T) Command {
			l := DefaultLimits()
			l.KeepRequests = uint32(rapid.SampledFrom([]int{1, 2, 1000}).Draw(t, "keep requests"))
			l.KeepJobs = uint64(rapid.SampledFrom([]int{1, 8, 1000}).Draw(t, "keep jobs"))
			l.LiveJobs = uint64(rapid.SampledFrom([]int{10, 1000, 1000}).Draw(t, "live jobs"))
			l.KeepFor = rapid.SampledFrom([]time.Duration{time.Minute, 10 * time.Hour}).Draw(t, "keep for")
			l.KeepKeys = rapid.SampledFrom([]time.Duration{time.Second, 20 * time.Hour}).Draw(t, "keep keys")
			l.ResultBytes = uint32(rapid.SampledFrom([]int{3, 1000}).Draw(t, "result bytes"))
			l.Keys = uint32(rapid.SampledFrom([]int{1, 1000}).Draw(t, "keys"))
			l.Uploads = uint32(rapid.SampledFrom([]int{1, 100}).Draw(t, "uploads"))
			l.UploadFor = rapid.SampledFrom([]time.Duration{2 * time.Second, time.Hour}).Draw(t, "upload for")
			l.Sessions = uint32(rapid.SampledFrom([]int{2, 1000}).Draw(t, "sessions"))
			return SetLimits{Limits: l}
		},
	}
}

func sessionName(t *rapid.T) string {
	return rapid.SampledFrom([]string{"s", "s", "s", "other", "third", "", "two\nlines"}).Draw(t, "session")
}

// few draws a small number, mostly the smallest.
func few(t *rapid.T, label string, most int) int {
	return rapid.OneOf(rapid.Just(0), rapid.IntRange(0, most)).Draw(t, label)
}

func (d *duel) request(t *rapid.T) RequestID {
	return RequestID(rapid.IntRange(0, len(d.model.requests)+1).Draw(t, "request"))
}

// worker draws a worker, mostly one that is, in its current incarnation.
func (d *duel) worker(t *rapid.T) (WorkerID, uint32) {
	id := rapid.IntRange(1, max(1, len(d.model.workers)+few(t, "beyond", 1))).Draw(t, "worker")
	if w := d.model.worker(WorkerID(id)); w != nil && w.incarnation > 0 {
		return w.id, w.incarnation - uint32(few(t, "behind", 1))
	}
	return WorkerID(id), 1
}

// job draws a job and an attempt of it, mostly the current one.
func (d *duel) job(t *rapid.T) (JobID, uint32) {
	jobs := d.model.jobs()
	if len(jobs) == 0 || rapid.IntRange(0, 15).Draw(t, "strange") == 0 {
		return JobID{d.request(t), uint32(rapid.SampledFrom([]int{0, 1, 9, 1<<32 - 1}).Draw(t, "index"))}, 1
	}
	j := rapid.SampledFrom(jobs).Draw(t, "job")
	return j.id, j.attempt + uint32(few(t, "ahead", 1)) - uint32(min(few(t, "back", 1), int(j.attempt)))
}

func (d *duel) joinOf(t *rapid.T, identity string, process uint64) JoinWorker {
	return JoinWorker{
		Name: "w", Identity: identity, Process: process, Slots: uint32(rapid.SampledFrom([]int{3, 1, 2, 3, 3, 0}).Draw(t, "slots")),
		Queues: rapid.SampledFrom([][]string{{"a"}, {"b", "a"}, {"a", "b", "a"}, {"b"}}).Draw(t, "queues"),
		Labels: rapid.SampledFrom([][]Pair{nil, {{"gpu", "true"}}, {{"gpu", "true"}, {"zone", "1"}}}).Draw(t, "labels"),
	}
}

func (d *duel) spec(t *rapid.T) JobSpec {
	durations := func(label string, list ...time.Duration) time.Duration { return rapid.SampledFrom(list).Draw(t, label) }
	s := JobSpec{
		Kind: WorkHandler, Args: []string{"x"}, Queue: rapid.SampledFrom([]string{"a", "a", "b"}).Draw(t, "queue"),
		Labels:   rapid.SampledFrom([][]Pair{nil, nil, {{"gpu", "true"}}, {{"gpu", "true"}, {"zone", "1"}}}).Draw(t, "labels"),
		Slots:    uint32(1 + few(t, "slots", 2)),
		Priority: int8(rapid.SampledFrom([]int{0, 0, 5, -5}).Draw(t, "priority")),
		Timeout:  durations("timeout", 0, 0, time.Second, time.Minute),
	}
	s.StartAfter = durations("start after", 0, 0, 0, time.Minute)
	if rapid.IntRange(0, 5).Draw(t, "start at") == 0 {
		s.StartAt = d.now + int64(durations("from now", -time.Second, 30*time.Second))
	}
	s.Retry = Retry{
		Limit: uint32(few(t, "retries", 3)), Backoff: durations("backoff", 0, time.Second, 700*time.Millisecond, 300*24*time.Hour),
		Factor: rapid.SampledFrom([]uint32{0, 1000, 1500, 2000, 1<<32 - 1}).Draw(t, "factor"), Max: durations("longest", 0, 2*time.Second),
		Never: []int32{2},
	}
	s.LostLimit = uint32(few(t, "lost limit", 2))
	return s
}

func (d *duel) submit(t *rapid.T) SubmitRequest {
	c := SubmitRequest{
		Session: sessionName(t), Name: "n", Key: rapid.SampledFrom([]string{"", "", "k1", "k2"}).Draw(t, "key"), Body: uint64(few(t, "body", 1)),
		MaxRunning: uint32(few(t, "max running", 3)), OnFailure: OnFailure(few(t, "on failure", 1)),
		Specs: rapid.SliceOfN(rapid.Custom(d.spec), 1, 3).Draw(t, "specs"), Hold: rapid.IntRange(0, 7).Draw(t, "hold") == 7,
	}
	conditions := rapid.Bool().Draw(t, "conditions")
	for i := range rapid.IntRange(0, 7).Draw(t, "jobs") {
		j := JobEntry{Name: fmt.Sprintf("j%d", i), Spec: uint32(rapid.IntRange(0, len(c.Specs)-1).Draw(t, "spec"))}
		for o := range i {
			if rapid.IntRange(0, 3).Draw(t, "needs") == 0 {
				n := Need{Job: uint32(o), When: When(few(t, "when", 2))}
				if conditions {
					n.Any = rapid.IntRange(0, 2).Draw(t, "any") == 0
				} else {
					n.When = WhenDone
				}
				j.Needs = append(j.Needs, n)
			}
		}
		c.Jobs = append(c.Jobs, j)
	}
	if n := len(c.Jobs); n > 0 && rapid.IntRange(0, 9).Draw(t, "mischief") == 0 {
		j := &c.Jobs[rapid.IntRange(0, n-1).Draw(t, "culprit")]
		j.Needs = append(j.Needs, Need{Job: uint32(rapid.IntRange(0, n).Draw(t, "need"))}) // perhaps twice, a cycle or none of the request's
	}
	return c
}

// beginParts announces a request that will come in parts.
func (d *duel) beginParts(t *rapid.T) Command {
	c := d.submit(t)
	d.parted, d.sent = append(d.parted, c), append(d.sent, 0)
	return BeginSubmit{
		Upload: uint64(len(d.parted) - few(t, "again", 1)), Session: c.Session, Name: c.Name, Key: c.Key, Body: c.Body, MaxRunning: c.MaxRunning,
		OnFailure: c.OnFailure, Jobs: uint32(len(c.Jobs)), Hold: c.Hold,
	}
}

// nextPart is the next of a request that comes in parts, mostly the right one, and at last that it is whole.
func (d *duel) nextPart(t *rapid.T) Command {
	if len(d.parted) == 0 {
		return DropSubmit{Upload: 1}
	}
	id := rapid.IntRange(max(1, len(d.parted)-2), len(d.parted)).Draw(t, "upload")
	c, from := d.parted[id-1], d.sent[id-1]
	part := uint32(few(t, "part", 3))
	if u := d.model.upload(uint64(id)); u != nil {
		part = u.parts + uint32(rapid.IntRange(0, 15).Draw(t, "astray")/15)
	}
	if from == len(c.Jobs) || rapid.IntRange(0, 15).Draw(t, "early") == 0 {
		return CommitSubmit{Upload: uint64(id), Parts: part}
	}
	to := rapid.IntRange(from, len(c.Jobs)).Draw(t, "to")
	p := SubmitPart{Upload: uint64(id), Part: part, Jobs: c.Jobs[from:to]}
	if from == 0 {
		p.Specs = c.Specs
	}
	if rapid.IntRange(0, 15).Draw(t, "once more") > 0 {
		d.sent[id-1] = to
	}
	return p
}

func (d *duel) pick(t *rapid.T) PickJobs {
	w, inc := d.worker(t)
	return PickJobs{Worker: w, Incarnation: inc, Max: uint32(rapid.IntRange(0, 3).Draw(t, "max")), Standing: rapid.Bool().Draw(t, "standing")}
}

func (d *duel) reportOn(t *rapid.T, j JobID, attempt uint32) JobReport {
	return JobReport{
		Job: j, Attempt: attempt, Kind: ReportKind(rapid.SampledFrom([]int{1, 1, 2, 2, 3, 3, 4, 0, 5}).Draw(t, "kind")),
		Result: []byte(rapid.SampledFrom([]string{"", "1", "too long"}).Draw(t, "result")), Error: rapid.SampledFrom([]string{"", "no"}).Draw(t, "error"),
		ExitCode: int32(rapid.IntRange(-1, 2).Draw(t, "exit")), NoRetry: few(t, "no retry", 1) == 1, Timeout: few(t, "timeout", 1) == 1,
	}
}

func (d *duel) reports(t *rapid.T) JobStates {
	w, inc := d.worker(t)
	c := JobStates{Worker: w, Incarnation: inc}
	for range rapid.IntRange(1, 3).Draw(t, "reports") {
		j, attempt := d.job(t)
		c.Reports = append(c.Reports, d.reportOn(t, j, attempt))
	}
	return c
}

// allReport lets a worker say something on all that it holds, or held.
func (d *duel) allReport(t *rapid.T) {
	w, inc := d.worker(t)
	c := JobStates{Worker: w, Incarnation: inc}
	for _, j := range d.model.jobs() {
		if j.worker == w {
			c.Reports = append(c.Reports, d.reportOn(t, j.id, j.attempt))
		}
	}
	d.entry(t, c)
}

// everyWorker lets all workers say the same of all that they hold.
func (d *duel) everyWorker(t *rapid.T, kind ReportKind) {
	var cmds []Command
	for _, w := range d.model.workers {
		c := JobStates{Worker: w.id, Incarnation: w.incarnation}
		for _, j := range d.model.held(w.id) {
			c.Reports = append(c.Reports, JobReport{Job: j.id, Attempt: j.attempt, Kind: kind})
		}
		cmds = append(cmds, c)
	}
	d.entry(t, cmds...)
}

func (d *duel) several(t *rapid.T) {
	commands := d.commands()
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	slices.Sort(names)
	var cmds []Command
	for range rapid.IntRange(2, 5).Draw(t, "commands") {
		c := commands[rapid.SampledFrom(names).Draw(t, "command")](t)
		cmds = append(cmds, c)
		if _, last := c.(PickJobs); last {
			break
		}
	}
	d.entry(t, cmds...)
}

func (d *duel) passTime(t *rapid.T) {
	d.now += int64(rapid.SampledFrom([]time.Duration{time.Second, 3 * time.Second, time.Minute, 90 * time.Minute, 25 * time.Hour, -time.Hour}).Draw(t, "by"))
	if rapid.Bool().Draw(t, "tick") {
		d.entry(t, Tick{Term: duelTerm})
	}
}
