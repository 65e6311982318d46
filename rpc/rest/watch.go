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

// watch is where a stream stands. A connection may break within the events of one entry of the log, which share an
// index. So it resumes before the last entry that it saw, and passes over what it has given of that one: its events come
// in the same order whichever coordinator sends them.
type watch struct {
	query WatchQuery
	from  uint64 // every event up to this index was given
	index uint64 // of the entry after from that was begun
	given int    // of its events
	skip  int    // of those, how many still come again
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
	var id uint64
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

// dispatch takes an event, or without data the word that there is nothing else up to the id.
func (w *watch) dispatch(id uint64, data []byte, give func(Event) bool) error {
	if len(data) == 0 {
		if id >= w.index && id > w.from {
			w.complete(id)
		}
		return nil
	}
	var e Event
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("event after index %d: %w", w.from, err)
	}
	switch {
	case e.Type == EventReset:
		w.complete(e.Index)
	case e.Index != w.index:
		w.complete(e.Index - 1)
		w.index, w.given = e.Index, 1
	case w.skip > 0:
		w.skip--
		return nil
	default:
		w.given++
	}
	if !give(e) {
		return errEnough
	}
	return nil
}

func (w *watch) complete(index uint64) { *w = watch{query: w.query, from: index} }

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
