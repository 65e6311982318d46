package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// TestExecContract tries what a job's process is promised, each point as its own request on one cluster.
func TestExecContract(t *testing.T) {
	play(t, start(t, harness.Options{Slots: 8}), []scene{
		{"environment", execEnvironment},
		{"input and results of parents", execInput},
		{"result that is text", execTextResult},
		{"result too large", execLargeResult},
		{"progress", execProgress},
		{"muster report", execReport},
		{"output is never parsed", execOutput},
		{"error and exit code", execError},
		{"ended by a signal", execSignal},
		{"no such command", execMissing},
		{"directory", execDirectory},
		{"retry with backoff", execRetry},
		{"retries spent", execRetriesSpent},
		{"exit code that is never retried", execNever},
		{"timeout", execTimeout},
		{"cancel", execCancel},
		{"cancel of what ignores it", execCancelStubborn},
		{"children end with the job", execChildren},
		{"start after", execStartAfter},
	})
}

// one submits a single job and waits for its end.
func one(t *testing.T, c *harness.Cluster, want string, job object) harness.Job {
	t.Helper()
	job["name"] = "job"
	r := c.Submit(request(t, job))
	c.WaitRequest(r.ID, want)
	j := c.JobNamed(r.ID, "job")
	checkHistory(t, j, c.History(j.ID))
	return j
}

