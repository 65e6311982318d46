package sim

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
)

// settle waits until everything has come right after the last fault, and says what has not by its end.
func (s *Sim) settle(healed time.Time) {
	wrong := "no try"
	for time.Since(healed) < settleMax {
		if wrong = s.unsettled(); wrong == "" {
			return
		}
		time.Sleep(200 * time.Millisecond)
		for _, h := range s.hosts {
			h.start() // one may have ended itself only now, of a disk that hung before
		}
	}
	s.fail("%s after the last fault: %s", settleMax, wrong)
	s.describe()
}

// describe logs what the coordinators and workers think.
func (s *Sim) describe() {
	for _, o := range s.hosts {
		if l := o.now(); l != nil {
			s.logf("%s: %+v", o.name, l.coord.Tasker().Status())
			v, _, _ := l.coord.Tasker().Read(s.ctx, cluster.Stale)
			for _, w := range v.Workers() {
				s.logf("%s: %+v holds %v", o.name, w, v.Held(w.ID))
			}
			for _, r := range v.Requests(fsm.RequestFilter{State: fsm.Running, HasState: true, Limit: 10}) {
				for _, j := range v.Jobs(r.ID, fsm.JobFilter{After: -1, Limit: 100}) {
					s.logf("%s: %s %s attempt %d of %+v", o.name, j.ID, j.State, j.Attempt, *j.Spec)
				}
			}
		}
	}
	s.logf("every goroutine:\n%s", stacks())
	for _, w := range s.workers {
		p := w.now()
		s.logf("%s: %+v stalls %d standing %v slots %d holds %v", w.name, p.me, w.stalls, w.standing, w.slots, p.held())
	}
}

// unsettled names something that is not as it should be at rest.
func (s *Sim) unsettled() string {
	leader := s.leader()
	if leader == nil {
		return "no leader"
	}
	ctx, cancel := context.WithTimeout(s.ctx, callTimeout)
	defer cancel()
	call := s.history.ops.Now()
	v, _, err := leader.now().coord.Tasker().Read(ctx, cluster.Linearizable)
	if err != nil {
		return "no read: " + err.Error()
	}
	for _, r := range v.Requests(fsm.RequestFilter{Limit: 1 << 20}) {
		if r.State == fsm.Running {
			var first fsm.JobInfo
			for _, j := range v.Jobs(r.ID, fsm.JobFilter{After: -1, Limit: 1 << 20}) {
				if !j.State.Terminal() {
					first = j
					break
				}
			}
			return "request " + r.ID.String() + " has not ended: job " + first.ID.String() + " is " + first.State.String() + ", held by " + first.Worker.String()
		}
	}
	for _, o := range s.hosts {
		l := o.now()
		if l == nil {
			return o.name + " is down"
		}
		mine, _, _ := l.coord.Tasker().Read(ctx, cluster.Stale)
		if mine.Index() < v.Index() {
			return o.name + " is behind"
		}
		s.history.state(o.name, mine)
	}
	s.history.final = v
	s.history.sawAll(call, v)
	return ""
}

// checkView restores a view's snapshot and recounts everything in it.
func (h *annals) checkView(host string, v *fsm.View) {
	h.state(host, v)
	var buf bytes.Buffer
	if _, err := v.WriteTo(&buf); err != nil {
		h.s.fail("%s: write a snapshot: %v", host, err)
		return
	}
	m, err := fsm.Restore(&buf)
	if err != nil {
		h.s.fail("%s: restore a snapshot: %v", host, err)
		return
	}
	if m.Hash() != v.Hash() {
		h.s.fail("%s: state %016x at index %d, restored %016x", host, v.Hash(), v.Index(), m.Hash())
	}
	if err := m.Check(); err != nil {
		h.s.fail("%s: state at index %d: %v", host, v.Index(), err)
	}
	if m.Busy() {
		h.count(func(r *Report) { r.Busy++ })
		return // the next entry goes on with what is left, and may well grant something
	}
	// Restored, everything on the board is looked at again: no entry may have left a job there that fits a worker.
	if _, err := m.Apply(v.Index()+1, 0, fsm.NewEntry(0, fsm.Encode(fsm.Progress{}))); err != nil {
		h.s.fail("%s: an entry without effect: %v", host, err)
	}
	for _, e := range m.Events() {
		h.s.fail("%s: state at index %d: not all was matched: %s goes to %s", host, v.Index(), e.Job, e.Worker)
	}
}

// finish judges the whole history.
func (h *annals) finish() {
	for _, o := range h.s.hosts {
		if l := o.now(); l != nil {
			v, _, err := l.coord.Tasker().Read(h.s.ctx, cluster.Stale)
			if err == nil {
				h.checkView(o.name, v)
			}
		}
	}
	v := h.final
	if v == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, a := range h.acks {
		if r, ok := v.Request(id); !ok || r.Key != a.key {
			h.s.fail("request %s (key %s) was acknowledged and is missing at the end", id, a.key)
		}
	}
	perKey := make(map[string]fsm.RequestID)
	for _, r := range v.Requests(fsm.RequestFilter{Limit: 1 << 20}) {
		if other, ok := perKey[r.Key]; ok {
			h.s.fail("requests %s and %s have one key, %s", other, r.ID, r.Key)
		}
		perKey[r.Key] = r.ID
	}
	h.checkResults(v)
	newReplay(h, v).run()
}

