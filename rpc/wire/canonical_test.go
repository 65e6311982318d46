package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/rpc/wire"
)

// job is a JobDef that runs true, with needs.
func job(name string, needs ...string) wire.JobDef {
	d := wire.JobDef{Name: name, Spec: wire.Spec{Kind: wire.WorkCommand, Args: []string{"true"}}}
	for _, n := range needs {
		d.Needs = append(d.Needs, wire.NeedDef{Job: n})
	}
	return d
}

func TestCanonicalFillsInSortsAndSharesSpecs(t *testing.T) {
	special := job("special", "b", "a")
	special.Payload = []byte(`{"n":1}`)
	special.Spec.Env = []wire.Pair{{Key: "B", Value: "2"}, {Key: "A", Value: "1"}}
	special.Spec.Retry.Limit = 3
	spec := &wire.RequestSpec{Name: "nightly", MaxRunning: 8, OnFailure: wire.StopRequest, Jobs: []wire.JobDef{job("a"), job("b", "a"), special}}
	s, err := wire.Canonical(spec)
	if err != nil {
		t.Fatal(err)
	}
	plain := wire.Spec{Kind: wire.WorkCommand, Args: []string{"true"}, Queue: "default", Slots: 1}
	odd := plain
	odd.Env = []wire.Pair{{Key: "A", Value: "1"}, {Key: "B", Value: "2"}}
	odd.Retry = wire.Retry{Limit: 3, Factor: 2000}
	want := &wire.Submit{
		Session: "default", Name: "nightly", Body: s.Body, MaxRunning: 8, OnFailure: wire.StopRequest,
		Specs: []wire.Spec{plain, odd},
		Jobs: []wire.SubmitJob{
			{Name: "a"},
			{Name: "b", Needs: []wire.Need{{Job: 0}}},
			{Name: "special", Spec: 1, Payload: []byte(`{"n":1}`), Needs: []wire.Need{{Job: 1}, {Job: 0}}},
		},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if special.Spec.Env[0].Key != "B" {
		t.Error("the caller's own list was sorted in place")
	}
}

func TestDigestToldByContentAlone(t *testing.T) {
	digest := func(change func(*wire.RequestSpec)) uint64 {
		spec := &wire.RequestSpec{Name: "n", Jobs: []wire.JobDef{job("a"), job("b", "a")}}
		change(spec)
		s, err := wire.Canonical(spec)
		if err != nil {
			t.Fatal(err)
		}
		return s.Body
	}
	same := digest(func(*wire.RequestSpec) {})
	if digest(func(s *wire.RequestSpec) { s.Session = wire.DefaultSession }) != same {
		t.Error("a default that is written out changes the digest")
	}
	for what, change := range map[string]func(*wire.RequestSpec){
		"payload": func(s *wire.RequestSpec) { s.Jobs[0].Payload = []byte("1") },
		"need":    func(s *wire.RequestSpec) { s.Jobs[1].Needs = nil },
		"name":    func(s *wire.RequestSpec) { s.Name = "m" },
		"spec":    func(s *wire.RequestSpec) { s.Jobs[0].Spec.Slots = 2 },
	} {
		if digest(change) == same {
			t.Errorf("another %s has the same digest", what)
		}
	}
	s, _ := wire.Canonical(&wire.RequestSpec{Name: "n", Jobs: []wire.JobDef{job("a"), job("b", "a")}})
	if s.Key = "k"; s.Digest() != same {
		t.Error("the key changes the digest")
	}
}

// The digest of a request must be the same in every version: an idempotency key outlives an upgrade.
func TestDigestStaysWhatItWas(t *testing.T) {
	s, err := wire.Canonical(&wire.RequestSpec{Name: "n", Jobs: []wire.JobDef{job("a"), job("b", "a")}})
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(0xee26dd5d4bb5360a); s.Body != want {
		t.Errorf("digest %#x, was %#x", s.Body, want)
	}
}

func TestWhatCanonicalRefuses(t *testing.T) {
	with := func(d wire.JobDef, change func(*wire.JobDef)) wire.JobDef {
		change(&d)
		return d
	}
	for _, c := range []struct {
		name string
		jobs []wire.JobDef
		kind error
		job  string
		says string
	}{
		{"no jobs", nil, wire.ErrNoJobs, "", "a request needs at least one job"},
		{"empty name", []wire.JobDef{job("")}, wire.ErrBadName, "", `job "": bad name: it is empty`},
		{"long name", []wire.JobDef{job(strings.Repeat("x", 257))}, wire.ErrBadName, strings.Repeat("x", 257), "257 bytes, at most 256"},
		{"control character", []wire.JobDef{job("a\nb")}, wire.ErrBadName, "a\nb", "control character"},
		{"no UTF-8", []wire.JobDef{job("a\xff")}, wire.ErrBadName, "a\xff", "not UTF-8"},
		{"duplicate", []wire.JobDef{job("a"), job("b"), job("a")}, wire.ErrDuplicateName, "a", "jobs 1 and 3"},
		{"unknown need", []wire.JobDef{job("a", "ghost")}, wire.ErrUnknownNeed, "a", `"ghost"`},
		{"duplicate need", []wire.JobDef{job("a"), job("b", "a", "a")}, wire.ErrDuplicateNeed, "b", `"a"`},
		{"need of itself", []wire.JobDef{job("a", "a")}, wire.ErrCycle, "a", "a needs a"},
		{"cycle", []wire.JobDef{job("z", "c"), job("b", "c"), job("a", "b"), job("c", "a"), job("d", "c")}, wire.ErrCycle, "b",
			"b needs c needs a needs b"},
		{"unknown condition", []wire.JobDef{job("a"), with(job("b", "a"), func(d *wire.JobDef) { d.Needs[0].When = 3 })}, wire.ErrBadValue, "b", "when"},
		{"no work", []wire.JobDef{{Name: "a"}}, wire.ErrBadWork, "a", "exactly one of command, shell and handler"},
		{"empty command", []wire.JobDef{with(job("a"), func(d *wire.JobDef) { d.Spec.Args = []string{""} })}, wire.ErrBadWork, "a", "empty"},
		{"shell with arguments", []wire.JobDef{with(job("a"), func(d *wire.JobDef) { d.Spec.Kind, d.Spec.Args = wire.WorkShell, []string{"a", "b"} })}, wire.ErrBadWork, "a", "no further arguments"},
		{"NUL", []wire.JobDef{with(job("a"), func(d *wire.JobDef) { d.Spec.Args = []string{"a\x00"} })}, wire.ErrBadWork, "a", "NUL"},
		{"priority", []wire.JobDef{with(job("a"), func(d *wire.JobDef) { d.Spec.Priority = 101 })}, wire.ErrBadValue, "a", "101 is not in -100…100"},
		{"negative timeout", []wire.JobDef{with(job("a"), func(d *wire.JobDef) { d.Spec.Timeout = -1 })}, wire.ErrBadValue, "a", "timeout: it is negative"},
		{"env twice", []wire.JobDef{with(job("a"), func(d *wire.JobDef) { d.Spec.Env = []wire.Pair{{Key: "A"}, {Key: "B"}, {Key: "A"}} })}, wire.ErrBadValue, "a", `"A" comes twice`},
		{"env name", []wire.JobDef{with(job("a"), func(d *wire.JobDef) { d.Spec.Env = []wire.Pair{{Key: "A=B"}} })}, wire.ErrBadValue, "a", "cannot be set"},
		{"large spec", []wire.JobDef{with(job("a"), func(d *wire.JobDef) { d.Spec.Args = []string{"x", strings.Repeat("y", wire.SpecBytesMax)} })}, wire.ErrBadValue, "a", "at most 262144"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := wire.Canonical(&wire.RequestSpec{Jobs: c.jobs})
			var bad *wire.SpecError
			if !errors.As(err, &bad) || !errors.Is(err, c.kind) {
				t.Fatalf("got %v, want kind %v", err, c.kind)
			}
			if bad.Job != c.job || !strings.Contains(err.Error(), c.says) {
				t.Errorf("job %q, message %q; want job %q and %q", bad.Job, err, c.job, c.says)
			}
			if bad.Position >= 0 && c.jobs[bad.Position].Name != bad.Job {
				t.Errorf("position %d is job %q", bad.Position, c.jobs[bad.Position].Name)
			}
		})
	}
}

