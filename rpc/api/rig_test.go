package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/musterhq/muster/rpc/rest"
)

func TestMain(m *testing.M) {
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder(mediaBinary, openapi3filter.PlainBodyDecoder)
	goleak.VerifyTestMain(m)
}

// rig is a server over a fakeTasker. Every call that goes through it is checked against the OpenAPI document.
type rig struct {
	t      *testing.T
	fake   *fakeTasker
	server *Server
	base   string
	router routers.Router
	http   *http.Client
	seen   map[string]bool // operations called
}

func newRig(t *testing.T) *rig {
	t.Helper()
	fake := newFake()
	s := New(fake, Config{MaxBody: 1 << 20, Registry: prometheus.NewRegistry()})
	s.statusWait = patience
	doc, err := openAPI(s.routes())
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if doc, err = openapi3.NewLoader().LoadFromData(data); err != nil { // resolves references
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatalf("OpenAPI document: %v", err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, fake: fake, server: s, base: listen(t, s), router: router, http: &http.Client{}, seen: map[string]bool{}}
	t.Cleanup(r.http.CloseIdleConnections)
	return r
}

// listen serves until the test ends.
func listen(t *testing.T, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

// reply is an answer, read to its end.
type reply struct {
	*http.Response
	body []byte
}

func (r *rig) request(method, path, body string, headers ...string) *http.Request {
	r.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, r.base+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

// raw calls without looking at the OpenAPI document.
func (r *rig) raw(method, path, body string, headers ...string) reply {
	r.t.Helper()
	resp, err := r.http.Do(r.request(method, path, body, headers...))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{resp, data}
}

// call expects the status. The answer must be as the document says, and when it is good the call too.
func (r *rig) call(status int, method, path, body string, headers ...string) reply {
	r.t.Helper()
	got := r.raw(method, path, body, headers...)
	if got.StatusCode != status {
		r.t.Fatalf("%s %s: %s, want %d\n%s", method, path, got.Status, status, got.body)
	}
	r.validate(got, method, path, body, headers...)
	return got
}

func (r *rig) validate(got reply, method, path, body string, headers ...string) {
	r.t.Helper()
	req := r.request(method, path, body, headers...)
	rt, params, err := r.router.FindRoute(req)
	if err != nil {
		if got.StatusCode < 400 {
			r.t.Fatalf("%s %s is not in the OpenAPI document: %v", method, path, err)
		}
		return
	}
	r.seen[rt.Operation.OperationID] = true
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: rt}
	if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil && got.StatusCode < 300 {
		r.t.Errorf("%s %s: the server takes what its document does not: %v", method, path, err)
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: got.StatusCode, Header: got.Header, Body: io.NopCloser(bytes.NewReader(got.body)),
	}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		r.t.Errorf("%s %s: the answer is not what the document says: %v\n%s", method, path, err, got.body)
	}
}

func as[T any](t *testing.T, r reply) (v T) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return v
}

// fails expects a problem of the code.
func (r *rig) fails(status int, code, method, path, body string, headers ...string) rest.Problem {
	r.t.Helper()
	got := r.call(status, method, path, body, headers...)
	p := as[rest.Problem](r.t, got)
	if p.Code != code || p.Status != status || p.Detail == "" || !strings.HasPrefix(got.Header.Get("Content-Type"), rest.ProblemType) {
		r.t.Errorf("%s %s: got the problem %+v as %s, want code %s", method, path, p, got.Header.Get("Content-Type"), code)
	}
	return p
}

const chain = `{"name": "nightly", "session": "reports", "jobs": [
	{"name": "a", "command": ["true"], "payload": {"day": [1, 2]}},
	{"name": "b", "shell": "false", "needs": ["a"]},
	{"name": "c", "handler": "resize", "needs": ["b", {"job": "a"}]}]}`

func (r *rig) submit(spec string) rest.Submitted {
	r.t.Helper()
	return as[rest.Submitted](r.t, r.call(201, "POST", "/v1/requests", spec))
}

func (r *rig) join(slots int) string {
	r.t.Helper()
	return as[rest.WorkerJoined](r.t, r.call(201, "POST", "/v1/workers", fmt.Sprintf(`{"name": "w", "slots": %d}`, slots))).ID
}

func (r *rig) pick(body string, args ...any) []rest.Assignment {
	r.t.Helper()
	return as[rest.Picked](r.t, r.call(200, "POST", "/v1/board/pick", fmt.Sprintf(body, args...))).Jobs
}

func (r *rig) report(status int, job, body string, args ...any) reply {
	r.t.Helper()
	return r.call(status, "POST", "/v1/jobs/"+job+"/state", fmt.Sprintf(body, args...))
}

// patience is how long a test waits for what must come; it is never waited for in vain.
const patience = 20 * time.Second
