package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/cluster/backup"
	"github.com/musterhq/muster/fsm"
)

// fakeTasker is a coordinator of one over a real state machine, without Raft: what it proposes is applied at once.
type fakeTasker struct {
	mu       sync.Mutex
	machine  *fsm.Machine
	events   []fsm.Event
	kept     uint64        // events up to here are forgotten
	changed  chan struct{} // closed and replaced when events come
	now      int64
	leading  bool
	node     cluster.Peer
	leader   *cluster.Peer
	servers  []cluster.Server
	failWith error // of Propose and linearizable reads
	beats    []fsm.WorkerID
	progress []fsm.ProgressItem
	logs     map[string][]byte // by job, attempt, stream
	logOpen  bool              // the attempt goes on
	moved    []string
	ttl      time.Duration
	picks    int // orders for jobs
	watches  int
}

func newFake() *fakeTasker {
	node := cluster.Peer{ID: "n1", Name: "alpha", RPC: "127.0.0.1:7071", HTTP: "127.0.0.1:7070", Term: 3}
	f := &fakeTasker{
		machine: fsm.New(), changed: make(chan struct{}), leading: true, node: node, leader: &node,
		now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC).UnixNano(), logs: map[string][]byte{}, ttl: 10 * time.Second,
		servers: []cluster.Server{{ID: "n1", Name: "alpha", RPC: node.RPC, HTTP: node.HTTP, Voter: true, Leader: true, Alive: true, Applied: 1},
			{ID: "n2", Name: "beta", RPC: "127.0.0.1:8071", HTTP: "127.0.0.1:8070", Voter: true, LastContact: time.Second}},
	}
	f.machine.Skip(1)
	return f
}

func (f *fakeTasker) Propose(ctx context.Context, cmd fsm.Command) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failWith != nil {
		return nil, f.failWith
	}
	f.now += int64(time.Millisecond)
	answers, err := f.machine.Apply(f.machine.Index()+1, f.node.Term, fsm.NewEntry(f.now, fsm.Encode(cmd)))
	if err != nil {
		return nil, err
	}
	f.events = append(f.events, f.machine.Events()...)
	if p, ok := cmd.(*fsm.PickJobs); ok && p.Max > 0 {
		f.picks++
	}
	f.signal()
	if r := answers[0].Refusal; r != nil {
		return nil, r
	}
	return answers[0].Value, nil
}

// signal wakes whoever waits for a change. The caller holds mu.
func (f *fakeTasker) signal() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// until waits for something to become true.
func (f *fakeTasker) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.After(patience)
	for {
		f.mu.Lock()
		done, changed := ok(), f.changed
		f.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (f *fakeTasker) Read(_ context.Context, c cluster.Consistency) (*fsm.View, time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c == cluster.Linearizable && f.failWith != nil {
		return nil, 0, f.failWith
	}
	return f.machine.View(), 5 * time.Millisecond, nil
}

func (f *fakeTasker) Leader() (cluster.Peer, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leader == nil {
		return cluster.Peer{}, false
	}
	return *f.leader, true
}

func (f *fakeTasker) IsLeader() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leading
}

func (f *fakeTasker) Status() cluster.Status {
	leader, known := f.Leader()
	f.mu.Lock()
	defer f.mu.Unlock()
	return cluster.Status{
		Cluster: "test", Node: f.node, Leader: leader, HasLeader: known, IsLeader: f.leading, RaftState: "leader", Term: 3,
		Applied: f.machine.Index(), Committed: f.machine.Index(), LastLog: f.machine.Index(), StateHash: 0xbeef,
		HashIndex: f.machine.Index(), LastContact: time.Millisecond, Tolerates: 1, Healthy: true,
		Started: time.Unix(1, 0), Version: "v0",
	}
}

func (f *fakeTasker) RetryAfter() time.Duration { return 100 * time.Millisecond }

func (f *fakeTasker) Progress(items []fsm.ProgressItem) error {
	f.mu.Lock()
	f.progress = append(f.progress, items...)
	f.mu.Unlock()
	_, err := f.Propose(context.Background(), &fsm.Progress{Items: items})
	return err
}

