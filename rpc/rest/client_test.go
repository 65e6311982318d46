package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come; it is never waited for in vain.
const patience = 20 * time.Second

// script is a coordinator that answers each call as it is told, and the last one for ever.
type script struct {
	mu    sync.Mutex
	steps []http.HandlerFunc
	calls []string // method, path, key, Last-Event-ID
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls = append(s.calls, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get(HeaderKey), r.Header.Get(HeaderLastEventID))))
	step := s.steps[0]
	if len(s.steps) > 1 {
		s.steps = s.steps[1:]
	}
	s.mu.Unlock()
	step(w, r)
}

func (s *script) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// scripted starts coordinators and gives a client of them.
func scripted(t *testing.T, scripts ...*script) *Client {
	t.Helper()
	var addrs []string
	for _, s := range scripts {
		srv := httptest.NewServer(s)
		t.Cleanup(srv.Close)
		addrs = append(addrs, srv.URL)
	}
	c, err := NewClient(addrs, "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func says(status int, doc any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if status >= 300 {
			w.Header().Set("Content-Type", ProblemType)
		}
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(doc)
	}
}

func refuses(status int, code string) http.HandlerFunc {
	return says(status, Problem{Code: code, Detail: "no: " + code, RetryAfter: Duration(time.Millisecond)})
}

func hangsUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func cutsOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	io.WriteString(w, `{"id": "r1", `)
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestRetries(t *testing.T) {
	request := says(200, Request{ID: "r1", State: "done"})
	for _, c := range []struct {
		name  string
		steps []http.HandlerFunc
		ask   func(context.Context, *Client) error
		calls int
		fails string // "" or what the error says
	}{
		{"a read, whatever happened", []http.HandlerFunc{hangsUp, refuses(503, CodeNoLeader), refuses(503, CodeUnknownOutcome), refuses(429, CodeOverloaded), cutsOff, request}, getRequest, 6, ""},
		{"a proxy's word", []http.HandlerFunc{says(502, "bad gateway"), request}, getRequest, 2, ""},
		{"not found is final", []http.HandlerFunc{refuses(404, CodeNotFound)}, getRequest, 1, "no: not_found"},
		{"no redirect is followed", []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}}, getRequest, 1, "Temporary Redirect"},
		{"a submit has a key", []http.HandlerFunc{hangsUp, refuses(503, CodeUnknownOutcome), says(201, Submitted{ID: "r1"})}, submit, 3, ""},
		{"a retry of a request is said once", []http.HandlerFunc{hangsUp, says(200, Retried{})}, retryRequest, 1, errOutcome.Error()},
		{"a retry whose outcome is unknown", []http.HandlerFunc{refuses(503, CodeUnknownOutcome), says(200, Retried{})}, retryRequest, 1, errOutcome.Error()},
		{"a retry that certainly did nothing", []http.HandlerFunc{refuses(503, CodeNoLeader), refuses(429, CodeOverloaded), says(200, Retried{})}, retryRequest, 3, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{steps: c.steps}
			err := c.ask(limited(t), scripted(t, s))
			if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("got %v, want %q", err, c.fails)
			}
			if calls := s.seen(); len(calls) != c.calls || len(slices.Compact(calls)) != 1 {
				t.Errorf("called %q, want %d calls, all the same", calls, c.calls)
			}
		})
	}
}

func getRequest(ctx context.Context, c *Client) error {
	r, err := c.Request(ctx, "r1")
	if err == nil && r.ID != "r1" {
		err = fmt.Errorf("read %+v", r)
	}
	return err
}

func submit(ctx context.Context, c *Client) error {
	_, err := c.Submit(ctx, RequestSpec{}, "")
	return err
}

func retryRequest(ctx context.Context, c *Client) error {
	_, err := c.RetryRequest(ctx, "r1")
	return err
}

func TestNextAddress(t *testing.T) {
	broken := &script{steps: []http.HandlerFunc{hangsUp}}
	good := &script{steps: []http.HandlerFunc{says(200, Request{ID: "r1"})}}
	c := scripted(t, broken, good)
	for range 3 {
		if err := getRequest(limited(t), c); err != nil {
			t.Fatal(err)
		}
	}
	// It stays with the one that answers.
	if b, g := len(broken.seen()), len(good.seen()); b > 2 || g != 3 { // a broken idle connection is tried twice by net/http
		t.Errorf("asked the broken one %d times, the good one %d times", b, g)
	}
}

func TestCoordinatorThatHangs(t *testing.T) {
	release := make(chan struct{})
	hung := &script{steps: []http.HandlerFunc{func(http.ResponseWriter, *http.Request) { <-release }}}
	good := &script{steps: []http.HandlerFunc{says(200, Request{ID: "r1"})}}
	c := scripted(t, hung, good)
	resp, err := c.exchange(limited(t), call{method: "GET", path: "/v1/requests/r1", repeatable: true, patience: 20 * time.Millisecond})
	close(release)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(hung.seen()) != 1 || len(good.seen()) != 1 {
		t.Errorf("asked %d, %d times", len(hung.seen()), len(good.seen()))
	}
}

