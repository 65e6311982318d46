package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/rpc/rest"
)

// TestEveryRoute walks one request through its life over HTTP. The rig checks each call and answer against the
// OpenAPI document; at the end no route may be left that was not called.
func TestEveryRoute(t *testing.T) {
	r := newRig(t)
	session := as[rest.Session](t, r.call(201, "POST", "/v1/sessions", `{"name": "reports"}`))
	if again := as[rest.Session](t, r.call(200, "POST", "/v1/sessions", `{"name": "reports"}`)); again != session {
		t.Errorf("the same session again: %+v, was %+v", again, session)
	}
	if l := as[rest.Sessions](t, r.call(200, "GET", "/v1/sessions?limit=5", "")); len(l.Sessions) != 1 || l.Next != "" {
		t.Errorf("sessions: %+v", l)
	}
	r.call(200, "GET", "/v1/sessions/"+session.ID, "")
	r.call(200, "GET", "/v1/sessions/reports", "")

	got := r.call(201, "POST", "/v1/requests", chain, rest.HeaderKey, "k1")
	sub := as[rest.Submitted](t, got)
	if sub.Jobs != 3 || sub.State != "running" || sub.Session != session.ID || got.Header.Get("Location") != "/v1/requests/"+sub.ID {
		t.Errorf("submitted: %+v", sub)
	}
	if again := as[rest.Submitted](t, r.call(200, "POST", "/v1/requests", chain, rest.HeaderKey, "k1")); again.ID != sub.ID || !again.Repeat {
		t.Errorf("the same key again: %+v", again)
	}
	r.fails(409, rest.CodeConflict, "POST", "/v1/requests", strings.Replace(chain, "nightly", "daily", 1), rest.HeaderKey, "k1")

	worker := r.join(2)
	jobs := r.pick(`{"worker": %q, "max": 2}`, worker)
	if len(jobs) != 1 || jobs[0].Name != "a" || jobs[0].Attempt != 1 || string(jobs[0].Payload) != `{"day":[1,2]}` || jobs[0].Session != session.ID {
		t.Fatalf("picked: %+v", jobs)
	}
	a := jobs[0].ID
	r.report(200, a, `{"worker": %q, "attempt": 1, "state": "START", "progress": 50, "progress_text": "half"}`, worker)
	r.report(200, a, `{"worker": %q, "attempt": 1, "progress": 70}`, worker)
	r.report(409, a, `{"worker": %q, "attempt": 2, "progress": 70}`, worker)
	if j := as[rest.Job](t, r.call(200, "GET", "/v1/jobs/"+a, "")); j.State != "running" || j.Progress != 70 || j.Worker != worker || j.WorkerName != "w" {
		t.Errorf("running job: %+v", j)
	}
	ans := as[rest.AliveAnswer](t, r.call(200, "POST", "/v1/board/alive", fmt.Sprintf(`{"worker": %q, "running": [{"id": "j0000000009-00000", "attempt": 4}]}`, worker)))
	if len(ans.Stop) != 1 || ans.Stop[0].Attempt != 4 || len(ans.Missing) != 1 || ans.Missing[0].ID != a {
		t.Errorf("alive: %+v", ans)
	}
	done := `{"worker": %q, "attempt": 1, "state": "DONE", "result": {"rows": 7}}`
	r.report(200, a, done, worker)
	r.report(200, a, done, worker) // its answer may have been lost
	r.report(409, a, `{"worker": %q, "attempt": 1, "state": "FAILED"}`, worker)
	jobs = r.pick(`{"worker": %q, "wait": "5s"}`, worker)
	if len(jobs) != 1 || jobs[0].Name != "b" || string(jobs[0].Parents["a"]) != `{"rows":7}` {
		t.Fatalf("picked: %+v", jobs)
	}
	b := jobs[0].ID
	r.report(200, b, `{"worker": %q, "attempt": 1, "state": "FAILED", "error": "boom", "exit_code": 3, "retry": false}`, worker)

	list := as[rest.Jobs](t, r.call(200, "GET", "/v1/requests/"+sub.ID+"/jobs", ""))
	states := ""
	for _, j := range list.Jobs {
		states += j.Name + "=" + j.State + "/" + j.Reason + " "
	}
	if states != "a=done/ b=failed/error c=cancelled/needs " {
		t.Errorf("jobs: %s", states)
	}
	if c := list.Jobs[2]; c.Cause == nil || c.Cause.Name != "b" || c.Cause.ID != b || fmt.Sprint(c.Needs) != "[{b } {a }]" {
		t.Errorf("cancelled job: %+v", c)
	}
	if f := list.Jobs[1]; f.ExitCode == nil || *f.ExitCode != 3 || f.Error != "boom" {
		t.Errorf("failed job: %+v", f)
	}
	req := as[rest.Request](t, r.call(200, "GET", "/v1/requests/"+sub.ID, ""))
	if req.State != "failed" || req.Progress != 100 || req.Counts.Total() != 3 || req.Reason != "1 of 3 jobs failed" || req.Ended.IsZero() {
		t.Errorf("request: %+v", req)
	}
	r.call(200, "GET", "/v1/requests?session=reports&state=failed", "")
	r.call(200, "GET", "/v1/jobs?state=failed", "")
	r.call(200, "GET", "/v1/jobs?request="+sub.ID, "")
	if g := as[rest.Graph](t, r.call(200, "GET", "/v1/requests/"+sub.ID+"/graph", "")); len(g.Jobs) != 3 || len(g.Jobs[2].Needs) != 2 {
		t.Errorf("graph: %+v", g)
	}
	h := as[rest.History](t, r.call(200, "GET", "/v1/jobs/"+b+"/history", ""))
	if last := h.Steps[len(h.Steps)-1]; last.State != "failed" || last.Error != "boom" || last.Index == 0 || last.Worker != worker {
		t.Errorf("history: %+v", h)
	}
	y := as[rest.Why](t, r.call(200, "GET", "/v1/jobs/"+list.Jobs[2].ID+"/why", ""))
	if len(y.Causes) != 1 || y.Causes[0].Kind != rest.CauseCancelled || y.Causes[0].Text != "a need can no longer be met; b is failed (error): boom" || y.State != "cancelled" {
		t.Errorf("why: %+v", y)
	}
	r.fake.set(func() { r.fake.logs[a+"/1/1"] = []byte("some output\n") })
	if out := r.call(200, "GET", "/v1/jobs/"+a+"/logs?stream=stdout&attempt=1&offset=5&follow=true", ""); string(out.body) != "output\n" || out.Header.Get(rest.HeaderAttempt) != "1" {
		t.Errorf("logs: %q", out.body)
	}
	if re := as[rest.Retried](t, r.call(200, "POST", "/v1/requests/"+sub.ID+"/retry", "")); re.Revived != 2 || re.Request.State != "running" {
		t.Errorf("retried: %+v", re)
	}
	if c := as[rest.Request](t, r.call(200, "POST", "/v1/requests/"+sub.ID+"/pause", "")); c.Pause != rest.Paused || c.State != "running" {
		t.Errorf("paused: %+v", c)
	}
	if c := as[rest.Request](t, r.call(200, "POST", "/v1/requests/"+sub.ID+"/resume", "")); c.Pause != "" {
		t.Errorf("resumed: %+v", c)
	}
	if c := as[rest.Request](t, r.call(200, "POST", "/v1/requests/"+sub.ID+"/cancel", "")); c.State != "cancelled" {
		t.Errorf("cancelled: %+v", c)
	}
	if s := as[rest.Session](t, r.call(200, "POST", "/v1/sessions/"+session.ID+"/close", "")); s.State != "closed" {
		t.Errorf("closed: %+v", s)
	}
	r.call(200, "GET", "/v1/workers?limit=1", "")
	if w := as[rest.Worker](t, r.call(200, "POST", "/v1/workers/"+worker+"/drain", "")); w.State != "draining" {
		t.Errorf("drained: %+v", w)
	}
	if w := as[rest.Worker](t, r.call(200, "POST", "/v1/workers/w/undrain", "")); w.State != "alive" {
		t.Errorf("undrained: %+v", w)
	}
	st := as[rest.Status](t, r.call(200, "GET", "/v1/status", ""))
	if st.Node != "n1" || st.Leader == nil || st.Leader.ID != "n1" || !st.Fresh || len(st.Workers) != 1 || len(st.Coordinators) != 2 || st.Raft.Hash != "000000000000beef" {
		t.Errorf("status: %+v", st)
	}
	r.call(200, "GET", "/v1/health", "")
	r.call(200, "GET", "/v1/openapi.json", "")
	r.call(200, "GET", "/", "")
	r.call(200, "GET", "/v1/operator/raft", "")
	saved := r.call(200, "GET", "/v1/operator/snapshot", "")
	r.call(200, "PUT", "/v1/operator/snapshot?force=true", string(saved.body), "Content-Type", mediaBinary)
	r.call(200, "POST", "/v1/operator/raft/transfer", `{"to": "beta"}`)
	r.call(200, "POST", "/v1/operator/raft/transfer", "")
	r.call(200, "DELETE", "/v1/operator/raft/beta", "")
	r.fails(409, rest.CodeConflict, "DELETE", "/v1/operator/raft/n1", "")
	if got := fmt.Sprint(r.fake.moved); got != "[to beta to  removed n2]" {
		t.Errorf("operator: %s", got)
	}
	if m := r.call(200, "GET", "/metrics", ""); !strings.Contains(string(m.body), `muster_http_requests_total{code="200",method="GET",route="/v1/status"} 1`) {
		t.Errorf("metrics:\n%s", m.body)
	}
	r.seen["events"] = true // TestEvents
	for _, rt := range r.server.routes() {
		if !r.seen[rt.id] {
			t.Errorf("%s was not called", rt.pattern())
		}
	}
}

