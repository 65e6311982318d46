package client_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

const ttl = 10 * time.Second

// worker is a WorkerHandler that notes what it is told.
type worker struct {
	mu        sync.Mutex
	granted   []wire.JobID
	stopped   []wire.Attempt
	held      []wire.Attempt
	draining  bool
	connected []string
	lost      int
}

func (w *worker) do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *worker) Granted(g wire.Granted) {
	w.do(func() {
		for _, a := range g.Jobs {
			w.granted = append(w.granted, a.Job)
			w.held = append(w.held, wire.Attempt{Job: a.Job, Attempt: a.Attempt})
		}
	})
}

func (w *worker) Stop(attempts []wire.Attempt) {
	w.do(func() { w.stopped = append(w.stopped, attempts...) })
}

func (w *worker) Held() (held []wire.Attempt) {
	w.do(func() { held = slices.Clone(w.held) })
	return held
}

func (w *worker) Accepting() (yes bool) {
	w.do(func() { yes = !w.draining })
	return yes
}

func (w *worker) ReadLog(_ context.Context, q wire.ReadLog) (wire.LogChunk, error) {
	if q.Stream != wire.Stdout {
		return wire.LogChunk{}, wire.Errorf(wire.CodeNotFound, "no such stream")
	}
	return wire.LogChunk{Data: []byte("output"), EOF: true}, nil
}

func (w *worker) Connected(_ wire.Joined, addr string) {
	w.do(func() { w.connected = append(w.connected, addr) })
}

func (w *worker) Disconnected(error) { w.do(func() { w.lost++ }) }

// leads answers a worker as a leader does that knows it.
func leads(_ *node, q call) (wire.Message, error) {
	switch q.method {
	case wire.MethodJoin:
		return &wire.Joined{ID: 3, Incarnation: 1, TTL: ttl}, nil
	case wire.MethodBeat:
		return &wire.BeatAnswer{Known: true}, nil
	case wire.MethodReport:
		return &wire.Reported{Codes: make([]wire.Code, len(q.msg.(*wire.Report).Reports))}, nil
	}
	return &wire.Empty{}, nil
}

// attach runs a link until the returned function ends it.
func attach(t *testing.T, r *rig, w *worker) (l *client.Link, end func()) {
	t.Helper()
	c := r.client(three...)
	l = c.WorkerLink(wire.Join{Name: "w", Process: 42, Slots: 2}, w)
	ctx, cancel := context.WithCancel(background)
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return l, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		c.Close()
	}
}

func TestAWorkerJoinsBeatsAndAsksForJobs(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(leads)
		held := []wire.Attempt{{Job: wire.JobID{Request: 1, Index: 2}, Attempt: 3}}
		w := &worker{held: held}
		l, end := attach(t, r, w)
		defer end()
		synctest.Wait()
		if j, ok := l.Joined(); !ok || j.ID != 3 {
			t.Errorf("joined as %+v, %v", j, ok)
		}
		if join := r.seen(wire.MethodJoin)[0].msg.(*wire.Join); join.Process != 42 || join.Name != "w" {
			t.Errorf("joined with %+v", join)
		}
		if b := r.seen(wire.MethodBeat)[0].msg.(*wire.Beat); b.Worker != 3 || b.Incarnation != 1 || !slices.Equal(b.Held, held) {
			t.Errorf("beat with %+v", b)
		}
		if p := r.seen(wire.MethodPick)[0].msg.(*wire.Pick); !p.Standing || p.Max != 2 {
			t.Errorf("picked with %+v", p)
		}
		time.Sleep(ttl + time.Second)
		if n := len(r.seen(wire.MethodBeat)); n != 1+5 {
			t.Errorf("%d beats in one TTL", n)
		}
	})
}

