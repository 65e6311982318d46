package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

// nameTable names jobs by their index.
type nameTable struct{}

func (nameTable) JobName(id fsm.JobID) string { return fmt.Sprintf("job-%d", id.Index) }

// TestNoFieldIsForgotten changes every field of what comes from the state, one at a time, and expects the document to
// show it; and it expects every field of the documents to be written.
func TestNoFieldIsForgotten(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   func() any // a pointer to a value with every field set
		to     func(from any) any
		unseen []string // fields of from that people are not shown
		unset  []string // fields of the document that come from elsewhere
	}{
		{name: "session", from: filled[fsm.SessionInfo],
			to: func(v any) any { return sessionOf(*v.(*fsm.SessionInfo)) }},
		{name: "request", to: func(v any) any { return requestOf(*v.(*fsm.RequestInfo)) },
			from: func() any {
				r := filled[fsm.RequestInfo]().(*fsm.RequestInfo)
				r.State, r.Jobs = fsm.Failed, 100
				return r
			},
			unseen: []string{"Ending"}}, // no document has it yet
		{name: "job", to: func(v any) any { return jobOf(*v.(*fsm.JobInfo), nameTable{}) },
			from: func() any {
				j := filled[fsm.JobInfo]().(*fsm.JobInfo)
				j.State, j.Reason, j.Spec.Kind, j.ExitCode, j.Needs[0].When = fsm.Failed, fsm.ReasonError, fsm.WorkCommand, 3, fsm.WhenFailed
				j.ResultJSON, j.Result, j.Spec.StartAfter = false, []byte{0xff}, 0
				return j
			},
			unseen: []string{"Spec.StartAfter", "ResultJSON"}, // StartAt wins; bytes that are not JSON
			unset:  []string{"index", "spec.shell", "spec.handler"}},
		{name: "step", to: func(v any) any { return stepOf(*v.(*fsm.Step)) },
			from: func() any {
				s := filled[fsm.Step]().(*fsm.Step)
				s.State, s.Reason = fsm.Failed, fsm.ReasonError
				return s
			}},
		{name: "cause", to: func(v any) any { return causeOf(v.(*fsm.Cause)) },
			from: func() any {
				c := filled[fsm.Cause]().(*fsm.Cause)
				c.Kind, c.Reason, c.State = fsm.CauseRetried, fsm.ReasonError, fsm.Delayed
				return c
			},
			unseen: append([]string{"Jobs.0.When"}, causeUnseen...), // of needs
			unset:  []string{"jobs.0.when"}},
		{name: "cause of needs", to: func(v any) any { return causeOf(v.(*fsm.Cause)) },
			from: func() any {
				c := filled[fsm.Cause]().(*fsm.Cause)
				c.Kind, c.Reason, c.Jobs[0].When = fsm.CauseNeeds, fsm.ReasonError, fsm.WhenFailed
				return c
			},
			unseen: append([]string{"State"}, causeUnseen...),
			unset:  []string{"state"}},
		{name: "worker", from: filled[fsm.WorkerInfo],
			to:     func(v any) any { return workerOf(*v.(*fsm.WorkerInfo), newFake()) },
			unseen: []string{"Incarnation", "Draining"}}, // lost says more than draining
		{name: "coordinator", from: filled[cluster.Server],
			to: func(v any) any { return coordinatorOf(*v.(*cluster.Server)) }},
		{name: "leader", from: filled[cluster.Peer],
			to: func(v any) any { return leaderOf(*v.(*cluster.Peer)) }},
		{name: "submitted", from: filled[fsm.RequestSubmitted],
			to: func(v any) any { return submittedOf(*v.(*fsm.RequestSubmitted)) }},
		{name: "report", to: func(v any) any { return reportOf(fsm.JobID{Request: 1, Index: 1}, v.(*rest.Report)) },
			from: func() any {
				r := filled[rest.Report]().(*rest.Report)
				r.State, r.Retry = rest.ReportFailed, new(bool)
				return r
			},
			unseen: []string{"Worker", "Progress", "ProgressText"}, // go beside the report
			unset:  []string{"Timeout"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := written(t, c.to(c.from()))
			for _, path := range zeroes(before, "") {
				if !slices.Contains(c.unset, path) {
					t.Errorf("%s is not written in %v", path, before)
				}
			}
			for i, path := range leaves(reflect.ValueOf(c.from()).Elem(), "") {
				v := c.from()
				change(t, nth(reflect.ValueOf(v).Elem(), i))
				if reflect.DeepEqual(written(t, c.to(v)), before) != slices.Contains(c.unseen, path) {
					t.Errorf("a change of %s: is it shown? %v, want the opposite", path, !slices.Contains(c.unseen, path))
				}
			}
		})
	}
}

