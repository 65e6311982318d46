package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/rpc/wire"
)

func TestExecContract(t *testing.T) {
	for _, test := range []struct {
		name   string
		script string
		want   outcome
	}{
		{"success without a word", `true`, outcome{}},
		{"JSON result is kept as JSON", `echo '{"n": 1}' > "$MUSTER_RESULT"`, outcome{result: Result{data: []byte(`{"n": 1}`), json: true}}},
		{"number is JSON", `echo 42 > "$MUSTER_RESULT"`, outcome{result: Result{data: []byte("42"), json: true}}},
		{"text result is kept as it is", `echo hello > "$MUSTER_RESULT"`, outcome{result: Bytes([]byte("hello\n"))}},
		{"bytes result", `printf '\377\000' > "$MUSTER_RESULT"`, outcome{result: Bytes([]byte{0xff, 0})}},
		{"result replaced by rename", `echo 1 > r && mv r "$MUSTER_RESULT"`, outcome{result: Result{data: []byte("1"), json: true}}},
		{"result removed is no result", `echo 1 > "$MUSTER_RESULT"; rm "$MUSTER_RESULT"`, outcome{}},
		{"result that its owner may not read", `echo 1 > "$MUSTER_RESULT"; chmod 0 "$MUSTER_RESULT"`, outcome{result: Result{data: []byte("1"), json: true}}},
		{"result of the largest size", `head -c 262144 /dev/zero > "$MUSTER_RESULT"`, outcome{result: Bytes(make([]byte, ResultBytesMax))}},
		{"result too large", `head -c 262145 /dev/zero > "$MUSTER_RESULT"`,
			outcome{failure: "$MUSTER_RESULT is larger than 262144 bytes: hand on large data by reference"}},
		{"result is a link", `ln -sf /etc/passwd "$MUSTER_RESULT"`,
			outcome{failure: "read $MUSTER_RESULT: is not a regular file but L---------"}},
		{"result is a pipe that nobody writes to", `mkfifo "$MUSTER_RESULT"`,
			outcome{failure: "read $MUSTER_RESULT: is not a regular file but p---------"}},
		{"result is a directory", `mkdir "$MUSTER_RESULT"`,
			outcome{failure: "read $MUSTER_RESULT: is not a regular file but d---------"}},
		{"exit code", `exit 3`, outcome{failure: "exit code 3", exit: 3}},
		{"exit code with last words", `echo one >&2; echo two >&2; exit 4`, outcome{failure: "exit code 4:\none\ntwo", exit: 4}},
		{"only the last words", `for i in 1 2 3 4 5; do echo $i >&2; done; exit 1`, outcome{failure: "exit code 1:\n3\n4\n5", exit: 1}},
		{"own message wins", `echo noise >&2; echo " no input " > "$MUSTER_ERROR"; exit 5`, outcome{failure: "no input", exit: 5}},
		{"message without failure does not count", `echo careful > "$MUSTER_ERROR"`, outcome{}},
		{"message that is a link is not followed", `ln -sf /etc/passwd "$MUSTER_ERROR"; exit 6`, outcome{failure: "exit code 6", exit: 6}},
		{"signal", `kill -9 $$`, outcome{failure: "killed by signal 9 (killed)", exit: 137}},
		{"stdout is not parsed", `echo 99%; echo "{}"`, outcome{}},
		{"stdin is empty", `cat`, outcome{}},
		{"standard output blocks as programs expect", `case $(grep flags /proc/self/fdinfo/2) in *[4567]???) exit 1;; esac`, outcome{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			x, _ := newExecutor(t, 1<<20)
			w := script(test.script)
			w.dir = t.TempDir()
			got := x.run(t.Context(), testJob(), w)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(outcome{}, Result{})); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExecEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_WORKER", "x")
	t.Setenv("MUSTER_SECRET", "x")
	t.Setenv("LC_TIME", "C")
	t.Setenv("TZ", "UTC")
	x, _ := newExecutor(t, 1<<20)
	job := testJob()
	job.Index = 0
	w := script(`env > "$MUSTER_RESULT"`)
	w.env = []wire.Pair{{Key: "TZ", Value: "Europe/Vienna"}, {Key: "MUSTER_JOB", Value: "forged"}, {Key: "OWN", Value: "a=b c"}}
	got := x.run(t.Context(), job, w)
	if got.failure != "" {
		t.Fatal(got.failure)
	}
	env := strings.Split(strings.TrimSpace(string(got.result.data)), "\n")
	for _, want := range []string{
		"MUSTER_SESSION=reports", "MUSTER_REQUEST=" + job.Request, "MUSTER_JOB=count", "MUSTER_JOB_ID=" + job.ID,
		"MUSTER_ATTEMPT=2", "MUSTER_ARRAY_INDEX=0", "MUSTER_ADDR=h1:7070,h2:7070", "MUSTER_TOKEN=" + job.ID + "/2",
		"TZ=Europe/Vienna", "OWN=a=b c", "LC_TIME=C", "PATH=" + os.Getenv("PATH"),
	} {
		if !slices.Contains(env, want) {
			t.Errorf("environment lacks %s", want)
		}
	}
	for _, kv := range env {
		if strings.Contains(kv, "SECRET") || kv == "TZ=UTC" {
			t.Errorf("environment has %s", kv)
		}
	}
	w = script(`test -z "${MUSTER_ARRAY_INDEX+set}"`)
	if got := x.run(t.Context(), testJob(), w); got.failure != "" {
		t.Error("a job of no array has an index:", got.failure)
	}
}

func TestExecInput(t *testing.T) {
	x, _ := newExecutor(t, 1<<20)
	job := testJob()
	job.Payload = []byte(`{"day": "2026-11-22"}`)
	job.parents = []wire.Parent{
		{Name: "json", Result: []byte(`[1,2]`), JSON: true},
		{Name: `te"xt`, Result: []byte("two\nlines")},
		{Name: "bytes", Result: []byte{0xff, 0xfe}},
		{Name: "none"},
	}
	got := x.run(t.Context(), job, script(`cat "$MUSTER_INPUT" > "$MUSTER_RESULT"; stat -c %a "$MUSTER_INPUT" "$(dirname "$MUSTER_INPUT")"`))
	var input any
	if err := json.Unmarshal(got.result.data, &input); err != nil {
		t.Fatal(err, got)
	}
	want := map[string]any{
		"payload": map[string]any{"day": "2026-11-22"},
		"parents": map[string]any{"json": []any{1.0, 2.0}, `te"xt`: "two\nlines", "bytes": map[string]any{"base64": "//4="}, "none": nil},
	}
	if diff := cmp.Diff(want, input); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	if modes := output(t, x, job, stdoutStream); modes != "600\n700\n" {
		t.Errorf("modes are %q", modes)
	}
	if left, _ := filepath.Glob(filepath.Join(x.attempts.dir, "*", "*")); len(left) != 1 {
		t.Errorf("of the attempt is left %v, want its output only", left)
	}
	left, _ := filepath.Glob(filepath.Join(x.attempts.exchanges.dir, "*", "*"))
	for _, path := range left {
		if info, err := os.Stat(path); err != nil || info.Size() > 0 {
			t.Errorf("of the exchange is left %s, %v", path, err)
		}
	}
}

func TestExecNotStarted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		work work
		want string
	}{
		{"unknown command", work{args: []string{"no-such-command"}, env: []wire.Pair{{Key: "PATH", Value: "/nowhere"}}},
			`command "no-such-command" is not in PATH=/nowhere of this worker's jobs`},
		{"unknown path", work{args: []string{"./nothing"}, dir: dir}, `no such file`},
		{"not executable", work{args: []string{"./plain"}, dir: dir}, `is not executable (chmod +x?)`},
		{"a directory", work{args: []string{dir}}, `is a directory`},
		{"unknown directory", work{args: []string{"/bin/true"}, dir: "/no/such/directory"}, `no such file or directory`},
	} {
		t.Run(test.name, func(t *testing.T) {
			x, _ := newExecutor(t, 1<<20)
			got := x.run(t.Context(), testJob(), test.work)
			if !strings.Contains(got.failure, test.want) || got.exit != noExit {
				t.Errorf("got %+v, want %q", got, test.want)
			}
		})
	}
}

