package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

const (
	// pickWaitMax is how long a pick may wait.
	pickWaitMax = 60 * time.Second
	// pickMax is how many slots' worth of jobs one pick may ask for.
	pickMax = 1024
	// beatsPerTTL is how often a waiting pick beats for its worker.
	beatsPerTTL = 5
	// windUpTimeout is how long a pick that was given up may take to take its order back.
	windUpTimeout = 10 * time.Second
)

// picks knows the pick that waits for each worker. A newer one of the same worker ends it: the worker gave it up.
type picks struct {
	mu      sync.Mutex
	waiting map[fsm.WorkerID]*waitingPick // at most one for each
}

type waitingPick struct {
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed when it has taken its order back
}

// errSuperseded ends a pick.
var errSuperseded = errors.New("the worker asked again")

// begin ends the worker's earlier pick and waits for its end. The answer ends this one.
func (p *picks) begin(w fsm.WorkerID, cancel context.CancelCauseFunc) (end func()) {
	mine := &waitingPick{cancel: cancel, ended: make(chan struct{})}
	p.mu.Lock()
	if p.waiting == nil {
		p.waiting = make(map[fsm.WorkerID]*waitingPick)
	}
	earlier := p.waiting[w]
	p.waiting[w] = mine
	p.mu.Unlock()
	if earlier != nil {
		earlier.cancel(errSuperseded)
		<-earlier.ended
	}
	return func() {
		close(mine.ended)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.waiting[w] == mine {
			delete(p.waiting, w)
		}
	}
}

func (s *Server) pick(w http.ResponseWriter, r *http.Request) error {
	var in rest.Pick
	if err := decode(w, r, &in); err != nil {
		return err
	}
	if wait := time.Duration(in.Wait); wait > pickWaitMax {
		return invalid("wait %s: at most %s", in.Wait, pickWaitMax)
	}
	if in.Max > pickMax {
		return invalid("max %d: at most %d", in.Max, pickMax)
	}
	known, err := grantsOf(in.Running)
	if err != nil {
		return err
	}
	info, err := s.joined(r.Context(), in.Worker)
	if err != nil {
		return err
	}
	unhurried(w)
	ctx, cancel := s.streaming(r)
	defer cancel()
	ctx, supersede := context.WithCancelCause(ctx)
	defer supersede(nil)
	defer s.picks.begin(info.ID, supersede)()

	p := &picking{s: s, worker: info, max: max(in.Max, 1), wait: time.Duration(in.Wait), known: known, said: in.Running != nil}
	v, grants, err := p.run(ctx)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, rest.Picked{Jobs: assignmentsOf(v, grants)})
}

// picking is one pick. What was granted in it is what the worker holds at its end and did not at its beginning: the
// state is the truth, and events only tell when to look.
type picking struct {
	s      *Server
	worker fsm.WorkerInfo
	max    uint32
	wait   time.Duration
	known  []fsm.Grant // what the worker says it holds
	said   bool        // it did say so; else known is what it holds at the beginning
}

// run gives the new grants and a view that has them.
func (p *picking) run(ctx context.Context) (*fsm.View, []fsm.Grant, error) {
	v, _, err := p.s.read(ctx, cluster.Linearizable) // an old state would hand out again what has ended
	if err != nil {
		return nil, nil, err
	}
	if !p.said {
		p.known = v.Held(p.worker.ID)
	}
	if lost := p.fresh(v); len(lost) > 0 {
		return v, lost, p.beat(ctx, v) // an earlier answer did not arrive: hand it out again
	}
	if err := p.beat(ctx, v); err != nil {
		return nil, nil, err
	}
	events := p.s.tasker.Watch(v.Index())
	defer events.Close()
	if v, err = p.order(ctx, p.max); err != nil {
		return nil, nil, err
	}
	grants := p.fresh(v)
	if len(grants) == 0 && p.wait > 0 {
		p.await(ctx, events)
	}
	return p.end(ctx)
}

// fresh are the grants that the worker does not know of.
func (p *picking) fresh(v *fsm.View) []fsm.Grant {
	return slices.DeleteFunc(v.Held(p.worker.ID), func(g fsm.Grant) bool { return slices.Contains(p.known, g) })
}

func (p *picking) order(ctx context.Context, slots uint32) (*fsm.View, error) {
	_, v, err := propose[any](ctx, p.s, &fsm.PickJobs{Worker: p.worker.ID, Incarnation: p.worker.Incarnation, Max: slots})
	return v, err
}

// beat keeps the worker alive while its call waits. It says that the worker holds all that it was granted.
func (p *picking) beat(ctx context.Context, v *fsm.View) error {
	a, err := p.s.tasker.Beat(ctx, p.worker.ID, p.worker.Incarnation, v.Held(p.worker.ID))
	if err == nil && !a.Known {
		err = lostWorker(p.worker.ID.String())
	}
	return err
}

// await returns when a grant may have come, or when waiting makes no more sense.
func (p *picking) await(ctx context.Context, events Watcher) {
	ctx, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	for {
		turn, done := context.WithTimeout(ctx, p.s.tasker.TTL()/beatsPerTTL)
		batch, err := events.Next(turn)
		done()
		if ctx.Err() != nil || errors.Is(err, cluster.ErrTooOld) || slices.ContainsFunc(batch, p.granted) {
			return
		}
		if err == nil {
			continue
		}
		v, err := p.s.local(ctx)
		if err != nil || p.beat(ctx, v) != nil || !p.s.tasker.IsLeader() {
			return
		}
	}
}

func (p *picking) granted(e fsm.Event) bool {
	return e.Kind == fsm.EventJob && e.State == fsm.Picked && e.Worker == p.worker.ID
}

// end takes the order back, so that nothing is granted that no call waits for. When whoever asked has gone, what was
// granted meanwhile goes back on the board.
func (p *picking) end(ctx context.Context) (*fsm.View, []fsm.Grant, error) {
	windUp, cancel := context.WithTimeout(context.WithoutCancel(ctx), windUpTimeout)
	defer cancel()
	v, err := p.order(windUp, 0)
	if err != nil {
		return nil, nil, err
	}
	grants := p.fresh(v)
	if ctx.Err() == nil || len(grants) == 0 {
		return v, grants, nil
	}
	_, _, err = propose[any](windUp, p.s, &fsm.JobStates{
		Worker: p.worker.ID, Incarnation: p.worker.Incarnation, Reports: returnsOf(grants),
	})
	return v, nil, err
}

func returnsOf(grants []fsm.Grant) []fsm.JobReport {
	reports := make([]fsm.JobReport, len(grants))
	for i, g := range grants {
		reports[i] = fsm.JobReport{Job: g.Job, Attempt: g.Attempt, Kind: fsm.ReportReturn, ExitCode: noExitCode}
	}
	return reports
}