func fullSpec() *rest.RequestSpec {
	s := filled[rest.RequestSpec]().(*rest.RequestSpec)
	s.OnFailure = "stop"
	j := &s.Jobs[0]
	j.Array, j.Shell, j.Handler, j.Payload = nil, "", "", rest.Raw(`{"a":1}`)
	j.Priority, j.StartAfter.At = 7, time.Time{}
	j.Needs, j.NeedsAny = nil, nil
	second, third := *j, *j
	second.Name, third.Name = "second", "third"
	third.Needs = []rest.Need{{Job: j.Name, When: rest.WhenDone}}
	third.NeedsAny = []rest.Need{{Job: second.Name, When: rest.WhenFailed}}
	s.Jobs = append(s.Jobs, second, third)
	return s
}

// TestEverySpecFieldReachesTheState changes every field of a spec, and expects the command to differ.
func TestEverySpecFieldReachesTheState(t *testing.T) {
	before, err := submitOf(fullSpec())
	if err != nil {
		t.Fatal(err)
	}
	refused := []string{ // by the canonical form: more than one kind of work, an unknown word or need
		"OnFailure", "Jobs.0.Work.Shell", "Jobs.0.Work.Handler", "Jobs.1.Work.Shell", "Jobs.1.Work.Handler", "Jobs.2.Work.Shell",
		"Jobs.2.Work.Handler", "Jobs.0.Name", "Jobs.1.Name", "Jobs.2.Needs.0.Job", "Jobs.2.Needs.0.When", "Jobs.2.NeedsAny.0.Job",
		"Jobs.2.NeedsAny.0.When",
		"Jobs.0.Work.StartAfter.At", "Jobs.1.Work.StartAfter.At", "Jobs.2.Work.StartAfter.At", // the year 1
	}
	later := []string{"Jobs.0.Array", "Jobs.1.Array", "Jobs.2.Array"} // refused by package spec
	for i, path := range leaves(reflect.ValueOf(fullSpec()).Elem(), "") {
		s := fullSpec()
		change(t, nth(reflect.ValueOf(s).Elem(), i))
		after, err := submitOf(s)
		switch {
		case slices.Contains(refused, path) != (err != nil):
			t.Errorf("%s changed: %v", path, err)
		case err == nil && !slices.Contains(later, path) && reflect.DeepEqual(before, after):
			t.Errorf("%s changed, the command did not", path)
		}
	}
}

func TestSpecRoundTrip(t *testing.T) {
	spec := fullSpec()
	cmd, err := submitOf(spec)
	if err != nil {
		t.Fatal(err)
	}
	if len(cmd.Specs) != 1 {
		t.Errorf("equal specs are stored %d times", len(cmd.Specs))
	}
	if got := workOf(&cmd.Specs[0]); !reflect.DeepEqual(got, spec.Jobs[0].Work) {
		t.Errorf("spec changed on its way:\n%s", cmp.Diff(spec.Jobs[0].Work, got))
	}
	again, _ := submitOf(fullSpec())
	if again.Body != cmd.Body || cmd.Body == 0 {
		t.Errorf("body hash: %x, then %x", cmd.Body, again.Body)
	}
}

func TestDefaults(t *testing.T) {
	cmd, err := submitOf(&rest.RequestSpec{Jobs: []rest.JobSpec{{Name: "a", Work: rest.Work{Shell: "x", Retry: &rest.Retry{Limit: 2}}}}})
	if err != nil {
		t.Fatal(err)
	}
	want := fsm.JobSpec{
		Kind: fsm.WorkShell, Args: []string{"x"}, Queue: "default", Slots: 1, LostLimit: 5,
		Retry: fsm.Retry{Limit: 2, Backoff: time.Second, Factor: 2000, Max: time.Minute},
	}
	if !reflect.DeepEqual(cmd.Specs[0], want) {
		t.Errorf("got %+v, want %+v", cmd.Specs[0], want)
	}
	if cmd.Session != "default" {
		t.Errorf("session %q", cmd.Session)
	}
}

// written is a document as its reader sees it.
func written(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	full := map[string]any{}
	for _, f := range reflect.VisibleFields(reflect.Indirect(reflect.ValueOf(v)).Type()) {
		if name, _, _ := cutTag(f); name != "" && m[name] == nil {
			full[name] = nil // left out
		}
	}
	for k, v := range m {
		full[k] = v
	}
	return full
}

func cutTag(f reflect.StructField) (name, options string, ok bool) {
	tag := f.Tag.Get("json")
	for i := range tag {
		if tag[i] == ',' {
			return tag[:i], tag[i+1:], true
		}
	}
	return tag, "", tag != ""
}