// checkResults compares what workers were told with what is kept.
func (h *annals) checkResults(v *fsm.View) {
	for g, w := range h.done {
		j, ok := v.Job(g.Job)
		switch {
		case !ok:
			h.s.fail("%s attempt %d: DONE was accepted, and the job is gone", g.Job, g.Attempt)
		case j.State != fsm.Done || j.Attempt != g.Attempt || j.Worker != w || !bytes.Equal(j.Result, resultOf(g, w)):
			h.s.fail("%s: DONE of attempt %d by %s was accepted, and it is %s, attempt %d by %s, result %q", g.Job, g.Attempt, w, j.State, j.Attempt, j.Worker, j.Result)
		}
	}
}

// replay walks all events in the order of the log and checks each step of each job.
type replay struct {
	h       *annals
	v       *fsm.View
	jobs    map[fsm.JobID]*jobPast
	request map[fsm.RequestID]fsm.State
}

type jobPast struct {
	state   fsm.State
	attempt uint32
}

func newReplay(h *annals, v *fsm.View) *replay {
	return &replay{h: h, v: v, jobs: make(map[fsm.JobID]*jobPast), request: make(map[fsm.RequestID]fsm.State)}
}

func (r *replay) run() {
	indexes := slices.Sorted(maps.Keys(r.h.entries))
	if reach, ok := r.complete(); !ok {
		// Every coordinator crashed or jumped over some entries by a snapshot before their events were read.
		r.h.s.logf("events are known without a gap up to %d only", reach)
		indexes = indexes[:sortedBefore(indexes, reach)]
	}
	for _, i := range indexes {
		for _, e := range r.h.entries[i].events {
			switch e.Kind {
			case fsm.EventRequest:
				r.requestEvent(e)
			case fsm.EventJob:
				r.jobEvent(e)
			}
		}
	}
}

// complete says how far the events are known without a gap.
func (r *replay) complete() (reach uint64, ok bool) {
	spans := slices.Clone(r.h.covered)
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	reach = 1
	for _, s := range spans {
		if s.lo > reach {
			return reach, false
		}
		reach = max(reach, s.hi)
	}
	return reach, true
}

func sortedBefore(list []uint64, reach uint64) int {
	at, found := slices.BinarySearch(list, reach)
	if found {
		at++
	}
	return at
}

func (r *replay) requestEvent(e fsm.Event) {
	id := e.Job.Request
	was, known := r.request[id]
	ok := !known && e.State == fsm.Running || known && was == fsm.Running && e.State.Terminal() ||
		known && (was == fsm.Failed || was == fsm.Cancelled) && e.State == fsm.Running
	if !ok {
		r.h.s.fail("request %s: %s after %s (known %v) at index %d", id, e.State, was, known, e.Index)
	}
	r.request[id] = e.State
}

// next lists the states that may follow one another.
var next = map[fsm.State][]fsm.State{
	fsm.Waiting:   {fsm.Ready, fsm.Delayed, fsm.Cancelled},
	fsm.Delayed:   {fsm.Ready, fsm.Cancelled},
	fsm.Ready:     {fsm.Picked, fsm.Cancelled},
	fsm.Picked:    {fsm.Running, fsm.Done, fsm.Failed, fsm.Cancelled, fsm.Ready, fsm.Delayed},
	fsm.Running:   {fsm.Done, fsm.Failed, fsm.Cancelled, fsm.Ready, fsm.Delayed},
	fsm.Failed:    {fsm.Waiting},
	fsm.Cancelled: {fsm.Waiting},
	fsm.Done:      {},
}

func (r *replay) jobEvent(e fsm.Event) {
	p := r.jobs[e.Job]
	if p == nil {
		p = new(jobPast)
		r.jobs[e.Job] = p
	}
	fail := func(what string) {
		r.h.s.fail("%s: %s: %s attempt %d after %s attempt %d, at index %d", e.Job, what, e.State, e.Attempt, p.state, p.attempt, e.Index)
	}
	if !slices.Contains(next[p.state], e.State) {
		fail("no such step")
	}
	attempt := p.attempt
	if e.State == fsm.Picked {
		attempt++
		r.needsDone(e)
	}
	if e.Attempt != attempt {
		fail("wrong attempt")
	}
	if e.State == fsm.Waiting && r.request[e.Job.Request] != fsm.Running {
		fail("revived without its request")
	}
	p.state, p.attempt = e.State, e.Attempt
}

func (r *replay) needsDone(e fsm.Event) {
	j, ok := r.v.Job(e.Job)
	if !ok {
		return
	}
	for _, n := range j.Needs {
		if p := r.jobs[fsm.JobID{Request: e.Job.Request, Index: n.Job}]; p == nil || p.state != fsm.Done {
			r.h.s.fail("%s was picked at index %d before job %d of its needs was done", e.Job, e.Index, n.Job)
		}
	}
}
