package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/rpc/rest"
)

var update = flag.Bool("update", false, "write golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Fatalf("%s (rewrite with -update):\n%s", path, diff)
	}
}

func aStatus() rest.Status {
	return rest.Status{
		Cluster: "prod", Node: "n2", NodeName: "c2", Version: "0.1.0", Health: rest.Healthy, Tolerates: 1, Fresh: true, Started: began,
		Leader: &rest.Leader{ID: "n1", Name: "c1", Address: "10.0.0.1:7071", HTTP: "10.0.0.1:7070", Term: 7},
		Raft:   rest.RaftStatus{State: "follower", Term: 7, Applied: 184203, Committed: 184203, Last: 184204},
		Coordinators: []rest.Coordinator{
			{ID: "n1", Name: "c1", RPC: "10.0.0.1:7071", HTTP: "10.0.0.1:7070", Voter: true, Leader: true, Alive: true, Applied: 184203},
			{ID: "n2", Name: "c2", RPC: "10.0.0.2:7071", HTTP: "10.0.0.2:7070", Voter: true, Alive: true, Applied: 184203, LastContact: rest.Duration(12 * time.Millisecond)},
			{ID: "n3", Name: "c3", RPC: "10.0.0.3:7071", HTTP: "10.0.0.3:7070", LastContact: rest.Duration(41 * time.Second)},
		},
		Workers: []rest.Worker{
			{ID: "w1", Name: "gpu-1", Queues: []string{"default", "gpu"}, Labels: map[string]string{"zone": "a", "gpu": "a100"}, Slots: 8, Used: 3, Running: 2, State: rest.WorkerAlive, Joined: began},
			{ID: "w2", Name: "old", Queues: []string{"default"}, Slots: 4, State: rest.WorkerLost, Joined: began},
		},
		Jobs: rest.Counts{Running: 2, Waiting: 12034, Done: 5},
	}
}

func TestRendering(t *testing.T) {
	now := began.Add(3 * time.Hour)
	jobs := someJobs()
	code := int32(3)
	broken := aStatus()
	broken.Leader, broken.Health, broken.Problem, broken.Tolerates, broken.Workers = nil, rest.Unhealthy, "no leader", 0, nil
	for name, draw := range map[string]func(io.Writer){
		"status":           func(w io.Writer) { renderStatus(w, false, now, aStatus()) },
		"status_no_leader": func(w io.Writer) { renderStatus(w, false, now, broken) },
		"workers":          func(w io.Writer) { renderWorkers(w, false, now, aStatus().Workers) },
		"requests": func(w io.Writer) {
			renderRequests(w, false, now, []rest.Request{aRequest("running"), aRequest("done")})
		},
		"request":           func(w io.Writer) { renderRequest(w, false, now, aRequest("failed")) },
		"jobs":              func(w io.Writer) { renderJobs(w, false, now, jobs) },
		"job_done":          func(w io.Writer) { renderJob(w, false, now, jobs[0]) },
		"job_failed":        func(w io.Writer) { renderJob(w, false, now, jobs[1]) },
		"job_cancelled":     func(w io.Writer) { renderJob(w, false, now, jobs[2]) },
		"failures":          func(w io.Writer) { renderFailures(w, rest.Jobs{Jobs: jobs[1:2]}) },
		"no_rows":           func(w io.Writer) { renderRequests(w, false, now, nil) },
		"coloured_by_state": func(w io.Writer) { renderJobs(w, true, now, jobs) },
		"sessions": func(w io.Writer) {
			renderSessions(w, now, []rest.Session{{ID: "s1", Name: "nightly", State: "open", Created: began, Requests: 4, Live: 1}})
		},
		"history": func(w io.Writer) {
			renderHistory(w, false, rest.History{Steps: []rest.Step{
				{Index: 9, Time: began, State: "ready"},
				{Index: 11, Time: began.Add(1500 * time.Microsecond), State: "running", Attempt: 1, Worker: "w0000000001"},
				{Index: 12, Time: began.Add(time.Second / 2), State: "running", Attempt: 1, Worker: "w0000000001", Progress: 50},
				{Index: 13, Time: began.Add(time.Second), State: "failed", Attempt: 1, Worker: "w0000000001", Reason: "error", ExitCode: &code, Error: "no such file"},
			}})
		},
		"graph": func(w io.Writer) { renderGraph(w, false, aGraph()) },
		"dot": func(w io.Writer) {
			if err := writeDot(w, aGraph()); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			draw(&b)
			golden(t, name, b.String())
		})
	}
}

func aGraph() rest.Graph {
	need := func(names ...string) (list []rest.Need) {
		for _, n := range names {
			list = append(list, rest.Need{Job: n})
		}
		return list
	}
	return rest.Graph{Request: "r0000000003", Jobs: []rest.Node{
		{Name: "report", State: "cancelled", Reason: "needs", Needs: need("train-a", "fetch", "train-b")}, // before what it needs
		{Name: "fetch", State: "done"},
		{Name: "split", State: "done", Needs: need("fetch")},
		{Name: "train-a", State: "running", Progress: 71, Needs: need("split")},
		{Name: "train-b", State: "failed", Reason: "error", Needs: need("split")},
		{Name: "alone", State: "ready"},
	}}
}

func TestRoughDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 1500 * time.Microsecond: "2ms", 1234 * time.Millisecond: "1.2s", 59 * time.Second: "59s",
		90 * time.Second: "1m30s", 10 * time.Minute: "10m", 3*time.Hour + 4*time.Minute + 5*time.Second: "3h4m", 76 * time.Hour: "3d4h",
	} {
		if got := rough(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestOneLineKeepsTheCursorInPlace(t *testing.T) {
	if got := oneLine(" a\nb\x1b[2J" + strings.Repeat("ä", 100)); strings.ContainsAny(got, "\n\x1b") || len([]rune(got)) != cellMax+1 {
		t.Fatalf("%q", got)
	}
}

// The same documents, the same keys, in both forms.
func TestJSONAndYAML(t *testing.T) {
	var j, y bytes.Buffer
	doc := someJobs()[1]
	if err := writeJSON(&j, doc); err != nil {
		t.Fatal(err)
	}
	if err := writeYAML(&y, doc); err != nil {
		t.Fatal(err)
	}
	golden(t, "json", j.String())
	golden(t, "yaml", y.String())
}