func TestGrantsAndStopsReachTheWorker(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		stop := wire.Attempt{Job: wire.JobID{Request: 9}, Attempt: 1}
		r.answers(func(n *node, q call) (wire.Message, error) {
			if q.method == wire.MethodBeat {
				return &wire.BeatAnswer{Known: true, Stop: []wire.Attempt{stop}}, nil
			}
			return leads(n, q)
		})
		w := &worker{}
		_, end := attach(t, r, w)
		defer end()
		synctest.Wait()
		a := wire.Assignment{Job: wire.JobID{Request: 1}, Attempt: 1, Request: &wire.RequestRef{}, Spec: &wire.RunSpec{}}
		r.push("a:1", wire.MethodGranted, &wire.Granted{Jobs: []wire.Assignment{a}})
		r.push("a:1", wire.MethodStop, &wire.Stop{Attempts: []wire.Attempt{{Job: a.Job, Attempt: 1}}})
		synctest.Wait()
		w.do(func() {
			if len(w.granted) != 1 || w.granted[0] != a.Job {
				t.Errorf("granted %v", w.granted)
			}
			if want := []wire.Attempt{stop, {Job: a.Job, Attempt: 1}}; !slices.Equal(w.stopped, want) {
				t.Errorf("stopped %v", w.stopped)
			}
		})
	})
}

func TestAWorkerFollowsTheLeader(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(leads)
		w := &worker{}
		l, end := attach(t, r, w)
		defer end()
		synctest.Wait()
		for _, change := range []struct {
			name string
			do   func()
		}{
			{"a is killed, b elected a little later", func() { r.kill("a:1"); r.elect(""); time.Sleep(400 * time.Millisecond); r.elect("b:1") }},
			{"b hands over to c", func() { r.elect("c:1") }},
			{"all are killed and come back", func() {
				for _, addr := range three {
					r.kill(addr)
				}
				r.elect("")
				time.Sleep(20 * time.Second)
				for _, addr := range three {
					r.start(addr)
				}
				r.elect("a:1")
			}},
			{"a lost the leadership and won it again: it knows nobody any more", func() { r.elect("a:1") }},
		} {
			change.do()
			began := time.Now()
			codes, err := l.Report(within(t, time.Minute), []wire.JobReport{{Kind: wire.ReportStart}})
			if err != nil || len(codes) != 1 {
				t.Errorf("%s: %v, %v", change.name, codes, err)
			}
			if d := time.Since(began); d > time.Second {
				t.Errorf("%s: %s until it works again", change.name, d)
			}
			synctest.Wait() // reports go through a little before the worker counts as connected
		}
		synctest.Wait()
		w.do(func() {
			if want := []string{"a:1", "b:1", "c:1", "a:1", "a:1"}; !slices.Equal(w.connected, want) || w.lost != 4 {
				t.Errorf("connected to %v, lost %d times", w.connected, w.lost)
			}
		})
		for _, q := range r.seen(wire.MethodJoin) {
			if q.msg.(*wire.Join).Process != 42 {
				t.Error("joined as another process")
			}
		}
	})
}

func TestAWorkerThatWasForgottenJoinsAgain(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		incarnation := uint32(1)
		forget := make(chan struct{}, 1)
		r.answers(func(n *node, q call) (wire.Message, error) {
			switch m := q.msg.(type) {
			case *wire.Join:
				return &wire.Joined{ID: 3, Incarnation: incarnation, TTL: ttl}, nil
			case *wire.Beat:
				select {
				case <-forget:
					incarnation++
				default:
				}
				return &wire.BeatAnswer{Known: m.Incarnation == incarnation}, nil
			case *wire.Report:
				if m.Incarnation != incarnation {
					return nil, wire.Errorf(wire.CodeStale, "incarnation %d", m.Incarnation)
				}
			}
			return leads(n, q)
		})
		w := &worker{}
		l, end := attach(t, r, w)
		defer end()
		synctest.Wait()
		forget <- struct{}{}
		time.Sleep(ttl / 4) // one beat
		synctest.Wait()
		if j, ok := l.Joined(); !ok || j.Incarnation != 2 {
			t.Errorf("after a beat that was not known: %+v, %v", j, ok)
		}
		incarnation = 3
		codes, err := l.Report(within(t, time.Second), []wire.JobReport{{}, {}})
		if want := []wire.Code{wire.CodeStale, wire.CodeStale}; err != nil || !slices.Equal(codes, want) {
			t.Errorf("reports of an earlier incarnation: %v, %v", codes, err)
		}
		synctest.Wait()
		if j, ok := l.Joined(); !ok || j.Incarnation != 3 {
			t.Errorf("after a stale report: %+v, %v", j, ok)
		}
		if n := r.dialled(); n > 1 {
			t.Errorf("%d connections where one serves", n)
		}
	})
}

