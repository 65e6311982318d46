package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

// sse is one event as it was on the wire.
type sse struct {
	id, event string
	doc       rest.Event
}

func (e sse) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.event, e.doc.JobName, e.doc.State, e.id))
}

// stream is an event stream that a test reads.
type stream struct {
	t     *testing.T
	resp  *http.Response
	lines *bufio.Scanner
	close context.CancelFunc
}

func (r *rig) events(query string, headers ...string) *stream {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	resp, err := r.http.Do(r.request("GET", "/v1/events"+query, "", headers...).WithContext(ctx))
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != mediaSSE {
		r.t.Fatalf("events: %s %v", resp.Status, resp.Header)
	}
	s := &stream{r.t, resp, bufio.NewScanner(resp.Body), func() { cancel(); resp.Body.Close() }}
	r.t.Cleanup(s.close)
	return s
}

// next gives the next event that has data.
func (s *stream) next() sse {
	s.t.Helper()
	var e sse
	for s.lines.Scan() {
		field, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.event = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.doc); err != nil {
				s.t.Fatal(err)
			}
		case "":
			if e.event != "" {
				return e
			}
			e = sse{}
		}
	}
	s.t.Fatalf("the stream ended: %v", s.lines.Err())
	return e
}

func (s *stream) list(n int) (list []string) {
	s.t.Helper()
	for range n {
		list = append(list, s.next().String())
	}
	return list
}

func TestEvents(t *testing.T) {
	r := newRig(t)
	all := r.events("?from=0")
	worker := r.join(1)
	sub := r.submit(chain)
	one := r.events("?request=" + sub.ID + "&session=reports&from=1")
	none := r.events("?request=r0000000099&from=1")
	a := r.pick(`{"worker": %q}`, worker)[0]
	r.report(200, a.ID, `{"worker": %q, "attempt": 1, "state": "DONE"}`, worker)

	if e := all.next(); e.event != "worker" || e.doc.State != "alive" || e.doc.WorkerName != "w" || e.id != "2" {
		t.Errorf("first: %+v", e)
	}
	got := all.list(2)
	if fmt.Sprint(got) != "[request  running 3 job a ready 3]" {
		t.Errorf("entry of the submit: %q", got)
	}
	if again := one.list(2); fmt.Sprint(again) != fmt.Sprint(got) {
		t.Errorf("filtered: %q, all: %q", again, got)
	}
	picked := one.next()
	if picked.doc.State != "picked" || picked.doc.Worker != worker || picked.doc.Request != sub.ID || picked.doc.SessionName != "reports" || picked.doc.Attempt != 1 {
		t.Errorf("picked: %+v", picked)
	}
	// Where one stream stopped, another takes up, on whichever coordinator.
	more := r.events("?request="+sub.ID, rest.HeaderLastEventID, picked.id)
	if e := more.next(); e.doc.Index <= picked.doc.Index || e.doc.State != "done" {
		t.Errorf("after %s: %+v", picked.id, e)
	}
	r.fake.forget(1000)
	if e := none.next(); e.event != rest.EventReset || e.id == "" {
		t.Errorf("a filtered stream: %+v", e)
	}
}

func TestEventsThatAreForgotten(t *testing.T) {
	r := newRig(t)
	r.join(1)
	r.submit(chain)
	r.fake.forget(3)
	s := r.events("?from=1")
	e := s.next()
	if e.event != rest.EventReset || e.id != fmt.Sprint(e.doc.Index) || e.doc.Index != 3 {
		t.Fatalf("got %+v", e)
	}
	r.submit(chain)
	if e := s.next(); e.doc.Index != 4 {
		t.Errorf("after the reset: %+v", e)
	}
}

func TestEventFilter(t *testing.T) {
	job := fsm.Event{Kind: fsm.EventJob, Job: fsm.JobID{Request: 1}, Session: 2}
	worker := fsm.Event{Kind: fsm.EventWorker, Worker: 1}
	stop := fsm.Event{Kind: fsm.EventStop, Job: fsm.JobID{Request: 1}}
	for _, c := range []struct {
		f    eventFilter
		e    fsm.Event
		want bool
	}{
		{eventFilter{}, job, true}, {eventFilter{}, worker, true}, {eventFilter{}, stop, false},
		{eventFilter{request: 1}, job, true}, {eventFilter{request: 2}, job, false}, {eventFilter{request: 1}, worker, false},
		{eventFilter{session: 2}, job, true}, {eventFilter{session: 1}, job, false}, {eventFilter{request: 1, session: 2}, job, true},
	} {
		if got := c.f.wants(c.e); got != c.want {
			t.Errorf("%+v of %+v: %v", c.f, c.e, got)
		}
	}
}

func TestWatchersAreBounded(t *testing.T) {
	r := newRig(t)
	r.server.watchers.Store(watchersMax)
	p := r.fails(429, rest.CodeOverloaded, "GET", "/v1/events", "")
	if p.RetryAfter == 0 || r.server.watchers.Load() != watchersMax {
		t.Errorf("%+v, %d watchers", p, r.server.watchers.Load())
	}
}