func (f *fakeTasker) Beat(_ context.Context, w fsm.WorkerID, _ uint32, held []fsm.Grant) (a cluster.BeatAnswer, err error) {
	v, _, _ := f.Read(context.Background(), cluster.Stale)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.beats = append(f.beats, w)
	f.signal()
	info, ok := v.Worker(w)
	if a.Known = ok && !info.Lost; !a.Known {
		return a, nil
	}
	mine := map[fsm.Grant]bool{}
	for _, g := range v.Held(w) {
		mine[g] = true
	}
	for _, g := range held {
		if !mine[g] {
			a.Stop = append(a.Stop, g)
		}
		delete(mine, g)
	}
	for _, g := range v.Held(w) {
		if mine[g] {
			a.Missing = append(a.Missing, g)
		}
	}
	return a, nil
}

func (f *fakeTasker) LastBeat(fsm.WorkerID) (time.Time, bool) { return time.Unix(5, 0), true }

func (f *fakeTasker) TTL() time.Duration { return f.ttl }

func (f *fakeTasker) WorkerLog(_ context.Context, job fsm.JobID, attempt uint32, stream uint8, offset int64, max int) ([]byte, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, ok := f.logs[logKey(job, attempt, stream)]
	if !ok {
		return nil, false, cluster.ErrWorkerGone
	}
	data = data[min(int(offset), len(data)):]
	cut := min(max, len(data), 3) // several reads
	return data[:cut], cut == len(data) && !f.logOpen, nil
}

func logKey(job fsm.JobID, attempt uint32, stream uint8) string {
	return fmt.Sprintf("%s/%d/%d", job, attempt, stream)
}

func (f *fakeTasker) Watch(from uint64) Watcher {
	f.set(func() { f.watches++ })
	return &fakeWatcher{f: f, after: from}
}

func (f *fakeTasker) Servers() []cluster.Server { return f.servers }

func (f *fakeTasker) TransferLeadership(_ context.Context, to string) error {
	f.moved = append(f.moved, "to "+to)
	return nil
}

// Restore takes what is a whole file of the cluster "id", or any when forced.
func (f *fakeTasker) Restore(_ context.Context, in io.Reader, force bool) (h backup.Header, r fsm.Restored, err error) {
	data, err := io.ReadAll(in)
	if err != nil {
		return h, r, fmt.Errorf("%w: %w", cluster.ErrBadSnapshot, err)
	}
	if f.failWith != nil {
		return h, r, f.failWith
	}
	h, m, err := backup.Read(bytes.NewReader(data), int64(len(data)))
	switch {
	case err != nil:
		return h, r, fmt.Errorf("%w: %w", cluster.ErrBadSnapshot, err)
	case h.ClusterID != f.Status().ClusterID && !force:
		return h, r, cluster.ErrForeignSnapshot
	}
	return h, fsm.Restored{Index: m.Index(), Sessions: m.View().Totals().Sessions, Requests: m.View().Totals().Requests, Returned: 1}, nil
}

func (f *fakeTasker) RemoveServer(_ context.Context, id string) error {
	if id == "n1" {
		return fmt.Errorf("n1 is the last that is alive")
	}
	f.moved = append(f.moved, "removed "+id)
	return nil
}

// forget drops events up to an index, as a full ring does.
func (f *fakeTasker) forget(index uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = index
	f.signal()
}

func (f *fakeTasker) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.signal()
}

type fakeWatcher struct {
	f     *fakeTasker
	after uint64
}

func (w *fakeWatcher) Next(ctx context.Context) ([]fsm.Event, error) {
	for {
		w.f.mu.Lock()
		var batch []fsm.Event
		for _, e := range w.f.events {
			if e.Index > w.after {
				batch = append(batch, e)
			}
		}
		tooOld, changed := w.after < w.f.kept, w.f.changed
		w.f.mu.Unlock()
		if tooOld {
			return nil, cluster.ErrTooOld
		}
		if len(batch) > 0 {
			w.after = batch[len(batch)-1].Index
			return batch, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (w *fakeWatcher) Close() {}