func TestALongCycleIsNamedInFullAndShownInPart(t *testing.T) {
	const n = 20_000
	jobs := chain(n)
	jobs[0].Needs = []wire.NeedDef{{Job: jobs[n-1].Name}}
	_, err := wire.Canonical(&wire.RequestSpec{Jobs: jobs})
	var bad *wire.SpecError
	if !errors.As(err, &bad) || len(bad.Cycle) != n {
		t.Fatalf("got %v", err)
	}
	if len(err.Error()) > 1000 || !strings.Contains(err.Error(), fmt.Sprintf("(%d more)", n-20)) {
		t.Errorf("message: %s", err)
	}
}

// chain is n jobs of which each needs the one before.
func chain(n int) []wire.JobDef {
	jobs := make([]wire.JobDef, n)
	for i := range jobs {
		jobs[i] = job(fmt.Sprintf("job-%d", i))
		if i > 0 {
			jobs[i].Needs = []wire.NeedDef{{Job: jobs[i-1].Name}}
		}
	}
	return jobs
}

func TestDeepChainsAndWideFansAreFine(t *testing.T) {
	const n = 20_000
	jobs := chain(n)
	last := job("last")
	for i := range jobs {
		last.Needs = append(last.Needs, wire.NeedDef{Job: jobs[i].Name})
	}
	s, err := wire.Canonical(&wire.RequestSpec{Jobs: append(jobs, last)})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Specs) != 1 || len(s.Jobs[n].Needs) != n {
		t.Errorf("%d specs, %d needs of the last", len(s.Specs), len(s.Jobs[n].Needs))
	}
}

func BenchmarkCanonicalChainOfAMillion(b *testing.B) {
	spec := &wire.RequestSpec{Jobs: chain(1_000_000)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.Canonical(spec); err != nil {
			b.Fatal(err)
		}
	}
}