// A leader that stands still keeps its connections and answers nothing. With a short lease the worker must be with the
// next leader before that takes it for lost, and not wait until the connection is given up.
func TestAWorkerLeavesALeaderThatStandsStill(t *testing.T) {
	const lease = 2 * time.Second
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(func(n *node, q call) (wire.Message, error) {
			if q.method == wire.MethodJoin {
				return &wire.Joined{ID: 3, Incarnation: 1, TTL: lease}, nil
			}
			return leads(n, q)
		})
		w := &worker{}
		_, end := attach(t, r, w)
		defer end()
		synctest.Wait()
		for _, n := range r.nodes {
			n.frozen.Store(n.addr == "a:1")
		}
		r.elect("b:1")
		time.Sleep(lease)
		synctest.Wait()
		joins := r.seen(wire.MethodJoin)
		if last := joins[len(joins)-1]; last.at != "b:1" {
			t.Errorf("a lease after the leader stood still it was last joined to %s", last.at)
		}
	})
}

func TestReportsSurviveALeaderThatDiesWithThem(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(func(n *node, q call) (wire.Message, error) {
			if q.method == wire.MethodReport && n.addr == "a:1" {
				r.kill("a:1")
				r.elect("b:1")
				return nil, errors.New("too late")
			}
			return leads(n, q)
		})
		l, end := attach(t, r, &worker{})
		defer end()
		codes, err := l.Report(within(t, time.Second), []wire.JobReport{{Kind: wire.ReportDone}})
		if err != nil || !slices.Equal(codes, []wire.Code{wire.CodeOK}) {
			t.Errorf("%v, %v", codes, err)
		}
		if n := len(r.seen(wire.MethodReport)); n != 2 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestADrainingWorkerEndsItsOrder(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(leads)
		w := &worker{}
		l, end := attach(t, r, w)
		defer end()
		synctest.Wait()
		w.do(func() { w.draining = true })
		if err := l.Pick(within(t, time.Second)); err != nil {
			t.Fatal(err)
		}
		r.elect("b:1")
		synctest.Wait()
		time.Sleep(time.Second)
		for _, q := range r.seen(wire.MethodPick)[1:] {
			if p := q.msg.(*wire.Pick); p.Max != 0 || p.Standing {
				t.Errorf("at %s it still asked for %+v", q.at, p)
			}
		}
	})
}

func TestAWorkerThatLeavesStaysAway(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(func(n *node, q call) (wire.Message, error) {
			if q.method == wire.MethodLeave && n.addr == "a:1" { // the leader dies with the good-bye
				r.kill("a:1")
				r.elect("b:1")
			}
			return leads(n, q)
		})
		l, end := attach(t, r, &worker{})
		defer end()
		synctest.Wait()
		if err := l.Leave(within(t, time.Second)); err != nil {
			t.Fatal(err)
		}
		beats := len(r.seen(wire.MethodBeat))
		time.Sleep(3 * ttl)
		if n := len(r.seen(wire.MethodJoin)); n != 1 {
			t.Errorf("joined %d times", n)
		}
		if n := len(r.seen(wire.MethodBeat)) - beats; n != 0 {
			t.Errorf("%d beats after it left", n)
		}
		if leaves := r.seen(wire.MethodLeave); len(leaves) != 2 || leaves[1].msg.(*wire.Leave).Worker != 3 {
			t.Errorf("left with %+v", leaves)
		}
	})
}

