package server

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

// board is the state that all coordinators of a rig share: a real state machine without Raft beneath.
type board struct {
	mu       sync.Mutex
	m        *fsm.Machine
	view     *fsm.View
	events   []fsm.Event
	changed  chan struct{}
	commands []fsm.Command
	links    map[fsm.WorkerID]WorkerLink
	detached int
	progress []fsm.ProgressItem
	missing  []fsm.Grant // what the next beats answer
	leader   string      // address
	term     uint64
	hold     chan struct{} // Propose waits until it is closed; nil: it does not
	failure  error         // what Propose answers
}

// tasker is one coordinator's Tasker.
type tasker struct {
	*board
	addr  string
	peers []string
}

func (b *board) do(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (t tasker) Propose(ctx context.Context, cmd fsm.Command) (any, error) {
	t.mu.Lock()
	hold, failure := t.hold, t.failure
	t.commands = append(t.commands, cmd)
	t.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if failure != nil {
		return nil, failure
	}
	return t.apply(cmd)
}

func (b *board) apply(cmd fsm.Command) (any, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	answers, err := b.m.Apply(b.m.Index()+1, b.term, fsm.NewEntry(time.Now().UnixNano(), fsm.Encode(cmd)))
	if err != nil {
		return nil, err
	}
	b.view = b.m.View()
	b.events = append(b.events, b.m.Events()...)
	close(b.changed)
	b.changed = make(chan struct{})
	grants := make(map[fsm.WorkerID][]fsm.Grant)
	for _, e := range b.m.Events() {
		g := fsm.Grant{Job: e.Job, Attempt: e.Attempt}
		switch {
		case e.Kind == fsm.EventJob && e.State == fsm.Picked:
			grants[e.Worker] = append(grants[e.Worker], g)
		case e.Kind == fsm.EventStop && b.links[e.Worker] != nil:
			b.links[e.Worker].Stop([]fsm.Grant{g})
		}
	}
	for id, list := range grants {
		if l := b.links[id]; l != nil {
			l.Grant(b.view, list)
		}
	}
	if answers[0].Refusal != nil {
		return nil, answers[0].Refusal
	}
	return answers[0].Value, nil
}

func (t tasker) Read(context.Context) (*fsm.View, error) {
	if l := t.Leader(); !l.Self {
		return nil, notLeader(l)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.view, nil
}

func (t tasker) Leader() wire.Leader {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader == "" {
		return wire.Leader{}
	}
	return wire.Leader{Self: t.leader == t.addr, Term: t.term, ID: t.leader, Name: t.leader, RPC: t.leader, HTTP: "http-" + t.leader}
}

func (t tasker) Status() wire.Status {
	st := wire.Status{Cluster: "test", ClusterID: "id", NodeID: t.addr, Leader: t.Leader(), Healthy: true}
	for _, addr := range t.peers {
		st.Servers = append(st.Servers, wire.Server{ID: addr, RPC: addr})
	}
	return st
}

func (t tasker) Progress(items []fsm.ProgressItem) error {
	t.do(func() { t.progress = append(t.progress, items...) })
	return nil
}

func (t tasker) Beat(_ context.Context, id fsm.WorkerID, incarnation uint32, held []fsm.Grant) (b Beat, err error) {
	t.do(func() {
		w, ok := t.view.Worker(id)
		b.Known = ok && !w.Lost && w.Incarnation == incarnation
		own := make(map[fsm.Grant]bool)
		for _, g := range t.view.Held(id) {
			own[g] = true
		}
		for _, g := range held {
			if !own[g] {
				b.Stop = append(b.Stop, g)
			}
		}
		b.Missing, t.missing = t.missing, nil
	})
	return b, nil
}

func (t tasker) TTL() time.Duration { return 10 * time.Second }

func (t tasker) Attach(id fsm.WorkerID, _ uint32, l WorkerLink) (func(), error) {
	t.do(func() { t.links[id] = l })
	return func() {
		t.do(func() {
			if t.links[id] == l {
				delete(t.links, id)
				t.detached++
			}
		})
	}, nil
}

func (t tasker) Watch() Watcher {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &watcher{b: t.board, next: len(t.events)}
}

type watcher struct {
	b    *board
	next int
}

func (w *watcher) Next(ctx context.Context) ([]fsm.Event, error) {
	for {
		w.b.mu.Lock()
		events, changed := w.b.events[w.next:], w.b.changed
		w.next += len(events)
		w.b.mu.Unlock()
		if len(events) > 0 {
			return events, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (w *watcher) Close() {}

var (
	background = context.Background()
	addrs      = []string{"a:1", "b:1", "c:1"}
)

// rig is a cluster of real servers on a shared board, connected by pipes, in virtual time.
type rig struct {
	*board
	t       *testing.T
	servers map[string]*Server
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex
	up      map[string]context.Context
	downing map[string]context.CancelFunc
}

// inRig runs a test with three coordinators, of which a:1 leads.
func inRig(t *testing.T, cfg Config, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &board{m: fsm.New(), changed: make(chan struct{}), links: make(map[fsm.WorkerID]WorkerLink), leader: "a:1", term: 1}
		b.view = b.m.View()
		r := &rig{board: b, t: t, servers: make(map[string]*Server), up: make(map[string]context.Context), downing: make(map[string]context.CancelFunc)}
		r.ctx, r.stop = context.WithCancel(background)
		for _, addr := range addrs {
			r.servers[addr] = New(tasker{b, addr, addrs}, cfg, hclog.NewNullLogger())
			r.start(addr)
		}
		test(t, r)
		r.stop()
		r.wg.Wait()
	})
}

func (r *rig) start(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up[addr], r.downing[addr] = context.WithCancel(r.ctx)
}

// kill takes a coordinator down with its connections.
func (r *rig) kill(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.downing[addr]()
	delete(r.up, addr)
}

// elect makes addr the leader; empty: nobody leads.
func (r *rig) elect(addr string) {
	r.do(func() { r.leader, r.term = addr, r.term+1 })
}

func (r *rig) dial(_ context.Context, addr string) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx := r.up[addr]
	if ctx == nil {
		return nil, syscall.ECONNREFUSED
	}
	a, b := net.Pipe()
	r.wg.Go(func() {
		preface := make([]byte, 1)
		if _, err := io.ReadFull(b, preface); err != nil || preface[0] != wire.Preface {
			_ = b.Close()
			return
		}
		r.servers[addr].ServeConn(ctx, b)
	})
	return a, nil
}

func (r *rig) client() *client.Client {
	return client.New(client.Config{Coordinators: addrs, Cluster: "test", Name: "me", Dial: r.dial})
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, d)
	t.Cleanup(cancel)
	return ctx
}

// runner is a worker whose jobs are done by the test.
type runner struct {
	r      *rig
	link   *client.Link
	cancel context.CancelFunc
	ended  chan error
	client *client.Client

	mu      sync.Mutex
	granted []wire.Assignment
	pushes  []int
	stopped []wire.Attempt
}

// work attaches a worker with slots; what it is granted is left to the test.
func (r *rig) work(slots uint32) *runner {
	w := &runner{r: r, client: r.client(), ended: make(chan error, 1)}
	w.link = w.client.WorkerLink(wire.Join{Name: "w", Identity: "w", Process: 1, Queues: []string{"default"}, Slots: slots}, w)
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(background)
	go func() { w.ended <- w.link.Run(ctx) }()
	synctest.Wait()
	return w
}

func (w *runner) end() {
	w.cancel()
	if err := <-w.ended; err != nil {
		w.r.t.Errorf("worker: %v", err)
	}
	w.client.Close()
}

func (w *runner) Granted(g wire.Granted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.granted = append(w.granted, g.Jobs...)
	w.pushes = append(w.pushes, len(g.Jobs))
}

func (w *runner) Stop(attempts []wire.Attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = append(w.stopped, attempts...)
}

func (w *runner) Held() []wire.Attempt { return nil }
func (w *runner) Accepting() bool      { return true }

func (w *runner) ReadLog(_ context.Context, q wire.ReadLog) (wire.LogChunk, error) {
	if q.Offset > 0 {
		return wire.LogChunk{}, errors.New("cannot read")
	}
	return wire.LogChunk{Data: []byte("output"), EOF: true}, nil
}

func (w *runner) Connected(wire.Joined, string) {}
func (w *runner) Disconnected(error)            {}

// take is what was granted since the last take.
func (w *runner) take() []wire.Assignment {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.granted
	w.granted = nil
	return list
}

// report hands in one kind of report for each assignment.
func (w *runner) report(kind wire.ReportKind, result []byte, list ...wire.Assignment) []wire.Code {
	w.r.t.Helper()
	var reports []wire.JobReport
	for _, a := range list {
		reports = append(reports, wire.JobReport{Job: a.Job, Attempt: a.Attempt, Kind: kind, Result: result, JSON: result != nil})
	}
	codes, err := w.link.Report(within(w.r.t, time.Minute), reports)
	if err != nil {
		w.r.t.Errorf("report: %v", err)
	}
	return codes
}
