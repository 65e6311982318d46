package fsm

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

// derived are the fields that neither the hash nor a snapshot keeps: they follow from the others. A field that is in
// none of these lists must be in both, which the tests below see to.
var derived = map[string][]string{
	"job":         {"more"}, // it has a hash of its own
	"jobMore":     {"hash"},
	"pastAttempt": nil,
	"request":     {"gen", "dirty", "boarded", "surplus", "counts", "dag", "pages", "jobSum", "queued"},
	"task":        nil,
	"BeginSubmit": nil,
	"upload":      {"gen", "dag", "pages", "jobSum", "edges", "names"},
	"session":     {"requests", "live"},
	"worker":      {"gen", "used", "held", "fresh"},
	"keyed":       nil,
	"Limits":      nil,
	"JobSpec":     {"class"},
	"Retry":       nil,
}

func persisted(p any) (names []string) {
	t := reflect.TypeOf(p).Elem()
	skip, known := derived[t.Name()]
	if !known {
		panic("list " + t.Name())
	}
next:
	for i := range t.NumField() {
		for _, s := range skip {
			if t.Field(i).Name == s {
				continue next
			}
		}
		names = append(names, t.Field(i).Name)
	}
	return names
}

// TestHashSeesEveryField: replicas that differ in any field that is kept must differ in their hash (S1).
func TestHashSeesEveryField(t *testing.T) {
	more := &jobMore{past: []pastAttempt{{attempt: 1}}}
	j, r, s, w, k := &job{more: more}, &request{dag: &dag{}}, &session{}, &worker{}, &keyed{}
	u := &upload{dag: newPartedDAG()}
	d := newDAG(make([]JobSpec, 1), nil)
	limits := DefaultLimits()
	r.tasks = make([]task, 1)
	for _, c := range []struct {
		of  any
		sum func() uint64
	}{
		{j, func() uint64 { return j.sum(JobID{1, 1}) }},
		{&more.past[0], more.sum}, // before more: its turn moves the list
		{more, more.sum},
		{&r.tasks[0], r.sum}, // before r: its turn moves the list
		{r, r.sum},
		{u, u.sum},
		{&u.head, u.sum},
		{s, s.sum},
		{w, w.sum},
		{k, k.sum},
		{&d.specs[0][0], d.sum},
		{&d.specs[0][0].Retry, d.sum},
		{&limits, func() uint64 { h := newHasher(hashMachine); h.limits(limits); return uint64(h) }},
	} {
		for _, name := range persisted(c.of) {
			before := c.sum()
			bump(field(c.of, name))
			if c.sum() == before {
				t.Errorf("%T.%s can change without a change of the hash", c.of, name)
			}
		}
	}
	m := New()
	for _, name := range []string{"nextSession", "nextRequest", "nextWorker", "nextOrder", "turn", "now"} {
		before := m.Hash()
		bump(field(m, name))
		if m.Hash() == before {
			t.Errorf("Machine.%s can change without a change of the hash", name)
		}
	}
}