func TestBadCalls(t *testing.T) {
	r := newRig(t)
	worker := r.join(1)
	job := r.submit(chain).ID
	_ = job
	const noJob, noRequest = "/v1/jobs/j0000000777-00000", "/v1/requests/r0000000777"
	for _, c := range []struct {
		status                   int
		code, method, path, body string
		headers                  []string
		line, column             int
		detail                   string
	}{
		{status: 404, code: rest.CodeNotFound, method: "GET", path: "/v1/nothing"},
		{status: 404, code: rest.CodeNotFound, method: "GET", path: noRequest},
		{status: 404, code: rest.CodeNotFound, method: "GET", path: "/v1/requests/x"},
		{status: 404, code: rest.CodeNotFound, method: "GET", path: noRequest + "/jobs"},
		{status: 404, code: rest.CodeNotFound, method: "GET", path: noRequest + "/graph"},
		{status: 404, code: rest.CodeNotFound, method: "POST", path: noRequest + "/cancel"},
		{status: 404, code: rest.CodeNotFound, method: "POST", path: noRequest + "/retry"},
		{status: 404, code: rest.CodeNotFound, method: "GET", path: noJob},
		{status: 404, code: rest.CodeNotFound, method: "GET", path: noJob + "/history"},
		{status: 404, code: rest.CodeNotFound, method: "GET", path: noJob + "/logs"},
		{status: 404, code: rest.CodeNotFound, method: "POST", path: noJob + "/state", body: `{"worker": "` + worker + `", "attempt": 1, "state": "DONE"}`},
		{status: 404, code: rest.CodeNotFound, method: "GET", path: "/v1/sessions/nobody"},
		{status: 404, code: rest.CodeNotFound, method: "POST", path: "/v1/sessions/nobody/close"},
		{status: 404, code: rest.CodeNotFound, method: "GET", path: "/v1/requests?session=nobody"},
		{status: 404, code: rest.CodeNotFound, method: "POST", path: "/v1/workers/nobody/drain"},
		{status: 404, code: rest.CodeNotFound, method: "DELETE", path: "/v1/operator/raft/nobody"},
		{status: 404, code: rest.CodeNotFound, method: "POST", path: "/v1/board/alive", body: `{"worker": "w0000000077"}`},
		{status: 405, code: rest.CodeMethod, method: "DELETE", path: "/v1/requests"},
		{status: 405, code: rest.CodeMethod, method: "POST", path: "/v1/status"},
		{status: 501, code: rest.CodeNotImplemented, method: "GET", path: "/debug/pprof/heap"},
		{status: 404, code: rest.CodeNotFound, method: "GET", path: noJob + "/why"},
		{status: 405, code: rest.CodeMethod, method: "PATCH", path: "/v1/operator/snapshot"},
		{status: 405, code: rest.CodeMethod, method: "POST", path: noRequest + "/jobs", body: "{}"},
		{status: 400, code: rest.CodeInvalid, method: "GET", path: "/v1/requests?sate=done", detail: "sate"},
		{status: 400, code: rest.CodeInvalid, method: "GET", path: "/v1/requests?state=fine"},
		{status: 400, code: rest.CodeInvalid, method: "GET", path: "/v1/requests?limit=0"},
		{status: 400, code: rest.CodeInvalid, method: "GET", path: "/v1/requests?after=z"},
		{status: 400, code: rest.CodeInvalid, method: "GET", path: "/v1/requests?consistency=maybe"},
		{status: 400, code: rest.CodeInvalid, method: "GET", path: "/v1/requests?limit=1&limit=2"},
		{status: 400, code: rest.CodeInvalid, method: "GET", path: "/v1/events?from=x"},
		{status: 400, code: rest.CodeInvalid, method: "GET", path: "/v1/events?request=x"},
		{status: 400, code: rest.CodeInvalid, method: "GET", path: noJob + "/logs?stream=both"},
		{status: 400, code: rest.CodeInvalid, method: "GET", path: noJob + "/logs?offset=-1"},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/sessions", body: `{}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/sessions", body: "{\n \"nom\": \"x\"}", detail: "nom"},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/sessions", body: "{\n \"name\": 7}", line: 2, column: 10},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/sessions", body: "{\n \"name\" 7}", line: 2, column: 9},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/sessions", body: `{"name": "x"} {}`, line: 1},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/sessions", body: "{\"name\": \"\xff\"}", detail: "UTF-8"},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/sessions", body: strings.Repeat("[", 200), detail: "nests"},
		{status: 413, code: rest.CodeTooLarge, method: "POST", path: "/v1/sessions", body: `{"name": "` + strings.Repeat("x", documentBytesMax) + `"}`},
		{status: 415, code: rest.CodeMediaType, method: "POST", path: "/v1/sessions", body: `{}`, headers: []string{"Content-Type", "application/xml"}},
		{status: 415, code: rest.CodeMediaType, method: "POST", path: "/v1/sessions", body: `{}`, headers: []string{"Content-Type", "application/yaml"}},
		{status: 403, code: rest.CodeCrossOrigin, method: "POST", path: "/v1/sessions", body: `{}`, headers: []string{"Sec-Fetch-Site", "cross-site"}},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/workers", body: `{"slots": 1}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/workers", body: `{"name": "w", "slots": 4000000000}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/board/pick", body: `{}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/board/pick", body: `{"worker": "w"}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/board/pick", body: `{"worker": "` + worker + `", "wait": "2h"}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/board/pick", body: `{"worker": "` + worker + `", "wait": "soon"}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/board/pick", body: `{"worker": "` + worker + `", "max": 100000}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/board/alive", body: `{"worker": "` + worker + `", "running": [{"id": "j", "attempt": 1}]}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: noJob + "/state", body: `{"worker": "` + worker + `", "attempt": 1}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: noJob + "/state", body: `{"worker": "` + worker + `", "state": "DONE"}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: noJob + "/state", body: `{"worker": "` + worker + `", "attempt": 1, "state": "OK"}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: noJob + "/state", body: `{"worker": "` + worker + `", "attempt": 1, "progress": 101}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: noJob + "/state", body: `{"worker": "` + worker + `", "attempt": 1, "state": "FAILED", "result": 1}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/requests", body: `{"jobs": []}`},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/requests", body: "jobs:\n  - name: a\n    comand: [x]\n", detail: "comand", line: 3, column: 5},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/requests", body: `{"jobs": [{"name": "a", "shell": "x", "needs": ["b"]}, {"name": "b", "shell": "x", "needs": ["a"]}]}`, detail: "a"},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/requests", body: `{"jobs": [{"name": "a", "shell": "x", "needs": ["zz"]}]}`, detail: "zz"},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/requests", body: `{"jobs": [{"name": "a", "shell": "x", "array": 3}]}`, detail: "not supported yet"},
		{status: 413, code: rest.CodeTooLarge, method: "POST", path: "/v1/requests", body: `{"jobs": [{"name": "a", "shell": "x", "payload": "` + strings.Repeat("x", 300<<10) + `"}]}`, detail: `"a"`},
		{status: 413, code: rest.CodeTooLarge, method: "POST", path: "/v1/requests", body: strings.Repeat(" ", 2<<20)},
		{status: 400, code: rest.CodeInvalid, method: "POST", path: "/v1/requests", body: chain, headers: []string{rest.HeaderKey, strings.Repeat("k", 256)}},
	} {
		name := c.method + " " + c.path + " " + c.body[:min(len(c.body), 60)]
		p := r.fails(c.status, c.code, c.method, c.path, c.body, c.headers...)
		if c.line > 0 && p.Line != c.line || c.column > 0 && p.Column != c.column {
			t.Errorf("%s: at %d:%d, want %d:%d", name, p.Line, p.Column, c.line, c.column)
		}
		if !strings.Contains(p.Error(), c.detail) {
			t.Errorf("%s: %q does not name %q", name, p.Error(), c.detail)
		}
	}
	if v, _, _ := r.fake.Read(t.Context(), cluster.Stale); v.Counts()[0]+v.Counts()[1] != 3 {
		t.Errorf("a bad call left something behind: %v", v.Counts())
	}
}