// zeroes lists what is empty in a document.
func zeroes(m map[string]any, prefix string) (paths []string) {
	for k, v := range m {
		if inner, ok := v.(map[string]any); ok {
			paths = append(paths, zeroes(inner, prefix+k+".")...)
			continue
		}
		if v == nil || reflect.ValueOf(v).IsZero() {
			paths = append(paths, prefix+k)
		}
	}
	return paths
}

// filled makes a pointer to a T in which every field is set to something of its own.
func filled[T any]() any {
	v := new(T)
	n := 0
	fill(reflect.ValueOf(v).Elem(), &n)
	return v
}

func fill(v reflect.Value, n *int) {
	if !v.CanSet() {
		return // not exported
	}
	*n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(int64(*n)*1000, 0).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n%100 + 1))
	case reflect.Uint8:
		v.SetUint(1) // also of enumerations
	case reflect.Uint, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n%100 + 1))
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.String:
		v.SetString(fmt.Sprintf("text%d", *n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"key": "value"}))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	}
}

// leaves lists the fields of v that have no fields themselves.
func leaves(v reflect.Value, path string) (paths []string) {
	walk(v, path, func(p string, _ reflect.Value) { paths = append(paths, p) })
	return paths
}

func nth(v reflect.Value, n int) (found reflect.Value) {
	walk(v, "", func(_ string, f reflect.Value) {
		if n == 0 {
			found = f
		}
		n--
	})
	return found
}

func walk(v reflect.Value, path string, visit func(string, reflect.Value)) {
	join := func(name string) string {
		if path == "" {
			return name
		}
		return path + "." + name
	}
	switch {
	case !v.CanSet(): // not exported
	case v.Type() == reflect.TypeFor[time.Time](), v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		visit(path, v)
	case v.Kind() == reflect.Pointer && !v.IsNil():
		walk(v.Elem(), path, visit)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), join(v.Type().Field(i).Name), visit)
		}
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		for i := range v.Len() {
			walk(v.Index(i), join(fmt.Sprint(i)), visit)
		}
	default:
		visit(path, v)
	}
}

// change gives a leaf another value.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(v.Interface().(time.Time).Add(time.Hour)))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() ^ 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Slice: // of bytes
		v.SetBytes([]byte(`"changed"`))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"other": "value"}))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	default:
		t.Fatalf("cannot change a %s", v.Type())
	}
}

// causeUnseen is what a cause does not tell of its workers: GET /v1/workers does.
var causeUnseen = []string{
	"Workers.0.WorkerInfo.Incarnation", "Workers.0.WorkerInfo.Queues.0", "Workers.0.WorkerInfo.Labels.0.Key",
	"Workers.0.WorkerInfo.Labels.0.Value", "Workers.0.WorkerInfo.Running", "Workers.0.WorkerInfo.Draining", "Workers.0.WorkerInfo.Joined",
}

// TestEveryCauseHasWords pairs the kinds of causes with those that programs rely on.
func TestEveryCauseHasWords(t *testing.T) {
	for kind, word := range map[fsm.CauseKind]string{
		fsm.CauseNeeds: rest.CauseNeeds, fsm.CauseNeedsAny: rest.CauseNeedsAny, fsm.CausePaused: rest.CausePaused, fsm.CauseHeld: rest.CauseHeld, fsm.CauseSettling: rest.CauseSettling, fsm.CauseEnding: rest.CauseEnding,
		fsm.CauseBackoff: rest.CauseBackoff, fsm.CauseStartAfter: rest.CauseStartAfter, fsm.CauseMaxRunning: rest.CauseMaxRunning,
		fsm.CauseNoWorker: rest.CauseNoWorker, fsm.CauseDrained: rest.CauseDrained, fsm.CauseNoSlots: rest.CauseNoSlots,
		fsm.CauseNotAsking: rest.CauseNotAsking, fsm.CauseQueue: rest.CauseQueue, fsm.CausePicked: rest.CausePicked,
		fsm.CauseRunning: rest.CauseRunning, fsm.CauseDone: rest.CauseDone, fsm.CauseFailed: rest.CauseFailed,
		fsm.CauseCancelled: rest.CauseCancelled, fsm.CauseMoved: rest.CauseMoved, fsm.CauseRetried: rest.CauseRetried, fsm.CauseRevived: rest.CauseRevived,
	} {
		doc := causeOf(&fsm.Cause{Kind: kind, Reason: fsm.ReasonUser})
		if doc.Kind != word || doc.Text == "" || doc.Text == doc.Kind {
			t.Errorf("cause %q, word %q: %+v", kind, word, doc)
		}
	}
}
