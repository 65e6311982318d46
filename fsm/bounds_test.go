package fsm

import (
	"fmt"
	"strings"
	"testing"
)

// badNames are texts that cannot be the name of anything.
var badNames = map[string]string{
	"too long": strings.Repeat("x", nameBytesMax+1), "not UTF-8": "a\xffb", "cut UTF-8": "é"[:1], "NUL": "a\x00b", "line": "a\nb",
	"escape": "\x1b[31m", "DEL": "a\x7f", "C1": "é\u0085", "after a good rune": "日本\x01",
}

// goodNames are as far as names may go.
var goodNames = []string{"a", strings.Repeat("x", nameBytesMax), strings.Repeat("é", nameBytesMax/2), "two words", "日本/語", "a\u00a0b", "\U0001f600"}

// named puts a name in each place that has one, as a command for an empty state.
func named(name string) map[string]Command {
	submit := func(change func(c *SubmitRequest, s *JobSpec)) Command {
		c := SubmitRequest{Session: "s", Specs: []JobSpec{simpleSpec()}, Jobs: []JobEntry{{Name: "a"}}}
		change(&c, &c.Specs[0])
		return c
	}
	join := func(change func(c *JoinWorker)) Command {
		c := JoinWorker{Name: "w", Queues: []string{"q"}, Slots: 1}
		change(&c)
		return c
	}
	return map[string]Command{
		"session":              OpenSession{Name: name},
		"session of a request": submit(func(c *SubmitRequest, _ *JobSpec) { c.Session = name }),
		"request":              submit(func(c *SubmitRequest, _ *JobSpec) { c.Name = name }),
		"job":                  submit(func(c *SubmitRequest, _ *JobSpec) { c.Jobs[0].Name = name }),
		"queue of a job":       submit(func(_ *SubmitRequest, s *JobSpec) { s.Queue = name }),
		"label of a job":       submit(func(_ *SubmitRequest, s *JobSpec) { s.Labels = []Pair{{name, ""}} }),
		"label value of a job": submit(func(_ *SubmitRequest, s *JobSpec) { s.Labels = []Pair{{"l", name}} }),
		"worker":               join(func(c *JoinWorker) { c.Name = name }),
		"queue":                join(func(c *JoinWorker) { c.Queues = []string{"q", name} }),
		"label":                join(func(c *JoinWorker) { c.Labels = []Pair{{name, ""}} }),
		"label value":          join(func(c *JoinWorker) { c.Labels = []Pair{{"l", name}} }),
	}
}

func TestNames(t *testing.T) {
	for _, name := range goodNames {
		for place, c := range named(name) {
			if a := newRun(t).do(c)[0]; a.Refusal != nil {
				t.Errorf("%s %q: %v", place, name, a.Refusal)
			}
		}
	}
	for what, name := range badNames {
		for place, c := range named(name) {
			t.Run(place+"/"+what, func(t *testing.T) { newRun(t).refused(CodeInvalid, c) })
		}
	}
	for place, c := range named("") {
		mayBeEmpty := place == "request" || place == "label value" || place == "label value of a job"
		if a := newRun(t).do(c)[0]; (a.Refusal == nil) != mayBeEmpty {
			t.Errorf("%s without a name: %+v", place, a)
		}
	}
}

// pairs makes n entries of 8 bytes each.
func pairs(n int) []Pair {
	list := make([]Pair, n)
	for i := range list {
		list[i] = Pair{fmt.Sprintf("k%06d", i), "v"}
	}
	return list
}

// TestSpecBounds submits specs that are as large as may be, and one larger.
func TestSpecBounds(t *testing.T) {
	most := int(DefaultLimits().SpecBytes)
	for name, spec := range map[string]func(s *JobSpec, more int){
		"args": func(s *JobSpec, more int) { s.Args = []string{strings.Repeat("x", most+more)} },
		"dir":  func(s *JobSpec, more int) { s.Args, s.Dir = []string{"x"}, strings.Repeat("d", most-1+more) },
		"all of it": func(s *JobSpec, more int) {
			s.Args, s.Dir = []string{strings.Repeat("x", most-5+more)}, "e"
			s.Env, s.Labels = []Pair{{"a", "b"}}, []Pair{{"c", "d"}}
		},
		"arguments": func(s *JobSpec, more int) { s.Args = make([]string, argsMax+more) },
		"env":       func(s *JobSpec, more int) { s.Env = pairs(envMax + more) },
		"labels":    func(s *JobSpec, more int) { s.Labels = pairs(labelsMax + more) },
		"never":     func(s *JobSpec, more int) { s.Retry.Never = make([]int32, neverMax+more) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t)
			submit := func(more int) SubmitRequest {
				s := simpleSpec()
				s.Kind, s.Args = WorkCommand, []string{"x"}
				spec(&s, more)
				return SubmitRequest{Session: "s", Specs: []JobSpec{s}, Jobs: []JobEntry{{Name: "a"}}}
			}
			r.ok(submit(0))
			r.refused(CodeLimit, submit(1))
		})
	}
	t.Run("specs", func(t *testing.T) {
		r := newRun(t)
		l := DefaultLimits()
		l.Jobs = 2
		r.ok(SetLimits{Limits: l})
		c := SubmitRequest{Session: "s", Specs: []JobSpec{simpleSpec(), simpleSpec()}, Jobs: []JobEntry{{Name: "a"}}}
		r.ok(c)
		c.Specs = append(c.Specs, simpleSpec())
		r.refused(CodeLimit, c)
	})
}

func TestWorkerBounds(t *testing.T) {
	r := newRun(t)
	queues := make([]string, queuesMax)
	for i := range queues {
		queues[i] = fmt.Sprint(i)
	}
	full := JoinWorker{Name: "w", Queues: queues, Labels: pairs(labelsMax), Slots: SlotsMax, Identity: strings.Repeat("i", nameBytesMax)}
	r.ok(full)
	more := full
	more.Labels = pairs(labelsMax + 1)
	r.refused(CodeLimit, more)
	more = full
	more.Queues = append(queues, "x")
	r.refused(CodeInvalid, more)
	more = full
	more.Identity += "i"
	r.refused(CodeInvalid, more)
}

// TestKeyLimit fills the table of idempotency keys: known keys are still answered, requests without one accepted, and
// there is room again when a key has expired.
func TestKeyLimit(t *testing.T) {
	r := newRun(t)
	l := DefaultLimits()
	l.Keys = 2
	r.ok(SetLimits{Limits: l})
	submit := func(key string) SubmitRequest {
		return SubmitRequest{Session: "s", Key: key, Specs: []JobSpec{simpleSpec()}, Jobs: []JobEntry{{Name: "a"}}}
	}
	first := r.ok(submit("one")).(RequestSubmitted)
	r.ok(submit("two"))
	r.refused(CodeLimit, submit("three"))
	r.ok(submit(""))
	if again := r.ok(submit("one")).(RequestSubmitted); !again.Repeat || again.ID != first.ID {
		t.Fatalf("%+v, at first %+v", again, first)
	}
	r.ok(CancelRequest{ID: first.ID})
	r.now = r.now.Add(max(l.KeepFor, l.KeepKeys))
	r.ok(Tick{Term: 1})
	if n := r.ok(submit("three")).(RequestSubmitted); n.Repeat {
		t.Fatalf("%+v", n)
	}
	r.refused(CodeLimit, submit("four"))
	refused := r.do(submit("four"))[0].Refusal
	if !strings.Contains(refused.Detail, "idempotency keys") {
		t.Fatal(refused)
	}
}
