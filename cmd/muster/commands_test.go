package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/rpc/rest"
)

const aSpec = "name: pipeline\njobs:\n- {name: A, shell: x}\n- {name: B, shell: y, needs: [A]}\n"

func specFile(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spec.yaml")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (got told) check(t *testing.T, code int, out, talk string) {
	t.Helper()
	if got.code != code || !strings.Contains(got.out, out) || !strings.Contains(got.err, talk) {
		t.Fatalf("exit %d, want %d\nout: %s\nwant %s\nerr: %s\nwant %s", got.code, code, got.out, out, got.err, talk)
	}
}

func TestSubmitPrintsTheID(t *testing.T) {
	f := newFakeAPI(t)
	f.answer("POST /v1/requests", rest.Submitted{ID: "r0000000003", Session: "s1", Jobs: 2, State: "running"})
	f.muster("submit", specFile(t, aSpec), "--idempotency-key", "k1").check(t, 0, "r0000000003\n", "")
	if f.body != aSpec || f.key != "k1" {
		t.Fatalf("sent %q with key %q", f.body, f.key)
	}
	got := f.muster("submit", specFile(t, aSpec), "--session", "other", "-o", "json")
	got.check(t, 0, `"id": "r0000000003"`, "")
	if !strings.Contains(f.body, `"session":"other"`) || f.key == "" {
		t.Fatalf("sent %q with key %q", f.body, f.key)
	}
}

func TestSubmitFromStandardInput(t *testing.T) {
	f := newFakeAPI(t)
	f.answer("POST /v1/requests", rest.Submitted{ID: "r0000000003"})
	env := map[string]string{"MUSTER_ADDR": f.server.Listener.Addr().String()}
	mustering(context.Background(), ` {"jobs":[{"name":"a","shell":"x"}]}`, env, "submit", "-").check(t, 0, "r0000000003", "")
}

func TestSubmitRefusesAWrongFileByItself(t *testing.T) {
	path := specFile(t, "jobs:\n- {name: A, shel: x}\n")
	got := mustering(context.Background(), "", nil, "submit", path)
	got.check(t, 2, "", path+`:2:13: jobs[0].shel: unknown field; did you mean "shell"?`)
	mustering(context.Background(), "", nil, "submit", "no-such-file").check(t, 2, "", "no-such-file")
	mustering(context.Background(), "", nil, "submit").check(t, 2, "", "name a file")
}

func TestSubmitDryRunNeedsNoCluster(t *testing.T) {
	got := mustering(context.Background(), "", nil, "submit", specFile(t, aSpec), "--dry-run")
	got.check(t, 0, "pipeline: 2 jobs, 2 levels deep, at most 1 at once; nothing was submitted\n── ◷ A  ready\n   └─ ◷ B  waiting\n", "")
	mustering(context.Background(), "", nil, "submit", specFile(t, aSpec), "--dry-run", "-o", "json").check(t, 0, `"needs": [`, "")
}

func TestSubmitSchema(t *testing.T) {
	mustering(context.Background(), "", nil, "submit", "--schema").check(t, 0, `"title": "muster request"`, "")
}

// jobEvents is what happens to A and B, the last of which fails.
func jobEvents(end string) []rest.Event {
	return []rest.Event{
		{Type: rest.EventJob, Request: "r0000000003", Job: "j-a", JobName: "A", State: "ready"},
		{Type: rest.EventJob, Request: "r0000000003", Job: "j-a", JobName: "A", State: "running", Attempt: 1, WorkerName: "w1"},
		{Type: rest.EventProgress, Request: "r0000000003", Job: "j-a", JobName: "A", Progress: 50},
		{Type: rest.EventJob, Request: "r0000000003", Job: "j-a", JobName: "A", State: "done", Attempt: 1, WorkerName: "w1"},
		{Type: rest.EventRequest, Request: "r0000000003", State: end},
	}
}

// endingRequest answers "running" once, then end.
func (f *fakeAPI) endingRequest(end string) {
	asked := 0
	f.mux.HandleFunc("GET /v1/requests/{id}", func(w http.ResponseWriter, _ *http.Request) {
		state := end
		if asked++; asked == 1 {
			state = "running"
		}
		f.write(w, http.StatusOK, aRequest(state))
	})
}

