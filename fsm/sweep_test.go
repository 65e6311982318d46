package fsm

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// inSteps are limits under which an entry does so little that everything is left to later ones.
func inSteps(steps uint32) Limits {
	l := DefaultLimits()
	l.Steps = steps
	return l
}

// TestSmallStepsComeToTheSame plays the same commands to a machine that does everything at once and to one that does
// one step an entry, and lets each come to rest in between: what they show is the same, and so are their answers.
func TestSmallStepsComeToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &script{rapid.SliceOfN(rapid.Byte(), 200, 1500).Draw(t, "script")}
		once, steps := newSweeper(t, inSteps(1<<20)), newSweeper(t, inSteps(1))
		for len(s.data) > 0 {
			by := []time.Duration{0, 0, time.Second, time.Minute}[s.below(4)]
			c := s.sweepCommand(once.m)
			want, got := once.do(by, c), steps.do(by, c)
			if fmt.Sprintf("%+v", want) != fmt.Sprintf("%+v", got) {
				t.Fatalf("%T %+v is answered %+v at once, %+v in steps", c, c, want, got)
			}
			if want, got := once.rest(), steps.rest(); want != got {
				t.Fatalf("after %T %+v:\n%s", c, c, difference(want, got))
			}
		}
	})
}

// sweepCommand draws a command. A worker wants something only in the entry that says so: between two entries the one
// machine is at rest while the other still has things to do.
func (s *script) sweepCommand(m *Machine) Command {
	var held []JobReport
	var holder WorkerID
	for _, w := range m.View().Workers() {
		for _, g := range m.View().Held(w.ID) {
			if holder == 0 || holder == w.ID && s.below(2) == 0 {
				holder = w.ID
				kind := []ReportKind{ReportStart, ReportDone, ReportDone, ReportFailed, ReportReturn}[s.below(5)]
				held = append(held, JobReport{Job: g.Job, Attempt: g.Attempt, Kind: kind, NoRetry: s.below(2) == 0})
			}
		}
	}
	kind := s.below(12)
	if conditional(m) { // which end comes first matters, so there is one at a time
		held = held[:min(len(held), 1)]
		if kind == 4 {
			kind = 11
		}
	}
	switch kind {
	case 0, 1:
		return s.wide(s.below(2) == 0 && m.db.requests.Len() == 0 || conditional(m))
	case 2:
		return CancelRequest{ID: s.request()}
	case 3:
		return RetryRequest{ID: s.request()}
	case 4:
		return ReassignWorker{Worker: s.worker(), Incarnation: 1, Term: 1, Cause: "lost"}
	case 5:
		return JoinWorker{Name: "w", Queues: []string{"default", "b"}, Labels: []Pair{{"gpu", "true"}}, Slots: 4}
	case 6, 7:
		return PickJobs{Worker: s.worker(), Incarnation: 1, Max: uint32(1 + s.below(4))}
	case 8:
		switch s.below(6) {
		case 0:
			return PauseRequest{ID: s.request()}
		case 1, 2, 3:
			return ResumeRequest{ID: s.request()}
		}
		return Progress{Items: []ProgressItem{{Job: s.job(), Attempt: 1, Percent: s.byte()}}}
	default:
		return JobStates{Worker: holder, Incarnation: 1, Reports: held}
	}
}

// conditional says whether needs of a request that is kept have conditions.
func conditional(m *Machine) bool {
	found := false
	m.db.requests.Scan(func(_ RequestID, r *request) bool {
		found = r.dag.anyhow
		return !found
	})
	return found
}