func execEnvironment(t *testing.T, c *harness.Cluster) {
	spec := harness.Spec(t, object{"name": "env", "session": "environment", "jobs": []object{
		{"name": "job", "shell": "env > $MUSTER_RESULT", "env": object{"GREETING": "hello there", "TZ": "UTC"}},
	}})
	r := c.Submit(spec)
	c.WaitRequest(r.ID, "done")
	j := c.JobNamed(r.ID, "job")
	got := map[string]string{}
	for line := range strings.SplitSeq(text(t, j.Result), "\n") {
		key, value, _ := strings.Cut(line, "=")
		got[key] = value
	}
	for key, want := range map[string]string{
		"GREETING": "hello there", "TZ": "UTC", "MUSTER_SESSION": "environment", "MUSTER_REQUEST": r.ID, "MUSTER_JOB": "job",
		"MUSTER_JOB_ID": j.ID, "MUSTER_ATTEMPT": "1",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	for _, key := range []string{"MUSTER_ADDR", "MUSTER_TOKEN", "MUSTER_INPUT", "MUSTER_RESULT", "MUSTER_PROGRESS", "MUSTER_ERROR", "PATH"} {
		if got[key] == "" {
			t.Errorf("%s is not set", key)
		}
	}
}

func execInput(t *testing.T, c *harness.Cluster) {
	r := c.Submit(request(t,
		object{"name": "json", "shell": `echo '{"n": [1, 2.50]}' > $MUSTER_RESULT`},
		object{"name": "words", "shell": "printf plain > $MUSTER_RESULT"},
		object{"name": "nothing", "shell": "true"},
		object{"name": "all", "needs": []string{"json", "words", "nothing"}, "payload": object{"day": "2026-11-22", "list": []int{1, 2}}, "shell": "cp $MUSTER_INPUT $MUSTER_RESULT"},
	))
	c.WaitRequest(r.ID, "done")
	var input struct {
		Payload struct {
			Day  string
			List []int
		}
		Parents map[string]json.RawMessage
	}
	result := c.JobNamed(r.ID, "all").Result
	if err := json.Unmarshal(result, &input); err != nil {
		t.Fatalf("%v in %s", err, result)
	}
	if input.Payload.Day != "2026-11-22" || len(input.Payload.List) != 2 {
		t.Errorf("payload %+v", input.Payload)
	}
	if string(input.Parents["json"]) != `{"n":[1,2.50]}` || string(input.Parents["words"]) != `"plain"` {
		t.Errorf("parents %s", input.Parents)
	}
	if v, has := input.Parents["nothing"]; has && string(v) != "null" {
		t.Errorf("a parent without a result is %s", v)
	}
}

func execTextResult(t *testing.T, c *harness.Cluster) {
	if j := one(t, c, "done", object{"command": []string{"sh", "-c", `printf 'line 1\nline 2' > "$MUSTER_RESULT"`}}); text(t, j.Result) != "line 1\nline 2" {
		t.Errorf("result %s", j.Result)
	}
}

func execLargeResult(t *testing.T, c *harness.Cluster) {
	j := one(t, c, "failed", object{"shell": "head -c 300000 /dev/zero > $MUSTER_RESULT"})
	mentions(t, "the error", j.Error, "RESULT", "262144")
	fits := one(t, c, "done", object{"shell": "head -c 262144 /dev/zero | tr '\\0' x > $MUSTER_RESULT"})
	if n := len(text(t, fits.Result)); n != 256<<10 {
		t.Errorf("result of %d bytes", n)
	}
}

func execProgress(t *testing.T, c *harness.Cluster) {
	gate, more := harness.NewGate(t), harness.NewGate(t)
	r := c.Submit(request(t, object{"name": "job", "shell": "echo 25 >> $MUSTER_PROGRESS; " + gate.Wait() +
		"; echo 7/10 loading tables >> $MUSTER_PROGRESS; " + more.Wait()}))
	c.WaitJob(r.ID, "job", "at 25 %", func(j harness.Job) bool { return j.Progress == 25 })
	gate.Open()
	c.WaitJob(r.ID, "job", "at 70 %", func(j harness.Job) bool { return j.Progress == 70 && j.ProgressText == "loading tables" })
	more.Open()
	c.WaitRequest(r.ID, "done")
}

func execReport(t *testing.T, c *harness.Cluster) {
	gate := harness.NewGate(t)
	r := c.Submit(request(t, object{"name": "job", "shell": c.Binary() + " report 3/4 nearly there && " + gate.Wait()}))
	c.WaitJob(r.ID, "job", "at 75 %", func(j harness.Job) bool { return j.Progress == 75 && j.ProgressText == "nearly there" })
	gate.Open()
	c.WaitRequest(r.ID, "done")
}

func execOutput(t *testing.T, c *harness.Cluster) {
	j := one(t, c, "failed", object{"shell": "echo 50%; echo 60% >&2; exit 1"})
	for _, s := range c.History(j.ID) {
		if s.Progress != 0 {
			t.Errorf("output was taken for progress: %+v", s)
		}
	}
}

func execError(t *testing.T, c *harness.Cluster) {
	j := one(t, c, "failed", object{"shell": "echo 'disk is full' > $MUSTER_ERROR; exit 42"})
	if j.Reason != "error" || j.ExitCode == nil || *j.ExitCode != 42 {
		t.Errorf("reason %q, exit code %v", j.Reason, j.ExitCode)
	}
	mentions(t, "the error", j.Error, "disk is full")
	j = one(t, c, "failed", object{"shell": "exit 5"})
	mentions(t, "the error of a job that says none", j.Error, "5")
}

func execSignal(t *testing.T, c *harness.Cluster) {
	j := one(t, c, "failed", object{"shell": "kill -9 $$"})
	mentions(t, "the error", j.Error, "signal 9")
}

func execMissing(t *testing.T, c *harness.Cluster) {
	j := one(t, c, "failed", object{"command": []string{"no-such-program-here"}})
	mentions(t, "the error", j.Error, "no-such-program-here")
}

func execDirectory(t *testing.T, c *harness.Cluster) {
	dir := t.TempDir()
	j := one(t, c, "done", object{"shell": "pwd > $MUSTER_RESULT", "dir": dir})
	if got := strings.TrimSpace(text(t, j.Result)); got != dir {
		t.Errorf("it ran in %s, not in %s", got, dir)
	}
	gone := dir + "/gone"
	j = one(t, c, "failed", object{"shell": "true", "dir": gone})
	mentions(t, "the error", j.Error, gone)
}

func execRetry(t *testing.T, c *harness.Cluster) {
	j := one(t, c, "done", object{
		"shell": "[ $MUSTER_ATTEMPT -ge 3 ] && echo third > $MUSTER_RESULT",
		"retry": object{"limit": 5, "backoff": "50ms", "factor": 3, "max": "1s"},
	})
	if j.Attempt != 3 || j.Retries != 2 || j.Lost != 0 {
		t.Errorf("attempt %d, retries %d, lost %d", j.Attempt, j.Retries, j.Lost)
	}
	steps := c.History(j.ID)
	if !inOrder(states(steps), "running", "delayed", "ready", "picked", "running", "delayed", "ready", "picked", "running", "done") {
		t.Errorf("history %v", states(steps))
	}
	delays := 0
	for i, s := range steps {
		if s.State != "delayed" || i+1 == len(steps) {
			continue
		}
		want := []int64{50, 150}[min(delays, 1)]
		if got := steps[i+1].Time.Sub(s.Time).Milliseconds(); got < want {
			t.Errorf("retry %d came after %d ms, before its backoff of %d ms", delays+1, got, want)
		}
		delays++
	}
}

func execRetriesSpent(t *testing.T, c *harness.Cluster) {
	j := one(t, c, "failed", object{"shell": "exit 1", "retry": object{"limit": 2, "backoff": "10ms"}})
	if j.Attempt != 3 || j.Retries != 2 {
		t.Errorf("attempt %d, retries %d; want 3 and 2", j.Attempt, j.Retries)
	}
}

func execNever(t *testing.T, c *harness.Cluster) {
	j := one(t, c, "failed", object{"shell": "exit 2", "retry": object{"limit": 5, "backoff": "10ms", "never": []int{1, 2}}})
	if j.Attempt != 1 {
		t.Errorf("attempt %d", j.Attempt)
	}
}

func execTimeout(t *testing.T, c *harness.Cluster) {
	lines := harness.NewLines(t)
	j := one(t, c, "failed", object{"shell": lines.Add("$$") + "; exec sleep 1000", "timeout": "300ms"})
	if j.Reason != "timeout" {
		t.Errorf("reason %q, error %q", j.Reason, j.Error)
	}
	noneAlive(t, lines)
}

// noneAlive waits until the processes whose ids jobs wrote have ended.
func noneAlive(t *testing.T, pids *harness.Lines) {
	t.Helper()
	list := pids.Read()
	if len(list) == 0 {
		t.Fatal("no job wrote its process id")
	}
	for _, line := range list {
		var pid int
		if _, err := fmt.Sscan(line, &pid); err != nil {
			t.Fatalf("%q is no process id", line)
		}
		harness.Until(t, harness.BoundDefault, fmt.Sprintf("process %d to end", pid), func() error {
			if harness.Alive(pid) {
				return fmt.Errorf("it lives")
			}
			return nil
		})
	}
}

func execCancel(t *testing.T, c *harness.Cluster) {
	said, pids := harness.NewLines(t), harness.NewLines(t)
	r := c.Submit(request(t,
		object{"name": "job", "shell": "trap '" + strings.ReplaceAll(said.Add("asked to end"), "'", `'\''`) + "; exit 1' TERM; " + pids.Add("$$") + "; while :; do sleep 0.02; done"},
		object{"name": "next", "needs": []string{"job"}, "shell": "true"},
	))
	c.WaitJobState(r.ID, "job", "running")
	harness.Until(t, harness.BoundDefault, "the job's process", func() error {
		if len(pids.Read()) == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if a := c.Call("POST", "/v1/requests/"+r.ID+"/cancel", ""); a.Status/100 != 2 {
		t.Fatalf("cancel: %v", a)
	}
	c.WaitRequest(r.ID, "cancelled")
	for _, j := range c.Jobs(r.ID) {
		if j.State != "cancelled" || j.Reason != "user" {
			t.Errorf("%s is %s %q", j.Name, j.State, j.Reason)
		}
		checkHistory(t, j, c.History(j.ID))
	}
	noneAlive(t, pids)
	if got := said.Read(); len(got) != 1 {
		t.Errorf("the job heard SIGTERM %d times", len(got))
	}
}

func execCancelStubborn(t *testing.T, c *harness.Cluster) {
	pids := harness.NewLines(t)
	r := c.Submit(request(t, object{"name": "job", "shell": "trap '' TERM; " + pids.Add("$$") + "; while :; do sleep 0.02; done"}))
	c.WaitJobState(r.ID, "job", "running")
	harness.Until(t, harness.BoundDefault, "the job's process", func() error {
		if len(pids.Read()) == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	c.Call("POST", "/v1/requests/"+r.ID+"/cancel", "")
	c.WaitRequest(r.ID, "cancelled")
	noneAlive(t, pids)
}

func execChildren(t *testing.T, c *harness.Cluster) {
	pids := harness.NewLines(t)
	one(t, c, "done", object{"shell": "sleep 1000 & " + pids.Add("$!")})
	noneAlive(t, pids)
}

func execStartAfter(t *testing.T, c *harness.Cluster) {
	j := one(t, c, "done", object{"shell": "true", "start_after": "400ms"})
	if waited := j.Times.Started.Sub(j.Times.Submitted).Milliseconds(); waited < 400 {
		t.Errorf("it started %d ms after it was submitted", waited)
	}
	if !inOrder(states(c.History(j.ID)), "delayed", "ready", "picked", "running", "done") {
		t.Errorf("history %v", states(c.History(j.ID)))
	}
}