func TestSubmitWaitTellsEachChange(t *testing.T) {
	f := newFakeAPI(t)
	f.answer("POST /v1/requests", rest.Submitted{ID: "r0000000003"})
	f.endingRequest("done")
	f.events(jobEvents("done")...)
	got := f.muster("submit", specFile(t, aSpec), "--wait")
	got.check(t, 0, "r0000000003\n", `2026-11-22T08:00:00.000Z request=r0000000003 state=running jobs=3
2026-11-22T08:00:01.000Z job=A state=running attempt=1 worker=w1
2026-11-22T08:00:02.000Z job=A progress=50%
2026-11-22T08:00:03.000Z job=A state=done attempt=1 worker=w1
2026-11-22T08:00:04.000Z request=r0000000003 state=done
request r0000000003 done after 1m30s: 3 done
`)
}

func TestWaitTellsWhatFailed(t *testing.T) {
	f := newFakeAPI(t)
	f.endingRequest("failed")
	f.events(jobEvents("failed")...)
	f.answer("GET /v1/requests/{id}/jobs", rest.Jobs{Jobs: someJobs()[1:2]})
	got := f.muster("wait", "r0000000003")
	got.check(t, 1, "", "B failed on attempt 2 at w2: exit code 3: no such [31m file\nnext: muster logs j0000000003-00001 --stderr")
	if strings.Contains(got.err, "error:") {
		t.Fatalf("complained too: %s", got.err)
	}
}

func TestWaitForOneThatHasEnded(t *testing.T) {
	f := newFakeAPI(t)
	f.answer("GET /v1/requests", rest.Requests{Requests: []rest.Request{aRequest("done")}})
	f.answer("GET /v1/requests/{id}", aRequest("done"))
	f.muster("wait", "@last").check(t, 0, "", "request r0000000003 done")
	f.muster("wait", "@last", "-o", "json").check(t, 0, `"state": "done"`, "")
}

func TestWaitHasATimeoutOfItsOwn(t *testing.T) {
	f := newFakeAPI(t)
	f.answer("GET /v1/requests/{id}", aRequest("running"))
	f.events()
	f.muster("wait", "r0000000003", "--timeout", "50ms").check(t, 124, "", "has not ended within 50ms; it goes on")
}

func TestWaitInterrupted(t *testing.T) {
	f := newFakeAPI(t)
	f.answer("GET /v1/requests/{id}", aRequest("running"))
	ctx, cancel := context.WithCancelCause(context.Background())
	f.mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		cancel(errInterrupted)
		<-r.Context().Done()
	})
	env := map[string]string{"MUSTER_ADDR": f.server.Listener.Addr().String()}
	mustering(ctx, "", env, "wait", "r0000000003").check(t, 130, "", "request r0000000003 goes on; muster wait r0000000003")
}

func TestRunStreamsAndExitsAsTheJob(t *testing.T) {
	for _, c := range []struct {
		name  string
		state string
		code  int32
		want  int
	}{{"done", "done", 0, 0}, {"failed", "failed", 42, 42}, {"cancelled", "cancelled", 0, 1}} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeAPI(t)
			j := someJobs()[0]
			j.State, j.ExitCode = c.state, &c.code
			f.answer("POST /v1/requests", rest.Submitted{ID: "r0000000003"})
			f.answer("GET /v1/requests/{id}/jobs", rest.Jobs{Jobs: []rest.Job{j}})
			f.answer("GET /v1/jobs/{id}", j)
			f.mux.HandleFunc("GET /v1/jobs/{id}/logs", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(rest.HeaderAttempt, "1")
				w.Write([]byte(r.URL.Query().Get("stream") + " of the job\n"))
			})
			f.muster("run", "--env", "A=1", "--", "echo", "-n", "hello").check(t, c.want, "stdout of the job\n", "stderr of the job\n")
			if !strings.Contains(f.body, `"command":["echo","-n","hello"]`) || !strings.Contains(f.body, `"env":{"A":"1"}`) {
				t.Fatalf("sent %s", f.body)
			}
		})
	}
}

