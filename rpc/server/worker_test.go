package server

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

func TestParentsTooLargeToComeAlongAreFetched(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(10)
		defer c.Close()
		defer w.end()
		jobs := []client.Job{job("last")}
		for i := range 6 {
			name := fmt.Sprintf("p%d", i)
			jobs[0].Needs = append(jobs[0].Needs, name)
			jobs = append(jobs, job(name))
		}
		submit(t, c, jobs...)
		result := []byte(`"` + strings.Repeat("x", 250<<10) + `"`)
		w.report(wire.ReportDone, result, w.take()...)
		last := w.take()
		if len(last) != 1 || !last[0].FetchInputs || len(last[0].Parents) != 0 {
			t.Fatalf("granted %d, fetch %v, %d parents", len(last), last[0].FetchInputs, len(last[0].Parents))
		}
		parents, err := w.link.Inputs(within(t, time.Minute), last[0].Job, 1)
		if err != nil || len(parents) != 6 {
			t.Fatalf("%d parents, %v", len(parents), err)
		}
		for i, p := range parents {
			if p.Name != fmt.Sprintf("p%d", i) || !bytes.Equal(p.Result, result) {
				t.Errorf("parent %d is %s with %d bytes", i, p.Name, len(p.Result))
			}
		}
		if _, err := w.link.Inputs(within(t, time.Minute), last[0].Job, 2); !errors.Is(err, wire.ErrStale) {
			t.Errorf("of another attempt: %v", err)
		}
	})
}

func TestManyGrantsAreSplitIntoPushes(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(10_000)
		defer c.Close()
		defer w.end()
		var jobs []client.Job
		for i := range 200 {
			j := job(fmt.Sprintf("j%d", i))
			j.Payload = strings.Repeat("x", 20<<10)
			jobs = append(jobs, j)
		}
		submit(t, c, jobs...)
		granted := w.take()
		if len(granted) != 200 || len(w.pushes) < 4 || slices.Max(w.pushes) > 60 {
			t.Errorf("%d grants in pushes of %v", len(granted), w.pushes)
		}
		for i, a := range granted {
			if a.Name != jobs[i].Name {
				t.Fatalf("grant %d is %s", i, a.Name)
			}
		}
	})
}

func TestReportsStayInOrderAndGatherWhileOneIsCommitted(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(100)
		defer c.Close()
		defer w.end()
		var jobs []client.Job
		for i := range 20 {
			jobs = append(jobs, job(fmt.Sprintf("j%d", i)))
		}
		submit(t, c, jobs...)
		granted := w.take()
		hold := make(chan struct{})
		r.do(func() { r.hold, r.commands = hold, nil })
		answered := make(chan []wire.Code, 40)
		for _, kind := range []wire.ReportKind{wire.ReportStart, wire.ReportDone} {
			for _, a := range granted {
				go func() { answered <- w.report(kind, nil, a) }()
				synctest.Wait() // so that the order is known
			}
		}
		r.do(func() { r.hold = nil })
		close(hold)
		for range 40 {
			if codes := <-answered; !slices.Equal(codes, []wire.Code{wire.CodeOK}) {
				t.Errorf("codes %v", codes)
			}
		}
		if len(r.commands) != 2 {
			t.Fatalf("%d commands for 40 frames", len(r.commands))
		}
		rest := r.commands[1].(*fsm.JobStates).Reports
		for i, rep := range rest {
			at := i + 1
			want := fsm.ReportStart
			if at >= 20 {
				want = fsm.ReportDone
			}
			if rep.Kind != want || rep.Job.Index != uint32(at%20) {
				t.Fatalf("report %d is %d of job %d", at, rep.Kind, rep.Job.Index)
			}
		}
	})
}