// TestSnapshotKeepsEveryField sets every kept field of one job, request, session, worker and key to a value of its
// own and looks for it after a restore.
func TestSnapshotKeepsEveryField(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w", 1)
	spec := simpleSpec()
	spec.Timeout = time.Hour // so that a running job may have a deadline
	id := r.submit(SubmitRequest{Key: "k", MaxRunning: 1, Specs: []JobSpec{spec}, Jobs: []JobEntry{{Name: "a"}, {Name: "b"}}})
	r.ok(PickJobs{Worker: w, Incarnation: inc, Max: 1, Standing: true})
	r.ok(report(w, inc, id, 0, 1, ReportReturn))
	r.ok(report(w, inc, id, 0, 2, ReportStart))
	r.ok(Progress{Items: []ProgressItem{{Job: JobID{id, 0}, Attempt: 2, Percent: 9, Text: "t"}}})
	r.ok(PauseRequest{ID: id})

	m := r.m
	q := m.db.request(id)
	j := m.db.editJob(m.db.own(q), 0)
	more := *j.more
	n := 10
	set := func(p any) {
		for _, name := range persisted(p) {
			switch f := field(p, name); name {
			case "id", "session", "worker", "state", "name", "key", "request", "past", "identity", "queues", "flags", "maxRunning", "tasks", "pause":
				if f.IsZero() { // what they say must stay true: only see that they say something
					bump(f)
				}
			default:
				n++
				switch f.Kind() {
				case reflect.Bool:
					f.SetBool(true)
				case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
					f.SetUint(uint64(n))
				case reflect.Int32, reflect.Int64:
					f.SetInt(int64(-n))
				case reflect.String:
					f.SetString(name)
				case reflect.Slice:
					f.Set(reflect.MakeSlice(f.Type(), 2, 2))
				case reflect.Struct:
					f.Set(reflect.ValueOf(stamp{uint64(n), int64(-n)}))
				default:
					t.Fatalf("%T.%s: teach the test", p, name)
				}
			}
		}
	}
	set(&more.past[0])
	set(&more)
	j.setMore(more)
	set(j)
	j.flags = flagDirty // the only other flag is for jobs that are ready
	m.due.jobs.Clear()
	m.due.jobs.Set(jobDue{j.due, JobID{id, 0}})
	q = m.db.editRequest(q)
	m.begin(q, task{kind: taskRelease, at: 2, job: 1, reason: ReasonStop, cause: 3, doomed: []uint32{0, 1}})
	set(q)
	var s session
	m.db.editSession(q.session, func(o *session) { set(o); s = *o })
	wk := m.workers.edit(m.workers.worker(w), func(o *worker) { set(o); o.gone = false })
	k, _ := m.db.keys.Get("k")
	kept := *k
	set(&kept)
	m.db.setKey(&kept)
	m.db.settle()

	restored, err := Restore(bytes.NewReader(snapshot(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	rq := restored.db.request(id)
	rk, _ := restored.db.keys.Get(kept.key)
	for _, pair := range [][2]any{
		{j, rq.job(0)}, {j.more, rq.job(0).more}, {&j.more.past[0], &rq.job(0).more.past[0]}, {q, rq}, {&q.tasks[0], &rq.tasks[0]},
		{&s, restored.db.session(s.id)}, {wk, restored.workers.worker(w)}, {&kept, rk}, {&m.limits, &restored.limits},
	} {
		for _, name := range persisted(pair[0]) {
			want, got := field(pair[0], name).Interface(), field(pair[1], name).Interface()
			if !reflect.DeepEqual(want, got) {
				t.Errorf("%T.%s was %v and came back as %v", pair[0], name, want, got)
			}
			if reflect.ValueOf(want).IsZero() && name != "gone" && name != "flags" {
				t.Errorf("%T.%s was left zero: the test proves nothing", pair[0], name)
			}
		}
	}
}

// TestSnapshotKeepsTheDAG: specs, payloads and needs come back as they were submitted.
func TestSnapshotKeepsTheDAG(t *testing.T) {
	r := newRun(t)
	spec := JobSpec{
		Kind: WorkCommand, Args: []string{"a", "b"}, Env: []Pair{{"E", "1"}, {"F", ""}}, Dir: "d", Queue: "q", Labels: []Pair{{"l", "v"}},
		Slots: 3, Priority: -7, Timeout: time.Minute, StartAfter: time.Second, StartAt: 5,
		Retry: Retry{Limit: 1, Backoff: 2, Factor: 3, Max: 4, Never: []int32{-1, 7}}, LostLimit: 6,
	}
	id := r.submit(SubmitRequest{Specs: []JobSpec{simpleSpec(), spec}, Jobs: []JobEntry{
		{Name: "a"}, {Name: "b", Spec: 1, Payload: []byte("[1]"), Needs: []Need{{Job: 0}}}, {Name: "c", Payload: []byte("2")}, {Name: "d", Needs: []Need{{Job: 2}, {Job: 0}}},
	}})
	m, err := Restore(bytes.NewReader(snapshot(t, r.m)))
	if err != nil {
		t.Fatal(err)
	}
	before, after := r.m.View(), m.View()
	for i := range uint32(4) {
		want, _ := before.Job(JobID{id, i})
		got, _ := after.Job(JobID{id, i})
		if !reflect.DeepEqual(want, got) {
			t.Errorf("job %d was %+v (spec %+v)\nand came back as %+v (spec %+v)", i, want, want.Spec, got, got.Spec)
		}
		if !reflect.DeepEqual(before.Dependents(JobID{id, i}), after.Dependents(JobID{id, i})) {
			t.Errorf("job %d: dependents %v became %v", i, before.Dependents(JobID{id, i}), after.Dependents(JobID{id, i}))
		}
		if !reflect.DeepEqual(before.History(JobID{id, i}), after.History(JobID{id, i})) {
			t.Errorf("job %d: another history", i)
		}
	}
}