func TestRunFollowsLaterAttempts(t *testing.T) {
	f := newFakeAPI(t)
	j := someJobs()[0]
	j.Attempt = 2
	f.answer("POST /v1/requests", rest.Submitted{ID: "r0000000003"})
	f.answer("GET /v1/requests/{id}/jobs", rest.Jobs{Jobs: []rest.Job{j}})
	f.answer("GET /v1/jobs/{id}", j)
	f.mux.HandleFunc("GET /v1/jobs/{id}/logs", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("attempt") == "1" {
			w.Header().Set("Content-Type", rest.ProblemType)
			f.write(w, http.StatusNotFound, rest.Problem{Status: 404, Code: rest.CodeNotFound, Detail: "its worker is gone"})
			return
		}
		w.Write([]byte("second\n"))
	})
	f.muster("run", "x").check(t, 0, "second\n", "attempt 2 begins")
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{{"run"}, {"run", "--label", "x", "--", "y"}, {"run", "--slots", "0", "y"}, {"run", "--nonsense", "y"}} {
		mustering(context.Background(), "", nil, args...).check(t, 2, "", "error: ")
	}
}

func TestStatusExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*rest.Status)
		want  int
		talk  string
	}{
		"healthy":   {func(*rest.Status) {}, 0, ""},
		"unhealthy": {func(s *rest.Status) { s.Health, s.Problem = rest.Unhealthy, "c3 lags" }, 5, "the cluster is not healthy: c3 lags"},
		"no leader": {func(s *rest.Status) { s.Leader = nil; s.Coordinators[1].Alive = false }, 3, "the cluster has no leader: 1 of 2 voting coordinators seem to be up, 2 are needed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeAPI(t)
			s := aStatus()
			c.spoil(&s)
			f.answer("GET /v1/status", s)
			f.muster("status").check(t, c.want, "Cluster", c.talk)
			f.muster("status", "-o", "json").check(t, c.want, `"cluster": "prod"`, "")
		})
	}
}

func TestStatusWaitsForALeader(t *testing.T) {
	f := newFakeAPI(t)
	asked := 0
	f.mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		s := aStatus()
		if asked++; asked < 3 {
			s.Leader = nil
		}
		f.write(w, http.StatusOK, s)
	})
	f.muster("status", "--wait-leader", "30s").check(t, 0, "c1 (10.0.0.1:7070), term 7", "")
}

func TestNobodyThere(t *testing.T) {
	f := newFakeAPI(t)
	f.server.Close()
	got := f.muster("requests", "--timeout", "50ms")
	got.check(t, 3, "", f.server.Listener.Addr().String())
	got.check(t, 3, "", "Is a coordinator running there?")
}

func TestLists(t *testing.T) {
	f := newFakeAPI(t)
	f.answer("GET /v1/requests", rest.Requests{Requests: []rest.Request{aRequest("done")}, Next: "r0000000003"})
	f.answer("GET /v1/requests/{id}/jobs", rest.Jobs{Jobs: someJobs()})
	f.answer("GET /v1/jobs", rest.Jobs{Jobs: someJobs()})
	f.answer("GET /v1/workers", rest.Workers{Workers: aStatus().Workers})
	f.answer("GET /v1/sessions", rest.Sessions{Sessions: []rest.Session{{ID: "s1", Name: "nightly", State: "open"}}})
	f.answer("GET /v1/status", aStatus())
	f.answer("GET /v1/operator/raft", rest.RaftServers{Servers: aStatus().Coordinators})
	for _, c := range []struct{ args, out, call string }{
		{"requests --state done --limit 1 --session x", "r0000000003  pipeline", "GET /v1/requests?limit=1&session=x&state=done"},
		{"jobs @last --state failed", "j0000000003-00001  B", "GET /v1/requests/r0000000003/jobs?limit=100&state=failed"},
		{"jobs --after j1", "j0000000003-00001  B", "GET /v1/jobs?after=j1&limit=100"},
		{"workers", "gpu-1   alive  3/8", "GET /v1/workers?limit=100"},
		{"sessions", "s1  nightly", "GET /v1/sessions?limit=100"},
		{"session list", "s1  nightly", "GET /v1/sessions?limit=100"},
		{"members", "c3           non-voter  lost", "GET /v1/status"},
		{"operator raft list", "c1           leader", "GET /v1/operator/raft"},
	} {
		f.muster(strings.Fields(c.args)...).check(t, 0, c.out, "")
		if !f.called(c.call) {
			t.Errorf("%s: asked for %q", c.args, f.calls)
		}
	}
	f.muster("requests").check(t, 0, "", "there are more: --after r0000000003")
	if got := f.muster("requests", "-o", "json"); got.err != "" || !strings.Contains(got.out, `"next": "r0000000003"`) {
		t.Fatalf("%+v", got)
	}
}