// TestProblems shows how each failure of the cluster looks from outside.
func TestProblems(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		err    error
		status int
		code   string
		retry  string
	}{
		{cluster.ErrOverloaded, 429, rest.CodeOverloaded, "1"},
		{cluster.ErrNoLeader, 503, rest.CodeNoLeader, "1"},
		{&cluster.NotLeaderError{}, 503, rest.CodeNoLeader, "1"},
		{cluster.ErrUnknownOutcome, 503, rest.CodeUnknownOutcome, "1"},
		{fmt.Errorf("wrapped: %w", cluster.ErrDiskFull), 507, rest.CodeDiskFull, ""},
		{fmt.Errorf("odd"), 500, rest.CodeInternal, ""},
	} {
		r.fake.set(func() { r.fake.failWith = c.err })
		for _, call := range []string{"POST /v1/requests", "GET /v1/requests"} {
			method, path, _ := strings.Cut(call, " ")
			got := r.call(c.status, method, path, map[string]string{"POST": chain}[method])
			if p := as[rest.Problem](t, got); p.Code != c.code || got.Header.Get("Retry-After") != c.retry || p.Instance != path {
				t.Errorf("%v: %+v, Retry-After %q", c.err, p, got.Header.Get("Retry-After"))
			}
		}
		if st := as[rest.Status](t, r.call(200, "GET", "/v1/status", "")); st.Fresh || st.Problem == "" {
			t.Errorf("status while %v: %+v", c.err, st)
		}
		got := r.call(200, "GET", "/v1/requests?consistency=stale", "")
		if got.Header.Get(rest.HeaderAge) != "5ms" || got.Header.Get(rest.HeaderIndex) == "" {
			t.Errorf("stale read: %v", got.Header)
		}
	}
}

