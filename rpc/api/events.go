package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

const (
	// watchersMax is how many event streams are open at one time.
	watchersMax = 1024
	// eventChunkBytes of events are sent at one time.
	eventChunkBytes = 64 << 10
	// eventReconnect is how soon a browser comes back.
	eventReconnect = time.Second
	// leaderlessBeats is how many heartbeats a stream outlives the knowledge of a leader.
	leaderlessBeats = 2
)

// eventFilter is what a watcher wants to see.
type eventFilter struct {
	request fsm.RequestID // 0: any
	session fsm.SessionID // 0: any
}

func (f eventFilter) wants(e fsm.Event) bool {
	if e.Kind == fsm.EventStop {
		return false // between a coordinator and its worker
	}
	if e.Kind == fsm.EventWorker {
		return f == eventFilter{}
	}
	return (f.request == 0 || e.Job.Request == f.request) && (f.session == 0 || e.Session == f.session)
}

func eventFilterOf(v *fsm.View, r *http.Request) (f eventFilter, err error) {
	q := r.URL.Query()
	if id := q.Get(paramRequest); id != "" {
		if f.request, err = fsm.ParseRequestID(id); err != nil {
			return f, invalid("request: %v", err)
		}
	}
	if name := q.Get(paramSession); name != "" {
		if f.session, err = fsm.ParseSessionID(name); err != nil {
			info, err := session(v, name)
			if err != nil {
				return f, err
			}
			f.session = info.ID
		}
	}
	return f, nil
}

// firstIndex is the index just before the first entry that can have events.
const firstIndex = 1

// eventsFrom is the index after which events are wanted.
func eventsFrom(v *fsm.View, r *http.Request) (uint64, error) {
	text := r.Header.Get(rest.HeaderLastEventID)
	if text == "" {
		text = r.URL.Query().Get(paramFrom)
	}
	if text == "" {
		return v.Index(), nil
	}
	from, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, invalid("from %.40q is not a log index", text)
	}
	return max(from, firstIndex), nil
}

func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	v, err := s.local(r.Context())
	if err != nil {
		return err
	}
	filter, err := eventFilterOf(v, r)
	if err != nil {
		return err
	}
	from, err := eventsFrom(v, r)
	if err != nil {
		return err
	}
	if s.watchers.Add(1) > watchersMax {
		s.watchers.Add(-1)
		return s.later(problem(rest.CodeOverloaded, "%d event streams are open already: ask another coordinator", watchersMax))
	}
	defer s.watchers.Add(-1)
	unhurried(w)
	ctx, cancel := s.streaming(r)
	defer cancel()
	h := w.Header()
	h.Set("Content-Type", mediaSSE)
	h.Set("X-Accel-Buffering", "no") // proxies must not hold events back
	e := &eventStream{s: s, w: w, rc: http.NewResponseController(w), filter: filter, from: from, told: from, seen: from}
	fmt.Fprintf(&e.out, ": muster\nretry: %d\nid: %d\n\n", eventReconnect.Milliseconds(), from)
	if e.flush() != nil {
		return nil
	}
	e.run(ctx)
	return nil
}

// eventStream writes events to one watcher.
type eventStream struct {
	s      *Server
	w      http.ResponseWriter
	rc     *http.ResponseController
	filter eventFilter
	from   uint64       // events after this index
	seen   uint64       // index of the last entry that has been looked at
	told   uint64       // the last id sent
	out    bytes.Buffer // what the next flush sends
}

// run ends when the watcher or the server does, or when this node is cut off.
func (e *eventStream) run(ctx context.Context) {
	events := e.s.tasker.Watch(e.seen)
	defer func() { events.Close() }()
	for leaderless := 0; leaderless < leaderlessBeats; {
		turn, cancel := context.WithTimeout(ctx, rest.HeartbeatEvery)
		batch, err := events.Next(turn)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			err = e.give(ctx, batch)
		case errors.Is(err, context.DeadlineExceeded):
			if _, ok := e.s.tasker.Leader(); ok {
				leaderless = 0
			} else {
				leaderless++
			}
			err = e.heartbeat()
		case errors.Is(err, cluster.ErrTooOld):
			events.Close()
			if err = e.reset(ctx); err == nil {
				events = e.s.tasker.Watch(e.seen)
			}
		}
		if err != nil {
			return // the watcher has gone or is too slow, or the node stops
		}
	}
}

// give writes what is wanted of a batch, as one piece if it can: a watcher that resumes after an id has seen all of it.
func (e *eventStream) give(ctx context.Context, batch []fsm.Event) error {
	if len(batch) == 0 {
		return nil
	}
	wanted := make([]fsm.Event, 0, len(batch))
	for _, event := range batch {
		if event.Index > e.from && e.filter.wants(event) {
			wanted = append(wanted, event)
		}
	}
	e.seen = max(e.seen, batch[len(batch)-1].Index)
	if len(wanted) == 0 {
		return nil
	}
	v, err := e.s.local(ctx)
	if err != nil {
		return err
	}
	for _, event := range wanted {
		if err := e.event(eventOf(event, v)); err != nil {
			return err
		}
	}
	return e.flush()
}

// event adds an event to what is sent next.
func (e *eventStream) event(doc rest.Event) error {
	e.told = doc.Index
	fmt.Fprintf(&e.out, "id: %d\nevent: %s\ndata: ", doc.Index, doc.Type)
	if err := json.NewEncoder(&e.out).Encode(doc); err != nil { // ends the line
		return err
	}
	e.out.WriteByte('\n')
	if e.out.Len() > eventChunkBytes {
		return e.flush()
	}
	return nil
}

// heartbeat shows that the stream lives. It moves the watcher's place past what it did not want to see, so that it need
// not start over when it comes back after long.
func (e *eventStream) heartbeat() error {
	if e.seen > e.told {
		e.told = e.seen
		fmt.Fprintf(&e.out, "id: %d\n", e.seen)
	}
	e.out.WriteString(": alive\n\n")
	return e.flush()
}

// reset tells the watcher to read the state anew, and goes on from it.
func (e *eventStream) reset(ctx context.Context) error {
	v, err := e.s.local(ctx)
	if err != nil {
		return err
	}
	e.seen = max(e.seen, v.Index())
	if err := e.event(rest.Event{Type: rest.EventReset, Index: e.seen, Time: v.Time()}); err != nil {
		return err
	}
	return e.flush()
}

func (e *eventStream) flush() error {
	if _, err := e.w.Write(e.out.Bytes()); err != nil {
		return err
	}
	e.out.Reset()
	return e.rc.Flush()
}