func TestThingsByName(t *testing.T) {
	f := newFakeAPI(t)
	f.answer("GET /v1/requests", rest.Requests{Requests: []rest.Request{aRequest("failed")}})
	f.answer("GET /v1/requests/{id}/graph", rest.Graph{Jobs: []rest.Node{{ID: "j0000000003-00000", Name: "A"}, {ID: "j0000000003-00001", Name: "B"}}})
	f.answer("GET /v1/jobs/{id}", someJobs()[1])
	f.answer("GET /v1/jobs/{id}/history", rest.History{Job: "j0000000003-00001"})
	f.answer("GET /v1/workers", rest.Workers{Workers: aStatus().Workers})
	f.answer("POST /v1/workers/{id}/drain", aStatus().Workers[0])
	f.answer("POST /v1/requests/{id}/cancel", aRequest("running"))
	f.answer("POST /v1/requests/{id}/retry", rest.Retried{Revived: 2, Request: aRequest("running")})
	f.answer("GET /v1/operator/raft", rest.RaftServers{Servers: aStatus().Coordinators})
	f.answer("DELETE /v1/operator/raft/{id}", struct{}{})
	f.answer("POST /v1/operator/raft/transfer", struct{}{})
	for _, c := range []struct{ args, out, call string }{
		{"job show @last/B", "failed: exit code 3", "GET /v1/jobs/j0000000003-00001"},
		{"job show j0000000003-00001", "failed: exit code 3", "GET /v1/jobs/j0000000003-00001"},
		{"job history r0000000003/B", "INDEX", "GET /v1/jobs/j0000000003-00001/history"},
		{"drain gpu-1", "gpu-1", "POST /v1/workers/w1/drain"},
		{"cancel @last", "r0000000003", "POST /v1/requests/r0000000003/cancel"},
		{"retry r0000000003", "2 jobs of r0000000003 at work again", "POST /v1/requests/r0000000003/retry"},
		{"graph @last", "A", "GET /v1/requests/r0000000003/graph?limit=1000"},
		{"operator raft remove c3", "", "DELETE /v1/operator/raft/n3"},
		{"operator raft transfer c2", "", "POST /v1/operator/raft/transfer"},
	} {
		f.muster(strings.Fields(c.args)...).check(t, 0, c.out, "")
		if !f.called(c.call) {
			t.Errorf("%s: asked for %q", c.args, f.calls)
		}
	}
	f.muster("job", "show", "@last/nope").check(t, 6, "", `request r0000000003 has no job "nope"`)
	f.muster("logs", "@last").check(t, 2, "", "has several jobs")
	f.muster("drain", "nope").check(t, 6, "", `there is no worker "nope"`)
	f.muster("operator", "raft", "remove", "nope").check(t, 6, "", `there is no coordinator "nope"`)
}

func TestProblemsBecomeExitCodes(t *testing.T) {
	f := newFakeAPI(t)
	f.refuse("GET /v1/requests/{id}", rest.Problem{Status: 404, Code: rest.CodeNotFound, Detail: "no request r9"})
	f.refuse("POST /v1/requests/{id}/cancel", rest.Problem{Status: 409, Code: rest.CodeConflict, Detail: "it has ended"})
	f.muster("request", "show", "r9").check(t, 6, "", "error: no request r9\nEnded requests are forgotten")
	f.muster("cancel", "r9").check(t, 7, "", "it has ended")
}

func TestReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress")
	env := map[string]string{"MUSTER_PROGRESS": path}
	mustering(context.Background(), "", env, "report", "7/10", "seven", "of\nten").check(t, 0, "", "")
	mustering(context.Background(), "", env, "report", "80%").check(t, 0, "", "")
	if b, err := os.ReadFile(path); err != nil || string(b) != "7/10 seven of ten\n80%\n" {
		t.Fatalf("%q, %v", b, err)
	}
	mustering(context.Background(), "", env, "report", "soon").check(t, 2, "", `"soon" is no progress`)
	mustering(context.Background(), "", nil, "report", "50").check(t, 2, "", "MUSTER_PROGRESS is not set")
}