func TestHygiene(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/", "/v1/status", "/v1/nothing", "/metrics", "/v1/openapi.json"} {
		h := r.raw("GET", path, "").Header
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, h)
		}
	}
	r.fake.set(func() { r.fake.node.Name = `<script>alert(1)</script>` })
	if body := string(r.raw("GET", "/", "").body); strings.Contains(body, "<script>") {
		t.Errorf("page carries what it was given:\n%s", body)
	}
}

func TestHealthAndStatusWithoutALeader(t *testing.T) {
	r := newRig(t)
	r.fake.set(func() { r.fake.leading, r.fake.leader = false, nil })
	if h := as[rest.Health](t, r.call(503, "GET", "/v1/health", "")); h.Status != rest.Unhealthy || h.Problem == "" {
		t.Errorf("health: %+v", h)
	}
	st := as[rest.Status](t, r.call(200, "GET", "/v1/status", ""))
	if st.Leader != nil || st.Fresh || st.Health != rest.Unhealthy || !strings.Contains(st.Problem, "no leader") {
		t.Errorf("status: %+v", st)
	}
	if raw := r.raw("GET", "/v1/status", ""); !json.Valid(raw.body) || !strings.Contains(string(raw.body), `"leader":null`) {
		t.Errorf("leader is not null: %s", raw.body)
	}
	p := r.fails(503, rest.CodeNoLeader, "GET", "/v1/requests", "")
	if p.RetryAfter == 0 {
		t.Errorf("no retry_after: %+v", p)
	}
	r.call(200, "GET", "/v1/jobs?consistency=stale", "")
}