// wide draws a request in which much depends on one job: more than smallChanges.
func (s *script) wide(conditions bool) SubmitRequest {
	later, flaky := simpleSpec(), simpleSpec()
	later.StartAfter, later.Timeout = s.duration()&(1<<36-1), time.Second
	flaky.Priority, flaky.Retry, flaky.LostLimit = int8(s.below(3)), Retry{Limit: 1, Backoff: time.Second}, 0
	c := SubmitRequest{
		Session: "s", Hold: s.below(16) == 0, MaxRunning: uint32(s.below(3) * 2), OnFailure: OnFailure(s.below(4) / 3), Specs: []JobSpec{simpleSpec(), flaky, later},
	}
	for i := range 8 + s.below(16) {
		j := JobEntry{Name: fmt.Sprint(i), Spec: uint32(max(0, s.below(8)-5))}
		if i > 0 && s.below(5) > 0 {
			j.Needs = []Need{{Job: uint32(s.below(i) / (1 + s.below(8)))}}
			if other := uint32(s.below(i)); other != j.Needs[0].Job && s.below(3) == 0 {
				j.Needs = append(j.Needs, Need{Job: other})
			}
			for k := range j.Needs {
				if conditions {
					j.Needs[k].When, j.Needs[k].Any = When(max(0, s.below(6)-3)), s.below(2) == 0
				}
			}
		}
		c.Jobs = append(c.Jobs, j)
	}
	return c
}

// sweeper drives one machine of TestSmallStepsComeToTheSame.
type sweeper struct {
	t     *rapid.T
	m     *Machine
	index uint64
	now   int64
}

func newSweeper(t *rapid.T, l Limits) *sweeper {
	s := &sweeper{t: t, m: New(), now: 1_700_000_000_000_000_000}
	s.entry(SetLimits{l})
	for range 2 {
		s.entry(JoinWorker{Name: "w", Queues: []string{"default", "b"}, Slots: 6})
	}
	return s
}

func (s *sweeper) entry(c Command) Answer {
	s.index++
	answers, err := s.m.Apply(s.index, 1, NewEntry(s.now, Encode(c)))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.m.Check(); err != nil {
		s.t.Fatalf("after %T %+v: %v", c, c, err)
	}
	return answers[0]
}

func (s *sweeper) do(by time.Duration, c Command) Answer {
	s.now += int64(by)
	s.rest() // what is due by now comes first
	a := s.entry(c)
	if p, ok := c.(PickJobs); ok {
		s.entry(PickJobs{Worker: p.Worker, Incarnation: p.Incarnation})
	}
	return a
}

var causes = regexp.MustCompile(`(reason "needs" .*) cause \d+`)

// rest lets everything that is due or left to be done happen, and says how things are then. Which of several jobs that
// failed another one was cancelled for may differ.
func (s *sweeper) rest() string {
	for n := 0; ; n++ {
		at, ok := s.m.NextDeadline()
		if !ok || at > s.now {
			return causes.ReplaceAllString(describe(s.m.View()), "$1")
		}
		if n > 1000 {
			s.t.Fatalf("no end of it: %v, queue %v", s.m.Busy(), s.m.queue)
		}
		s.entry(Tick{Term: 1})
	}
}

// TestStepsSurviveARestart plays random commands to a machine that does few steps an entry, and at each entry the next
// ones to one that is restored from its snapshot too: they stay the same. In the end everything comes to rest.
func TestStepsSurviveARestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &script{rapid.SliceOfN(rapid.Byte(), 200, 1000).Draw(t, "script")}
		run := newSweeper(t, inSteps(uint32(rapid.IntRange(1, 6).Draw(t, "steps"))))
		twin := &sweeper{t: t, m: reborn(t, run.m), index: run.index, now: run.now}
		for len(s.data) > 0 {
			var c Command
			if s.below(2) == 0 {
				c = s.sweepCommand(run.m)
			} else if c = s.command(); isLimits(c) {
				continue
			}
			fork := s.below(4) == 0
			run.entry(c)
			twin.entry(c)
			if run.m.Hash() != twin.m.Hash() {
				t.Fatalf("restored, %T %+v comes to something else:\n%s", c, c, difference(digest(run.m.View()), digest(twin.m.View())))
			}
			if fork {
				twin.m = reborn(t, run.m)
			}
		}
		run.rest()
		for _, r := range run.m.View().Requests(RequestFilter{Limit: 1 << 20}) {
			if r.Ending != Waiting || r.State == Running && r.Counts[Done]+r.Counts[Failed]+r.Counts[Cancelled] == uint64(r.Jobs) {
				t.Fatalf("at rest request %s is %s, ending %s: %v", r.ID, r.State, r.Ending, r.Counts)
			}
		}
	})
}

func isLimits(c Command) bool { _, is := c.(SetLimits); return is }

func reborn(t *rapid.T, m *Machine) *Machine {
	d := &duel{m: m}
	d.restore(t)
	return d.m
}