func TestUsage(t *testing.T) {
	for _, c := range []struct{ args, talk string }{
		{"statsu", "did you mean status?"},
		{"job shwo", "did you mean show?"},
		{"wait", "usage: muster wait REQUEST"},
		{"status --nope", "unknown flag: --nope; see: muster status --help"},
		{"-o xml status", "choose table, json or yaml"},
		{"status --timeout 0s", "must be more than nothing"},
		{"coordinator", "data: is empty"},
		{"coordinator --data x --http 0.0.0.0:7070", "whoever reaches it can run commands"},
		{"worker --data x", "join: a worker needs"},
		{"worker --data x --join a:1 --slots none", `--slots: "none" is not a whole number`},
		{"dev --coordinators 0", "--coordinators must be 1 to 64"},
		{"dev --run no-such-file", "no-such-file"},
	} {
		mustering(context.Background(), "", nil, strings.Fields(c.args)...).check(t, 2, "", c.talk)
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	a := app{}
	for _, c := range newRoot(&a).Commands() {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: %q", c.Name(), c.Short)
		}
	}
	mustering(context.Background(), "", nil, "--help").check(t, 0, "Kill any of them", "")
	mustering(context.Background(), "", nil, "job").check(t, 0, "history", "")
	mustering(context.Background(), "", nil, "completion", "bash").check(t, 0, "bash completion", "")
	mustering(context.Background(), "", nil, "version").check(t, 0, "muster ", "")
}

func TestBarsDrawWhatRuns(t *testing.T) {
	var b strings.Builder
	v := newBars(&b)
	v.start(aRequest("running"))
	for _, e := range jobEvents("done") {
		v.event(e)
		if e.Type == rest.EventProgress && v.running["j-a"].progress != 50 {
			t.Error("progress is lost")
		}
	}
	if v.ended != 1 || len(v.running) != 0 {
		t.Errorf("%d ended, %d running", v.ended, len(v.running))
	}
	v.reread(aRequest("done"))
	v.stop()
	if v.ended != 3 {
		t.Errorf("%d ended", v.ended)
	}
}

func TestAddressesFile(t *testing.T) {
	dir := t.TempDir()
	if _, ok := readAddresses(dir, os.Getpid()); ok {
		t.Fatal("nothing was written")
	}
	want := addresses{Name: "c1", HTTP: "127.0.0.1:1", PID: os.Getpid()}
	if err := writeAddresses(dir, want); err != nil {
		t.Fatal(err)
	}
	if got, ok := readAddresses(dir, os.Getpid()); !ok || got != want {
		t.Fatalf("%+v", got)
	}
	if _, ok := readAddresses(dir, 1); ok {
		t.Fatal("took the file of another process")
	}
	removeAddresses(dir)
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Fatalf("left %v", left)
	}
}

func TestDevNodeTellsWhyItFailed(t *testing.T) {
	dir := t.TempDir()
	n := newDevNode(dir, "c1", "", []string{"-c", "echo the disk is on fire; exit 3"})
	s := newStarter()
	defer s.close()
	if err := n.start("/bin/sh", s); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := n.awaitAddresses(ctx)
	if err == nil || !strings.Contains(err.Error(), "c1 ended at once (exit status 3)") || !strings.Contains(err.Error(), "the disk is on fire") {
		t.Fatal(err)
	}
	if err := stopNodes([]*devNode{n}); err != nil {
		t.Fatal(err)
	}
}

func TestStopNodesStopsThemAll(t *testing.T) {
	dir := t.TempDir()
	s := newStarter()
	defer s.close()
	var nodes []*devNode
	for _, name := range []string{"a", "b"} {
		n := newDevNode(dir, name, "", []string{"60"})
		if err := n.start("/bin/sleep", s); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	if err := stopNodes(nodes); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if n.state() != "signal: terminated" {
			t.Errorf("%s: %s", n.name, n.state())
		}
	}
}
