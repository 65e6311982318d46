package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/rpc/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeAPI answers like a coordinator that has one request, and notes what it was asked.
type fakeAPI struct {
	t      *testing.T
	server *httptest.Server
	mux    *http.ServeMux

	mu    sync.Mutex
	calls []string
	body  string // of the last POST
	key   string // its idempotency key
}

var began = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func newFakeAPI(t *testing.T) *fakeAPI {
	f := &fakeAPI{t: t, mux: http.NewServeMux()}
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.note(r)
		f.mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeAPI) note(r *http.Request) {
	var b bytes.Buffer
	b.ReadFrom(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(b.Bytes()))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, r.Method+" "+r.URL.RequestURI())
	if r.Method == http.MethodPost {
		f.body, f.key = b.String(), r.Header.Get(rest.HeaderKey)
	}
}

// answer makes the pattern answer with doc.
func (f *fakeAPI) answer(pattern string, doc any) {
	f.mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { f.write(w, http.StatusOK, doc) })
}

func (f *fakeAPI) refuse(pattern string, p rest.Problem) {
	f.mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", rest.ProblemType)
		f.write(w, p.Status, p)
	})
}

func (f *fakeAPI) write(w http.ResponseWriter, status int, doc any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(doc); err != nil {
		f.t.Error(err)
	}
}

// events makes the stream of events: each entry of the log has one.
func (f *fakeAPI) events(list ...rest.Event) {
	f.mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i, e := range list {
			e.Index, e.Time = uint64(10+i), began.Add(time.Duration(i)*time.Second)
			b, _ := json.Marshal(e)
			fmt.Fprintf(w, "event: %s\nid: %d\ndata: %s\n\n", e.Type, e.Index, b)
		}
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
}

// told is what a command said and how it ended.
type told struct {
	code     int
	out, err string
}

func (f *fakeAPI) muster(args ...string) told {
	return mustering(context.Background(), "", map[string]string{"MUSTER_ADDR": f.server.Listener.Addr().String()}, args...)
}

func mustering(ctx context.Context, input string, env map[string]string, args ...string) told {
	var out, talk bytes.Buffer
	a := app{in: strings.NewReader(input), out: &out, err: &talk,
		env: func(k string) string { return env[k] }, environ: func() []string { return nil }}
	code := executeContext(ctx, a, args)
	return told{code, out.String(), talk.String()}
}

func (f *fakeAPI) called(call string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c == call {
			return true
		}
	}
	return false
}

func aRequest(state string) rest.Request {
	r := rest.Request{
		ID: "r0000000003", Session: "s0000000001", SessionName: "nightly", Name: "pipeline", State: state, Jobs: 3,
		OnFailure: "cancel", Index: 9, Created: began, Counts: rest.Counts{Running: 1, Waiting: 2},
	}
	if state != rest.StateRunning {
		r.Ended, r.Progress = began.Add(90*time.Second), 100
	}
	switch state {
	case rest.StateDone:
		r.Counts = rest.Counts{Done: 3}
	case rest.StateFailed:
		r.Counts = rest.Counts{Done: 1, Failed: 1, Cancelled: 1}
	}
	return r
}

func someJobs() []rest.Job {
	code := int32(3)
	return []rest.Job{
		{ID: "j0000000003-00000", Request: "r0000000003", Name: "A", State: rest.StateDone, Attempt: 1, Worker: "w0000000001", WorkerName: "w1",
			Progress: 100, Needs: []rest.Need{}, Result: rest.Raw(`{"answer":42}`), Spec: rest.Work{Command: []string{"./a", "x y"}, Queue: "default"},
			Times: rest.Times{Submitted: began, Started: began.Add(time.Second), Ended: began.Add(11 * time.Second)}},
		{ID: "j0000000003-00001", Request: "r0000000003", Name: "B", State: rest.StateFailed, Reason: "error", Attempt: 2, Retries: 1, Worker: "w0000000002",
			WorkerName: "w2", Needs: []rest.Need{{Job: "A"}}, Error: "no such\x1b[31m file", ExitCode: &code, Spec: rest.Work{Shell: "exit 3"},
			Times: rest.Times{Submitted: began, Started: began.Add(11 * time.Second), Ended: began.Add(90 * time.Second)}},
		{ID: "j0000000003-00002", Request: "r0000000003", Name: "C", State: rest.StateCancelled, Reason: "needs",
			Needs: []rest.Need{{Job: "A"}, {Job: "B"}}, Cause: &rest.JobRef{ID: "j0000000003-00001", Name: "B"}, Spec: rest.Work{Handler: "resize"},
			Times: rest.Times{Submitted: began, Ended: began.Add(90 * time.Second)}},
	}
}