func TestEndOfContext(t *testing.T) {
	ctx, cancel := context.WithCancel(limited(t))
	no := refuses(503, CodeNoLeader)
	s := &script{steps: []http.HandlerFunc{no, no, func(w http.ResponseWriter, r *http.Request) { cancel(); no(w, r) }}}
	c := scripted(t, s)
	err := getRequest(ctx, c)
	var p *Problem
	if !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.Canceled) || !errors.As(err, &p) || p.Code != CodeNoLeader {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(err.Error(), c.bases[0].Host) {
		t.Errorf("%v does not say what was tried", err)
	}
}

func TestAddresses(t *testing.T) {
	c, err := NewClient([]string{"a:1", " http://b:2/ ", "", "https://c/base"}, "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range c.bases {
		r := c.request(t.Context(), b, call{method: "GET", path: path([]string{"sessions", "a/b c"})})
		got = append(got, r.URL.String())
	}
	want := []string{"http://a:1/v1/sessions/a%2Fb%20c", "http://b:2/v1/sessions/a%2Fb%20c", "https://c/base/v1/sessions/a%2Fb%20c"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range [][]string{nil, {""}, {"ftp://x"}, {"http://"}, {"http://x?y"}, {"%zz"}} {
		if _, err := NewClient(bad, ""); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestToken(t *testing.T) {
	var got string
	c := scripted(t, &script{steps: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		says(200, Request{ID: "r1"})(w, r)
	}}})
	if err := getRequest(limited(t), c); err != nil || got != "Bearer secret" {
		t.Errorf("sent %q, %v", got, err)
	}
}

// sends writes raw lines of an event stream and breaks off.
func sends(lines string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, lines)
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func event(index int, name string) string {
	return fmt.Sprintf("id: %d\nevent: job\ndata: {\"type\": \"job\", \"index\": %d, \"job_name\": %q}\n\n", index, index, name)
}

// TestWatchResumes breaks a stream off within an entry of the log: nothing is lost, nothing comes twice.
func TestWatchResumes(t *testing.T) {
	s := &script{steps: []http.HandlerFunc{
		sends(": hello\nretry: 1\nid: 6\n\n" + event(7, "a") + event(9, "b") + event(9, "c")),
		sends("id: 8\n\n" + event(9, "b")), // broken off again, earlier
		sends(""),
		sends("id: 8\n\n" + event(9, "b") + event(9, "c") + event(9, "d") + ": alive\n\n" + event(12, "e")),
		sends("id: 11\n\n" + event(12, "e") + "id: 15\n: alive\n\n"), // nothing for this watcher up to 15
		sends("id: 15\n\n" + "id: 20\nevent: reset\ndata: {\"type\": \"reset\", \"index\": 20}\n\n" + event(21, "f")),
		refuses(400, CodeInvalid),
	}}
	c := scripted(t, s)
	var got []string
	for e, err := range c.Watch(limited(t), WatchQuery{Request: "r1"}) {
		if err != nil {
			got = append(got, err.Error())
			break
		}
		got = append(got, e.JobName+e.Type)
	}
	if want := []string{"ajob", "bjob", "cjob", "djob", "ejob", "reset", "fjob", "no: invalid"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	var ids []string
	for _, call := range s.seen() {
		ids = append(ids, strings.TrimSpace(strings.TrimPrefix(call, "GET /v1/events?request=r1")))
	}
	if want := []string{"", "8", "8", "8", "11", "15", "20"}; !slices.Equal(ids, want) {
		t.Errorf("resumed from %q, want %q", ids, want)
	}
}

func TestWatchEndsWithItsReader(t *testing.T) {
	c := scripted(t, &script{steps: []http.HandlerFunc{sends(event(1, "a") + event(2, "b"))}})
	n := 0
	for range c.Watch(limited(t), WatchQuery{}) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d events", n)
	}
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	var last error
	for _, err := range c.Watch(ctx, WatchQuery{}) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("ended with %v", last)
	}
}

func TestLogsResume(t *testing.T) {
	part := func(s string, whole bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(HeaderAttempt, "2")
			io.WriteString(w, s)
			http.NewResponseController(w).Flush()
			if !whole {
				panic(http.ErrAbortHandler)
			}
		}
	}
	s := &script{steps: []http.HandlerFunc{part("hello ", false), part("wor", false), part("ld", true)}}
	log, err := scripted(t, s).JobLogs(limited(t), "j1", LogQuery{Stream: "stderr", Follow: true, Offset: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if b, err := io.ReadAll(log); err != nil || string(b) != "hello world" {
		t.Errorf("read %q, %v", b, err)
	}
	want := []string{
		"GET /v1/jobs/j1/logs?follow=true&offset=1&stream=stderr",
		"GET /v1/jobs/j1/logs?attempt=2&follow=true&offset=7&stream=stderr",
		"GET /v1/jobs/j1/logs?attempt=2&follow=true&offset=10&stream=stderr",
	}
	if got := s.seen(); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestProblemText(t *testing.T) {
	p := &Problem{Status: 400, Detail: "unknown field \"comand\"", Line: 7, Column: 5, Errors: []FieldProblem{{Detail: "this", Line: 7, Column: 5}, {Detail: "that"}}}
	if got, want := p.Error(), "line 7, column 5: unknown field \"comand\"\n  line 7, column 5: this\n  that"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&Problem{Status: 503}).Error(); got != "503 Service Unavailable" {
		t.Errorf("got %q", got)
	}
}