func TestPaging(t *testing.T) {
	r := newRig(t)
	var jobs []string
	for i := range 600 {
		jobs = append(jobs, fmt.Sprintf(`{"name": "j%d", "shell": "x"}`, i))
	}
	first := r.submit(`{"jobs": [` + strings.Join(jobs, ",") + `]}`)
	second := r.submit(chain)
	for path, want := range map[string]int{
		"/v1/requests/" + first.ID + "/jobs?limit=250":             600,
		"/v1/requests/" + first.ID + "/jobs?limit=250&state=ready": 600,
		"/v1/requests/" + first.ID + "/jobs?limit=250&state=done":  0,
		"/v1/jobs?limit=301":                     603,
		"/v1/jobs?limit=3":                       603,
		"/v1/jobs?limit=100&state=waiting":       2,
		"/v1/jobs?limit=599&request=" + first.ID: 600,
	} {
		seen, after := map[string]bool{}, ""
		var order []string
		for {
			page := as[rest.Jobs](t, reply{nil, r.raw("GET", path+after, "").body})
			for _, j := range page.Jobs {
				seen[j.ID] = true
				order = append(order, j.Request)
			}
			if page.Next == "" {
				break
			}
			after = "&after=" + page.Next
		}
		if len(seen) != want || len(order) != want {
			t.Errorf("%s: %d jobs, %d distinct, want %d", path, len(order), len(seen), want)
		}
		if strings.HasPrefix(path, "/v1/jobs?limit=3") && order[0] != second.ID {
			t.Errorf("%s: the newest request is not first", path)
		}
	}
	one := as[rest.Requests](t, r.call(200, "GET", "/v1/requests?limit=1", ""))
	two := as[rest.Requests](t, r.call(200, "GET", "/v1/requests?limit=1&after="+one.Next, ""))
	if one.Requests[0].ID != second.ID || two.Requests[0].ID != first.ID || two.Next != "" {
		t.Errorf("requests: %+v then %+v", one, two)
	}
}