func TestInputsAreFetchedPageByPage(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		all := []wire.Parent{{Job: 0, Name: "a"}, {Job: 1, Name: "b"}, {Job: 2, Name: "c"}}
		r.answers(func(n *node, q call) (wire.Message, error) {
			if m, ok := q.msg.(*wire.Inputs); ok {
				return &wire.InputsPage{Parents: all[m.Skip : m.Skip+1], More: m.Skip < 2}, nil
			}
			return leads(n, q)
		})
		l, end := attach(t, r, &worker{})
		defer end()
		got, err := l.Inputs(within(t, time.Second), wire.JobID{Request: 1, Index: 3}, 1)
		if diff := cmp.Diff(all, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		r.answers(func(n *node, q call) (wire.Message, error) {
			if q.method == wire.MethodInputs {
				return nil, wire.ErrStale
			}
			return leads(n, q)
		})
		if _, err := l.Inputs(within(t, time.Second), wire.JobID{}, 1); !errors.Is(err, wire.ErrStale) {
			t.Errorf("of a job that is gone: %v", err)
		}
		synctest.Wait()
		if n := len(r.seen(wire.MethodJoin)); n != 1 {
			t.Errorf("joined again because of a job that is gone")
		}
	})
}

func TestTheLeaderReadsAWorkersLog(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(leads)
		_, end := attach(t, r, &worker{})
		defer end()
		synctest.Wait()
		r.nodes["a:1"].each(func(c *duplex.Conn) {
			var chunk wire.LogChunk
			err := c.Call(background, wire.MethodReadLog, &wire.ReadLog{Stream: wire.Stdout}, &chunk)
			if err != nil || string(chunk.Data) != "output" || !chunk.EOF {
				t.Errorf("%+v, %v", chunk, err)
			}
			if err := c.Call(background, wire.MethodReadLog, &wire.ReadLog{Stream: 9}, &chunk); !errors.Is(err, wire.ErrNotFound) {
				t.Errorf("a stream that is none: %v", err)
			}
			if err := c.Call(background, wire.MethodSubmit, &wire.Submit{}, &chunk); !errors.Is(err, wire.ErrUnsupported) {
				t.Errorf("a call that no worker takes: %v", err)
			}
		})
	})
}

func TestProgressIsSentOrDropped(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(leads)
		r.elect("")
		l, end := attach(t, r, &worker{})
		defer end()
		synctest.Wait()
		if l.Progress([]wire.ProgressItem{{Percent: 1}}) {
			t.Error("sent though there is no leader")
		}
		time.Sleep(time.Second) // parked with all three
		r.elect("b:1")
		synctest.Wait()
		if !l.Progress([]wire.ProgressItem{{Percent: 50, Text: "half"}}) {
			t.Error("dropped though there is a leader")
		}
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if diff := cmp.Diff([]wire.Message{&wire.Progress{Items: []wire.ProgressItem{{Percent: 50, Text: "half"}}}}, r.pushed); diff != "" {
			t.Error(diff)
		}
	})
}

func TestALinkGivesUpWhereItIsNotWanted(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := client.New(client.Config{Coordinators: three, Cluster: "other", Dial: r.dial})
		defer c.Close()
		if err := c.WorkerLink(wire.Join{Name: "w"}, &worker{}).Run(background); !errors.Is(err, wire.ErrCluster) {
			t.Errorf("another cluster: %v", err)
		}
		r.answers(func(*node, call) (wire.Message, error) { return nil, wire.Errorf(wire.CodeInvalid, "no slots") })
		d := r.client(three...)
		defer d.Close()
		if err := d.WorkerLink(wire.Join{Name: "w"}, &worker{}).Run(background); !errors.Is(err, wire.ErrInvalid) {
			t.Errorf("an invalid join: %v", err)
		}
	})
}

func TestWhatALinkIsAskedEndsWithItsContext(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.elect("")
		l, end := attach(t, r, &worker{})
		defer end()
		_, err := l.Report(within(t, time.Second), []wire.JobReport{{}})
		if !errors.Is(err, client.ErrNoLeader) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