func TestARefusedCommandRefusesEachOfItsFrames(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(2)
		defer c.Close()
		defer w.end()
		submit(t, c, job("a"), job("b"))
		granted := w.take()
		j, _ := w.link.Joined()
		if _, err := r.apply(fsm.ReassignWorker{Worker: fsm.WorkerID(j.ID), Incarnation: j.Incarnation, Term: r.term}); err != nil {
			t.Fatal(err)
		}
		if codes := w.report(wire.ReportDone, nil, granted...); !slices.Equal(codes, []wire.Code{wire.CodeStale, wire.CodeStale}) {
			t.Errorf("codes %v", codes)
		}
		synctest.Wait()
		if now, ok := w.link.Joined(); !ok || now.ID != j.ID || now.Incarnation != j.Incarnation+1 {
			t.Errorf("it has joined as %+v, %v", now, ok)
		}
		if again := w.take(); len(again) != 2 || again[0].Attempt != 2 {
			t.Errorf("granted %+v", again)
		}
	})
}

func TestGrantsThatGotLostAreRepairedByABeat(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c, w := r.client(), r.work(2)
		defer c.Close()
		defer w.end()
		submit(t, c, job("a"))
		granted := w.take()
		r.do(func() {
			r.missing = []fsm.Grant{{Job: fsmJobID(granted[0].Job), Attempt: 1}, {Job: fsm.JobID{Request: 99}, Attempt: 1}}
		})
		if err := w.link.Beat(within(t, time.Second)); err != nil {
			t.Fatal(err)
		}
		if again := w.take(); len(again) != 1 || again[0].Job != granted[0].Job {
			t.Errorf("pushed again: %+v", again)
		}
	})
}

func TestAWorkerIsDetachedWithItsConnection(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		w := r.work(2)
		if len(r.links) != 1 {
			t.Fatalf("%d links", len(r.links))
		}
		w.end()
		synctest.Wait()
		if r.detached != 1 || len(r.links) != 0 {
			t.Errorf("%d detached, %d links left", r.detached, len(r.links))
		}
		w = r.work(2)
		if err := w.link.Leave(within(t, time.Second)); err != nil {
			t.Error(err)
		}
		if len(r.links) != 0 {
			t.Error("still attached after it left")
		}
		w.end()
	})
}

func TestTheTaskerReadsLogsOverTheLink(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		w := r.work(2)
		defer w.end()
		for _, l := range r.links {
			data, eof, err := l.ReadLog(within(t, time.Second), fsm.JobID{Request: 1}, 1, wire.Stdout, 0, 1<<30)
			if err != nil || string(data) != "output" || !eof {
				t.Errorf("%q, %v, %v", data, eof, err)
			}
			if _, _, err := l.ReadLog(within(t, time.Second), fsm.JobID{Request: 1}, 1, wire.Stdout, 5, 1); !errors.Is(err, wire.ErrInternal) {
				t.Errorf("when the worker cannot: %v", err)
			}
		}
	})
}

func TestNobodySpeaksForAWorkerThatItHasNotJoinedAs(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		w := r.work(2)
		defer w.end()
		c := r.raw("a:1")
		defer c.end()
		for method, m := range map[wire.Method]wire.Message{
			wire.MethodReport: &wire.Report{Worker: 1, Incarnation: 1, Reports: []wire.JobReport{{}}},
			wire.MethodPick:   &wire.Pick{Worker: 1, Incarnation: 1},
			wire.MethodInputs: &wire.Inputs{Attempt: 1},
		} {
			if err := c.Call(background, method, m, &wire.Empty{}); !errors.Is(err, wire.ErrStale) {
				t.Errorf("%s: %v", method, err)
			}
		}
		var b wire.BeatAnswer
		if err := c.Call(background, wire.MethodBeat, &wire.Beat{Worker: 1, Incarnation: 1}, &b); err != nil || b.Known {
			t.Errorf("beat: %+v, %v", b, err)
		}
		if err := c.Push(wire.MethodProgress, &wire.Progress{Items: []wire.ProgressItem{{Percent: 1}}}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(r.progress) != 0 {
			t.Error("its progress was taken")
		}
	})
}
