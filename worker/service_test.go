package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/config"
	"github.com/musterhq/muster/rpc/wire"
)

// working runs a worker with a fake leader in a bubble of virtual time, and returns what its Run returned.
func working(t *testing.T, leader *fakeLeader, handlers map[string]HandlerFunc, tell func(t *testing.T, w *Worker)) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, stop := startWorker(t, testConfig(t), leader, handlers)
		synctest.Wait()
		tell(t, w)
		err = stop()
	})
	return err
}

// blocking waits for its context and says why that ended.
func blocking(ctx context.Context, _ Job) (Result, error) {
	<-ctx.Done()
	return None, context.Cause(ctx)
}

func TestOutcomesOfHandlers(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler HandlerFunc
		want    wire.JobReport // but for the job
	}{
		{"nothing", func(context.Context, Job) (Result, error) { return None, nil }, wire.JobReport{Kind: wire.ReportDone}},
		{"JSON", func(context.Context, Job) (Result, error) { return JSON(map[string]int{"n": 1}), nil },
			wire.JobReport{Kind: wire.ReportDone, Result: []byte(`{"n":1}`), JSON: true}},
		{"bytes", func(context.Context, Job) (Result, error) { return Bytes([]byte{1}), nil },
			wire.JobReport{Kind: wire.ReportDone, Result: []byte{1}}},
		{"error", func(context.Context, Job) (Result, error) { return None, errTrouble },
			wire.JobReport{Kind: wire.ReportFailed, Error: "trouble"}},
		{"permanent", func(context.Context, Job) (Result, error) {
			return None, fmt.Errorf("in all: %w", Permanent(errTrouble))
		},
			wire.JobReport{Kind: wire.ReportFailed, Error: "in all: trouble", NoRetry: true}},
		{"no JSON", func(context.Context, Job) (Result, error) { return JSON(make(chan int)), nil },
			wire.JobReport{Kind: wire.ReportFailed, Error: "encode result: json: unsupported type: chan int"}},
		{"too much", func(context.Context, Job) (Result, error) { return Bytes(make([]byte, ResultBytesMax+1)), nil },
			wire.JobReport{Kind: wire.ReportFailed, Error: "result has 262145 bytes, at most 262144: hand on large data by reference"}},
		{"no return", func(context.Context, Job) (Result, error) { runtime.Goexit(); return None, nil },
			wire.JobReport{Kind: wire.ReportFailed, Error: "the handler ended its goroutine (runtime.Goexit) instead of returning"}},
		{"long error", func(context.Context, Job) (Result, error) { return None, errors.New(strings.Repeat("x", 10_000)) },
			wire.JobReport{Kind: wire.ReportFailed, Error: strings.Repeat("x", errorTextMax)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			leader := &fakeLeader{}
			err := working(t, leader, map[string]HandlerFunc{"h": test.handler}, func(t *testing.T, _ *Worker) {
				leader.handler.Granted(granted(assign(1, "h")))
				synctest.Wait()
				test.want.Job, test.want.Attempt, test.want.ExitCode = attempt(1).Job, 1, noExit
				if got := leader.last(); fmt.Sprint(got) != fmt.Sprint(test.want) {
					t.Errorf("reported %+v, want %+v", got, test.want)
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPanicOfAHandlerFailsItsAttempt(t *testing.T) {
	leader := &fakeLeader{}
	err := working(t, leader, map[string]HandlerFunc{"h": func(context.Context, Job) (Result, error) {
		panic("assignment to entry in nil map")
	}}, func(t *testing.T, _ *Worker) {
		leader.handler.Granted(granted(assign(1, "h"), assign(2, "unknown")))
		synctest.Wait()
	})
	if err != nil {
		t.Error(err)
	}
	if got := leader.tale(); got != "1 START, 2 START, 1 FAILED, 2 FAILED" && got != "1 START, 2 START, 2 FAILED, 1 FAILED" {
		t.Errorf("reported %q", got)
	}
	for _, r := range slices.Concat(leader.calls...)[2:] {
		want := []string{"panic: assignment to entry in nil map", "worker.TestPanicOfAHandlerFailsItsAttempt", "service_test.go:"}
		if r.Job.Index == 2 {
			want = []string{`handler "unknown" is not registered with this worker (it has h)`}
		}
		for _, w := range want {
			if !strings.Contains(r.Error, w) {
				t.Errorf("error lacks %q:\n%s", w, r.Error)
			}
		}
	}
}

func TestHandlerSeesItsJob(t *testing.T) {
	leader := &fakeLeader{parents: []wire.Parent{{Name: "split", Result: []byte(`[1,2]`), JSON: true}, {Name: "fetch", Result: []byte("raw")}}}
	var seen []string
	err := working(t, leader, map[string]HandlerFunc{"h": func(_ context.Context, job Job) (Result, error) {
		var payload struct{ Day string }
		if err := job.Bind(&payload); err != nil {
			return None, err
		}
		var split []int
		part, _ := job.Parent("split")
		if err := part.Bind(&split); err != nil {
			return None, err
		}
		raw, _ := job.Parent("fetch")
		_, other := job.Parent("other")
		seen = append(seen, fmt.Sprint(job.ID, job.Name, job.Request, job.Session, job.Attempt, job.Index, payload, split,
			string(raw.Bytes()), raw.IsJSON(), other, job.Parents(), job.Token()))
		return None, raw.Bind(&split)
	}}, func(t *testing.T, _ *Worker) {
		a := assign(1, "h")
		a.Payload, a.FetchInputs, a.ArrayIndex, a.Attempt = []byte(`{"day": "monday"}`), true, 4, 3
		leader.handler.Granted(granted(a))
		synctest.Wait()
	})
	if err != nil {
		t.Error(err)
	}
	want := "[j0000000001-00001job1r0000000001reports3 4 {monday} [1 2]rawfalse false [split fetch]j0000000001-00001/3]"
	if got := strings.ReplaceAll(fmt.Sprint(seen), "reports 3", "reports3"); got != want {
		t.Errorf("handler saw %s\nwant %s", got, want)
	}
	if got := leader.last().Error; got != "result is not JSON: read its Bytes" {
		t.Errorf("error is %q", got)
	}
}

func TestTimeout(t *testing.T) {
	leader := &fakeLeader{}
	err := working(t, leader, map[string]HandlerFunc{"h": blocking}, func(t *testing.T, _ *Worker) {
		a := assign(1, "h")
		a.Spec.Timeout = time.Minute
		leader.handler.Granted(granted(a))
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		if got := leader.tale(); got != "1 START" {
			t.Errorf("before its timeout: %q", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := leader.last(); got.Kind != wire.ReportFailed || !got.Timeout || got.Error != ErrTimeout.Error() {
			t.Errorf("reported %+v", got)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDrainWaitsForWhatRuns(t *testing.T) {
	leader := &fakeLeader{}
	begun := time.Time{}
	err := working(t, leader, Builtin(), func(t *testing.T, _ *Worker) {
		a := assign(1, "sleep")
		a.Payload = []byte(`{"for": "20s"}`)
		b := assign(2, "sleep")
		b.Payload = []byte(`{"ms": 10}`)
		leader.handler.Granted(granted(a, b, assign(3, "noop")))
		begun = time.Now()
	})
	if err != nil {
		t.Error(err)
	}
	// Two slots: the third was not begun when the worker was told to stop.
	want := "1 START, 2 START, 3 RETURN, 2 DONE, 1 DONE"
	if got := leader.tale(); got != want {
		t.Errorf("reported %q, want %q", got, want)
	}
	if !leader.left || fmt.Sprint(leader.picks) != "[false]" {
		t.Errorf("left: %v, picks: %v", leader.left, leader.picks)
	}
	if begun.IsZero() || string(leader.last().Result) != `{"slept":"20s"}` {
		t.Errorf("result is %s", leader.last().Result)
	}
}

func TestDrainHandsBackWhatDoesNotEnd(t *testing.T) {
	leader := &fakeLeader{}
	var took time.Duration
	begun := time.Time{}
	late := func(ctx context.Context, _ Job) (Result, error) { <-ctx.Done(); return Bytes([]byte("made it")), nil }
	err := working(t, leader, map[string]HandlerFunc{"h": blocking, "late": late}, func(t *testing.T, _ *Worker) {
		leader.handler.Granted(granted(assign(1, "h")))
		synctest.Wait()
		leader.handler.Granted(granted(assign(2, "late")))
		synctest.Wait()
		begun = time.Now()
		go func() {
			time.Sleep(time.Second)
			leader.handler.Granted(granted(assign(3, "h"))) // it was on its way
			time.Sleep(config.DefaultWorker().DrainTimeout - time.Second)
			synctest.Wait()
			took = time.Since(begun)
		}()
	})
	if err != nil {
		t.Error(err)
	}
	got := leader.tale()
	if got != "1 START, 2 START, 3 RETURN, 1 RETURN, 2 DONE" && got != "1 START, 2 START, 3 RETURN, 2 DONE, 1 RETURN" {
		t.Errorf("reported %q", got)
	}
	if took != config.DefaultWorker().DrainTimeout || !leader.left {
		t.Errorf("it took %v, left: %v", took, leader.left)
	}
}

func TestKillEndsADrain(t *testing.T) {
	leader := &fakeLeader{}
	err := working(t, leader, map[string]HandlerFunc{"h": blocking}, func(t *testing.T, w *Worker) {
		leader.handler.Granted(granted(assign(1, "h")))
		begun := time.Now()
		go func() {
			time.Sleep(time.Second)
			w.Kill()
			w.Kill()
			synctest.Wait()
			if took := time.Since(begun); took != time.Second || !leader.left {
				t.Errorf("it took %v, left: %v", took, leader.left)
			}
		}()
	})
	if err != nil {
		t.Error(err)
	}
	if got := leader.tale(); got != "1 START, 1 RETURN" {
		t.Errorf("reported %q", got)
	}
}

func TestHandlerThatIgnoresItsContext(t *testing.T) {
	leader := &fakeLeader{}
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		cfg := testConfig(t)
		cfg.Slots = 1
		_, stop := startWorker(t, cfg, leader, map[string]HandlerFunc{
			"deaf": func(context.Context, Job) (Result, error) { <-release; return None, nil },
			"noop": Builtin()["noop"],
		})
		a := assign(1, "deaf")
		a.Spec.Timeout = time.Second
		leader.handler.Granted(granted(a))
		time.Sleep(time.Second + cfg.KillGrace)
		synctest.Wait()
		if got := leader.last(); !got.Timeout || !strings.Contains(got.Error, "its handler did not return within 5s") {
			t.Errorf("reported %+v", got)
		}
		leader.handler.Granted(granted(assign(2, "noop")))
		synctest.Wait()
		if got := leader.tale(); got != "1 START, 1 FAILED" {
			t.Errorf("its slot was given away: %q", got)
		}
		release <- struct{}{}
		synctest.Wait()
		if got := leader.tale(); got != "1 START, 1 FAILED, 2 START, 2 DONE" {
			t.Errorf("reported %q", got)
		}
		leader.handler.Granted(granted(assign(3, "deaf")))
		synctest.Wait()
		err := stop()
		if !errors.Is(err, ErrAbandoned) || leader.last().Kind != wire.ReportReturn || !leader.left {
			t.Errorf("Run returned %v after %q", err, leader.tale())
		}
		close(release)
	})
}

func TestWorkGoesOnWithoutALeader(t *testing.T) {
	leader := &fakeLeader{}
	err := working(t, leader, Builtin(), func(t *testing.T, _ *Worker) {
		leader.gate = make(chan struct{}) // of this bubble
		leader.handler.Granted(granted(assign(1, "noop"), assign(2, "noop")))
		synctest.Wait()
		leader.handler.Disconnected(errTrouble)
		if held := leader.handler.Held(); len(held) != 2 {
			t.Errorf("holds %v: nothing is acknowledged", held)
		}
		time.Sleep(time.Hour)
		close(leader.gate)
		synctest.Wait()
		if held := leader.handler.Held(); len(held) != 0 {
			t.Errorf("holds %v", held)
		}
		leader.gate = nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := leader.tale(); !strings.HasPrefix(got, "1 START, 2 START, ") {
		t.Errorf("reported %q", got)
	}
}

func TestStoppingWithoutALeaderEnds(t *testing.T) {
	leader := &fakeLeader{}
	err := working(t, leader, Builtin(), func(t *testing.T, _ *Worker) {
		leader.gate = make(chan struct{}) // of this bubble
		leader.handler.Granted(granted(assign(1, "noop")))
	})
	if err != nil || leader.left {
		t.Error(err, leader.left)
	}
}

func TestClusterRefusesTheWorker(t *testing.T) {
	leader := &fakeLeader{refuse: wire.Errorf(wire.CodeCluster, "this is cluster a, not b")}
	synctest.Test(t, func(t *testing.T) {
		_, stop := startWorker(t, testConfig(t), leader, nil)
		synctest.Wait()
		if err := stop(); !errors.Is(err, wire.ErrCluster) {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestWorkerSaysWhoItIs(t *testing.T) {
	leader := &fakeLeader{}
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(t)
		cfg.Name, cfg.Labels, cfg.Queues = "w1", map[string]string{"zone": "a", "gpu": "true"}, []string{"default", "big"}
		_, stop := startWorker(t, cfg, leader, nil)
		synctest.Wait()
		want := `w1 [default big] [{gpu true} {zone a}] 2`
		j := leader.join
		if got := fmt.Sprint(j.Name, " ", j.Queues, " ", j.Labels, " ", j.Slots); got != want || len(j.Identity) != 32 || j.Process == 0 {
			t.Errorf("joins as %s (%+v), want %s", got, j, want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRunOnce(t *testing.T) {
	leader := &fakeLeader{}
	err := working(t, leader, nil, func(t *testing.T, w *Worker) {
		if err := w.Run(t.Context()); err == nil {
			t.Error("Run ran twice")
		}
		other, err := New(w.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Run(t.Context()); !errors.Is(err, ErrDataInUse) {
			t.Errorf("two workers with one data directory: %v", err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestMisuseIsTold(t *testing.T) {
	w, err := New(testConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	noop := Builtin()["noop"]
	w.Handle("", noop)
	w.Handle("a", nil)
	w.Handle("b", noop)
	w.Handle("b", noop)
	err = w.Run(t.Context())
	for _, want := range []string{`handler "": a name and a function are needed`, `handler "a": a name`, `handler "b" is registered twice`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Run returned %v, want %q in it", err, want)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, spoil := range map[string]func(*config.Worker){
		"data":          func(c *config.Worker) { c.Data = "" },
		"join":          func(c *config.Worker) { c.Coordinators = nil },
		"slots":         func(c *config.Worker) { c.Slots = -1 },
		"queues":        func(c *config.Worker) { c.Queues = nil },
		"drain_timeout": func(c *config.Worker) { c.DrainTimeout = -1 },
		"kill_grace":    func(c *config.Worker) { c.KillGrace = -1 },
		"log_bytes":     func(c *config.Worker) { c.LogBytes = -1 },
	} {
		cfg := testConfig(t)
		spoil(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "worker: "+name+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGuardThatCannotStartIsAnError(t *testing.T) {
	w, err := New(testConfig(t), WithGuard("/no/such/program"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("Run returned %v", err)
	}
}

// The rest is with real processes, in real time.

func assignScript(index uint32, script string) wire.Assignment {
	a := assign(index, "")
	a.Spec = &wire.RunSpec{Kind: wire.WorkShell, Args: []string{script}, Slots: 1}
	return a
}

func TestWorkerRunsProcesses(t *testing.T) {
	leader := &fakeLeader{}
	done := make(chan wire.JobReport, 10)
	leader.answer = func(reports []wire.JobReport) ([]wire.Code, error) {
		for _, r := range reports {
			if r.Kind != wire.ReportStart {
				done <- r
			}
		}
		return make([]wire.Code, len(reports)), nil
	}
	_, stop := startWorker(t, testConfig(t), leader, nil)
	command := assignScript(2, "")
	command.Spec.Kind, command.Spec.Args = wire.WorkCommand, []string{"/bin/sh", "-c", `echo "$0" $1 > "$MUSTER_RESULT"; echo out`, "a b", "c"}
	leader.handler.Granted(granted(assignScript(1, `echo said >&2; exit 3`), command))
	for range 2 {
		r := <-done
		if r.Job.Index == 1 && (r.Kind != wire.ReportFailed || r.ExitCode != 3 || r.Error != "exit code 3: said") {
			t.Errorf("reported %+v", r)
		}
		if r.Job.Index == 2 && (r.Kind != wire.ReportDone || string(r.Result) != "a b c\n") {
			t.Errorf("reported %+v", r)
		}
	}
	chunk, err := leader.handler.ReadLog(t.Context(), wire.ReadLog{Job: command.Job, Attempt: 1, Stream: wire.Stdout, Max: 100})
	if string(chunk.Data) != "out\n" || !chunk.EOF || err != nil {
		t.Errorf("log is %+v, %v", chunk, err)
	}
	_, err = leader.handler.ReadLog(t.Context(), wire.ReadLog{Job: command.Job, Attempt: 2, Stream: wire.Stdout, Max: 100})
	if !errors.Is(err, &wire.Error{Code: wire.CodeNotFound}) && !strings.Contains(fmt.Sprint(err), "no output") {
		t.Errorf("log of an unknown attempt: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestStoppingWorkerStopsItsProcesses(t *testing.T) {
	held := fifo(t)
	leader := &fakeLeader{}
	cfg := testConfig(t)
	cfg.DrainTimeout, cfg.KillGrace = 0, testGrace
	_, stop := startWorker(t, cfg, leader, nil)
	leader.handler.Granted(granted(assignScript(1, `exec 9> `+held+`; trap '' TERM; echo begun >&9; sleep 1000 & sleep 1000`)))
	f, err := os.Open(held)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadFull(f, make([]byte, len("begun\n"))); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if more, err := io.ReadAll(f); err != nil || len(more) > 0 { // it ends when nobody holds it
		t.Errorf("the job said %q, %v", more, err)
	}
	if got := leader.tale(); got != "1 START, 1 RETURN" {
		t.Errorf("reported %q", got)
	}
}
