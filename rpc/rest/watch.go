package rest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// HeartbeatEvery is how often a coordinator writes to a stream that has nothing to say.
	HeartbeatEvery = 5 * time.Second
	// streamPatience of silence means that the coordinator hangs.
	streamPatience = 3 * HeartbeatEvery
	eventLineMax   = 1 << 20
)

// WatchQuery selects events. Empty fields select all.
type WatchQuery struct {
	Request string // id
	Session string // id
	From    uint64 // events after this index; 0: from now
}

// Watch gives events as they happen, over leader changes and lost coordinators, until the context ends; the last thing
// it gives is an error that says why it ended. When events were left out an [EventReset] comes first.
func (c *Client) Watch(ctx context.Context, q WatchQuery) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := watch{query: q, from: q.From}
		for {
			resp, err := c.exchange(ctx, w.call())
			if err != nil {
				yield(Event{}, err)
				return
			}
			err = w.read(resp.Body, func(e Event) bool { return yield(e, nil) })
			resp.Body.Close()
			if errors.Is(err, errEnough) {
				return
			}
			if !sleep(ctx, retryFirst) {
				yield(Event{}, fmt.Errorf("watch: %w", context.Cause(ctx)))
				return
			}
		}
	}
}

// errEnough ends a watch: whoever reads it wants no more.
var errEnough = errors.New("enough")

// watch is where a stream stands.
type watch struct {
	query WatchQuery
	from  uint64 // the last event id
	// The entry of log that was cut off within, and how many of its events were given: a resumed stream starts with
	// that entry's first event again, in the same order whichever coordinator sends it.
	partial uint64
	given   int
	skip    int
}

func (w *watch) call() call {
	v := url.Values{}
	set(v, "request", w.query.Request)
	set(v, "session", w.query.Session)
	k := call{
		method: http.MethodGet, path: "/v1/events", query: v, repeatable: true, patience: streamPatience,
		header: http.Header{"Accept": {"text/event-stream"}},
	}
	if w.from > 0 {
		k.header.Set(HeaderLastEventID, strconv.FormatUint(w.from, 10))
	}
	w.skip = w.given
	return k
}

// read gives the events of one connection until it breaks.
func (w *watch) read(body io.Reader, give func(Event) bool) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 4<<10), eventLineMax)
	var data []byte
	id := w.from
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			if n, err := strconv.ParseUint(value, 10, 64); err == nil {
				id = n
			}
		case "data":
			data = append(data, value...)
		case "":
			if len(lines.Bytes()) > 0 {
				continue // a comment
			}
			if err := w.dispatch(id, data, give); err != nil {
				return err
			}
			data = data[:0]
		}
	}
	return lines.Err()
}

func (w *watch) dispatch(id uint64, data []byte, give func(Event) bool) error {
	var e Event
	if len(data) > 0 {
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("event after index %d: %w", w.from, err)
		}
	}
	again := w.skip > 0 && e.Type != "" && e.Index == w.partial
	if again {
		w.skip--
	}
	if e.Type != "" && !again && !give(e) {
		return errEnough
	}
	w.advance(id, e, again)
	return nil
}

func (w *watch) advance(id uint64, e Event, again bool) {
	switch {
	case id != w.from: // the entry is complete
		*w = watch{query: w.query, from: id}
	case e.Type == "" || again:
	case e.Index == w.partial:
		w.given++
	default:
		w.partial, w.given, w.skip = e.Index, 1, 0
	}
}

// WaitRequest waits until a request has ended and gives it as it is then. Between, each event of it is handed to
// onEvent (unless it is nil), an [EventReset] when some were left out.
func (c *Client) WaitRequest(ctx context.Context, id string, onEvent func(Event)) (Request, error) {
	for {
		r, index, err := get[Request](ctx, c, nil, "requests", id)
		if err != nil || r.Over() {
			return r, err
		}
		for e, err := range c.Watch(ctx, WatchQuery{Request: r.ID, From: index}) {
			if err != nil {
				return r, err
			}
			if onEvent != nil {
				onEvent(e)
			}
			if e.Type == EventReset || e.Type == EventRequest && e.State != StateRunning {
				break
			}
		}
	}
}