func TestSpecAsYAML(t *testing.T) {
	r := newRig(t)
	const yaml = "name: y\njobs:\n  - name: a\n    command: [echo, hi]\n    timeout: 10m\n    retry: {limit: 3, backoff: 2s, factor: 1.5}\n    env: {B: '2', A: '1'}\n    start_after: 2027-01-01T00:00:00Z\n"
	for _, media := range []string{"application/yaml", "text/yaml", "application/json", "application/x-www-form-urlencoded"} {
		got := r.raw("POST", "/v1/requests", yaml, "Content-Type", media)
		if got.StatusCode != http.StatusCreated {
			t.Fatalf("%s: %s %s", media, got.Status, got.body)
		}
		jobs := as[rest.Jobs](t, r.call(200, "GET", "/v1/requests/"+as[rest.Submitted](t, got).ID+"/jobs", ""))
		w, _ := json.Marshal(jobs.Jobs[0].Spec)
		const want = `{"command":["echo","hi"],"env":{"A":"1","B":"2"},"queue":"default","slots":1,"timeout":"10m","start_after":"2027-01-01T00:00:00Z","retry":{"limit":3,"backoff":"2s","factor":1.5,"max":"1m"},"lost_limit":5}`
		if string(w) != want {
			t.Errorf("%s: spec\n%s, want\n%s", media, w, want)
		}
	}
	if got := r.raw("POST", "/v1/requests", yaml, "Content-Type", "image/png"); got.StatusCode != 415 {
		t.Errorf("image/png: %s", got.Status)
	}
}
