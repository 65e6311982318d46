package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster/config"
	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

// fakeLeader is the link to a leader that remembers what it was told.
type fakeLeader struct {
	handler client.WorkerHandler // of the worker that is linked; nil in tests of the reporter alone
	join    wire.Join
	running chan struct{} // closed when Run is called

	mu       sync.Mutex // guards the fields below
	answer   func([]wire.JobReport) ([]wire.Code, error)
	gate     chan struct{} // a call of Report takes one first; nil: none is needed
	calls    [][]wire.JobReport
	progress [][]wire.ProgressItem
	busy     bool // progress is dropped
	refuse   error
	parents  []wire.Parent
	picks    []bool // what the worker was at each Pick
	left     bool
}

func (f *fakeLeader) Run(ctx context.Context) error {
	close(f.running)
	if f.refuse != nil {
		return f.refuse
	}
	f.handler.Connected(wire.Joined{ID: 1, Incarnation: 1}, "leader:7071")
	<-ctx.Done()
	return nil
}

func (f *fakeLeader) Report(ctx context.Context, reports []wire.JobReport) ([]wire.Code, error) {
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, append([]wire.JobReport(nil), reports...))
	if f.answer != nil {
		return f.answer(reports)
	}
	return make([]wire.Code, len(reports)), nil
}

func (f *fakeLeader) Progress(items []wire.ProgressItem) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy {
		return false
	}
	f.progress = append(f.progress, items)
	return true
}

func (f *fakeLeader) Pick(ctx context.Context) error {
	if f.gate != nil {
		<-ctx.Done()
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.picks = append(f.picks, f.handler.Accepting())
	return nil
}

func (f *fakeLeader) Leave(ctx context.Context) error {
	if f.gate != nil {
		<-ctx.Done()
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = true
	return nil
}

func (f *fakeLeader) Inputs(ctx context.Context, _ wire.JobID, _ uint32) ([]wire.Parent, error) {
	if f.parents == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f.parents, nil
}

// story is all that was reported, call by call: "1 START, 1 DONE; 2 START" for attempt 1 of jobs 1 and 2.
func (f *fakeLeader) story() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := make([]string, len(f.calls))
	for i, call := range f.calls {
		calls[i] = tale(call)
	}
	return strings.Join(calls, "; ")
}

func tale(reports []wire.JobReport) string {
	words := make([]string, len(reports))
	for i, r := range reports {
		kind := map[wire.ReportKind]string{wire.ReportStart: "START", wire.ReportDone: "DONE", wire.ReportFailed: "FAILED",
			wire.ReportReturn: "RETURN"}[r.Kind]
		words[i] = fmt.Sprint(r.Job.Index, " ", kind)
	}
	return strings.Join(words, ", ")
}

// tale is all that was reported, whatever the calls.
func (f *fakeLeader) tale() string { return strings.ReplaceAll(f.story(), "; ", ", ") }

// last is the last report.
func (f *fakeLeader) last() wire.JobReport {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		return wire.JobReport{}
	}
	call := f.calls[len(f.calls)-1]
	return call[len(call)-1]
}

func attempt(index uint32) wire.Attempt {
	return wire.Attempt{Job: wire.JobID{Request: 1, Index: index}, Attempt: 1}
}

// assign is a job for a handler.
func assign(index uint32, handler string) wire.Assignment {
	return wire.Assignment{Job: attempt(index).Job, Attempt: 1, Name: fmt.Sprint("job", index), ArrayIndex: NoIndex,
		Request: &wire.RequestRef{Name: "nightly", Session: 3, SessionName: "reports"},
		Spec:    &wire.RunSpec{Kind: wire.WorkHandler, Args: []string{handler}, Slots: 1}}
}

func granted(jobs ...wire.Assignment) wire.Granted { return wire.Granted{Jobs: jobs} }

func testConfig(t testing.TB) config.Worker {
	cfg := config.DefaultWorker()
	cfg.Data, cfg.Slots, cfg.Coordinators = t.TempDir(), 2, []string{"nowhere:7071"}
	return cfg
}

// startWorker runs a worker that is linked to leader. stop begins its end and returns what Run returned.
func startWorker(t testing.TB, cfg config.Worker, leader *fakeLeader, handlers map[string]HandlerFunc) (w *Worker, stop func() error) {
	t.Helper()
	leader.running = make(chan struct{})
	w, err := New(cfg, func(w *Worker) {
		w.connect = func(_ client.Config, join wire.Join, h client.WorkerHandler) (leaderLink, func()) {
			leader.handler, leader.join = h, join
			return leader, func() {}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range handlers {
		w.Handle(name, h)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	select {
	case <-leader.running:
	case err := <-ended:
		select {
		case <-leader.running: // it was linked, and has ended since: stop tells
			ended <- err
		default:
			t.Fatal(err)
		}
	}
	return w, func() error {
		cancel()
		return <-ended
	}
}

var errTrouble = errors.New("trouble")