func TestCommandIsFoundAsTheJobSeesIt(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(dir, "bin", "tool")
	if err := os.WriteFile(tool, []byte("#!/bin/sh\necho \"$1\" > \"$MUSTER_RESULT\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	x, _ := newExecutor(t, 1<<20)
	for _, w := range []work{
		{args: []string{"tool", "found"}, env: []wire.Pair{{Key: "PATH", Value: "/nowhere:" + dir + "/bin"}}},
		{args: []string{"tool", "found"}, env: []wire.Pair{{Key: "PATH", Value: "bin"}}, dir: dir},
		{args: []string{"bin/tool", "found"}, dir: dir},
		{args: []string{tool, "found"}},
	} {
		if got := x.run(t.Context(), testJob(), w); string(got.result.data) != "found\n" {
			t.Errorf("%+v: %+v", w, got)
		}
	}
}

// fifo is a named pipe that processes of a test hold open for writing.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "held")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGroupGoesWithItsLeader(t *testing.T) {
	held := fifo(t)
	x, _ := newExecutor(t, 1<<20)
	gone := make(chan string)
	go func() {
		data, err := os.ReadFile(held) // ends when everybody who held it is gone
		if err != nil {
			t.Error(err)
		}
		gone <- string(data)
	}()
	// A child, and a grandchild whose parent is gone already: both hold the pipe, standard output and the group.
	got := x.run(t.Context(), testJob(), script(`exec 9> `+held+`; echo begun >&9
		sleep 1000 & (sleep 1000 & ); echo 1 > "$MUSTER_RESULT"`))
	if got.failure != "" {
		t.Error(got.failure)
	}
	if said := <-gone; said != "begun\n" {
		t.Errorf("the pipe says %q", said)
	}
}

func TestOutputHeldByWhoLeftTheGroupDoesNotHang(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	x, _ := newExecutor(t, 1<<20)
	got := x.run(t.Context(), testJob(), script(`setsid sh -c 'echo $$ > `+pid+`; exec sleep 1000' &
		while ! test -s `+pid+`; do sleep 0.01; done; echo said; exit 7`))
	if got.exit != 7 {
		t.Errorf("got %+v", got)
	}
	if said := output(t, x, testJob(), stdoutStream); said != "said\n" {
		t.Errorf("output is %q", said)
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	left, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(left, syscall.SIGKILL); err != nil {
		t.Error("who left the group is gone:", err)
	}
}

// onWords calls do for each line that the job writes to the pipe, until nobody holds it; then it sends them all.
func onWords(t *testing.T, held string, do func(word string)) (said chan string) {
	said = make(chan string, 1)
	go func() {
		f, err := os.Open(held)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		var all strings.Builder
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			all.WriteString(lines.Text() + "\n")
			do(lines.Text())
		}
		said <- all.String()
	}()
	return said
}

func TestStop(t *testing.T) {
	for _, test := range []struct {
		name   string
		script string
		cause  error
		said   string
		want   outcome
	}{
		{"by default SIGTERM ends it", `echo begun >&9; sleep 1000`, ErrRevoked, "begun\n",
			outcome{failure: "attempt was revoked", exit: 143, cut: true}},
		{"it may clean up", `trap 'echo cleaned >&9; exit 0' TERM; echo begun >&9; while :; do sleep 0.01; done`, ErrDraining,
			"begun\ncleaned\n", outcome{failure: "worker is stopping", exit: 0, cut: true}},
		{"who ignores SIGTERM is killed", `trap '' TERM; echo begun >&9; while :; do sleep 0.01; done`, ErrRevoked,
			"begun\n", outcome{failure: "attempt was revoked", exit: 137, cut: true}},
		{"a child may clean up after its parent", `(trap 'sleep 0.02; echo cleaned >&9; exit' TERM; echo begun >&9; while :; do sleep 0.01; done) & exec sleep 1000`,
			ErrRevoked, "begun\ncleaned\n", outcome{failure: "attempt was revoked", exit: 143, cut: true}},
		{"timeout", `echo late >&2; echo begun >&9; sleep 1000`, ErrTimeout, "begun\n",
			outcome{failure: "job ran into its timeout of 1m0s: late", exit: 143, cut: true, timedOut: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			held := fifo(t)
			x, _ := newExecutor(t, 1<<20)
			if test.want.exit != 137 {
				x.killGrace = time.Hour // who obeys may take its time
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			said := onWords(t, held, func(string) { cancel(test.cause) })
			w := script(`exec 9> ` + held + `; ` + test.script)
			w.timeout = 60e9
			got := x.run(ctx, testJob(), w)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(outcome{}, Result{})); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if said := <-said; said != test.said {
				t.Errorf("said %q, want %q", said, test.said)
			}
		})
	}
}

func TestKillDoesNotWaitForTheGrace(t *testing.T) {
	for _, test := range []struct {
		name, script string
		exit         int32
	}{
		{"of who ignores SIGTERM", `trap '' TERM; echo begun >&9; echo alone >&9; while :; do sleep 0.01; done`, 137},
		{"of a child that does, and is left alone",
			`(trap '' TERM; echo begun >&9; while kill -0 $$; do sleep 0.01; done; echo alone >&9; sleep 1000) & wait`, 143},
	} {
		t.Run(test.name, func(t *testing.T) {
			held := fifo(t)
			x, kill := newExecutor(t, 1<<20)
			x.killGrace = time.Hour
			ctx, cancel := context.WithCancelCause(t.Context())
			said := onWords(t, held, func(word string) {
				if cancel(ErrDraining); word == "alone" {
					kill()
				}
			})
			got := x.run(ctx, testJob(), script(`exec 9> `+held+`; `+test.script))
			if !got.cut || got.exit != test.exit {
				t.Errorf("got %+v", got)
			}
			if said := <-said; said != "begun\nalone\n" {
				t.Errorf("said %q", said)
			}
		})
	}
}

func TestEndedContextStartsNothing(t *testing.T) {
	x, _ := newExecutor(t, 1<<20)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ErrRevoked)
	file := filepath.Join(t.TempDir(), "ran")
	got := x.run(ctx, testJob(), script("touch "+file))
	if !got.cut {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Error("it ran")
	}
}
