package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
)

// process is one life of a worker: it joins, attaches, picks, runs and reports.
type process struct {
	*caller
	w       *worker
	number  uint64
	began   int64 // by the history's clock
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	poke    chan struct{} // look again now

	mu      sync.Mutex
	me      fsm.WorkerJoined
	runs    map[fsm.Grant]*run
	old     map[fsm.Grant]bool // ended; never run again
	leaving bool
}

// run is an attempt in this process's hands.
type run struct {
	me   fsm.WorkerJoined // as whom it was picked
	stop context.CancelFunc
}

func (p *process) run() {
	p.old = make(map[fsm.Grant]bool)
	p.began = p.s.history.ops.Now()
	for p.ctx.Err() == nil {
		v, _, err := p.propose(p.ctx, nil, fsm.JoinWorker{
			Name: p.w.name, Identity: p.w.identity, Process: p.number, Queues: []string{queueName}, Labels: p.w.labels, Slots: p.w.slots,
		})
		if err != nil {
			if p.ctx.Err() == nil {
				p.s.fail("%s: join: %v", p.w.name, err)
			}
			return
		}
		p.joined(v.(fsm.WorkerJoined))
		for p.ctx.Err() == nil && p.session() {
		}
	}
}

// joined takes up who this process is from now on. What an earlier self runs is ended, but for what is deaf.
func (p *process) joined(me fsm.WorkerJoined) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if me == p.me {
		return
	}
	p.me = me
	for _, r := range p.runs {
		r.stop()
	}
}

// session is one connection to a leader. It says whether this worker is still who it was.
func (p *process) session() bool {
	p.mu.Lock()
	me := p.me
	p.mu.Unlock()
	l := &workerLink{p: p, closed: make(chan struct{})}
	defer l.close()
	_, _, err := p.do(p.ctx, nil, func(ctx context.Context, t *cluster.Tasker) (any, error) {
		h := p.s.hostOf(t)
		detach, err := t.Attach(me.ID, me.Incarnation, l)
		if err == nil {
			l.serve(h, detach)
		}
		return nil, err
	})
	if err != nil {
		return false
	}
	at := p.last
	beat := time.NewTimer(0)
	defer beat.Stop()
	for first := true; ; first = false {
		if first || !p.w.standing {
			order := fsm.PickJobs{Worker: me.ID, Incarnation: me.Incarnation, Max: p.free(), Standing: p.w.standing}
			if !p.w.awake(p.ctx) {
				return false
			}
			if _, err := p.once(at, func(ctx context.Context, t *cluster.Tasker) (any, error) { return t.Propose(ctx, order) }); err != nil {
				p.s.logf("%s picks at %s: %v", p.w.name, at.name, err)
				return !refused(err, fsm.CodeStale) && !refused(err, fsm.CodeNotFound)
			}
		}
		select {
		case <-beat.C:
			if !p.w.awake(p.ctx) {
				return false
			}
			v, err := p.once(at, func(ctx context.Context, t *cluster.Tasker) (any, error) {
				held := p.held()
				b, err := t.Beat(ctx, me.ID, me.Incarnation, held)
				if err == nil && len(b.Missing) > 0 {
					if v, _, err := t.Read(ctx, cluster.Stale); err == nil {
						l.Grant(v, b.Missing)
					}
				}
				return b, err
			})
			if err != nil {
				return true
			}
			b := v.(cluster.BeatAnswer)
			p.stopRuns(b.Stop)
			if !b.Known {
				return false
			}
			beat.Reset(p.s.cfg.Lease.TTL / 5)
		case <-p.poke:
		case <-l.closed:
			return true
		case <-p.ctx.Done():
			return false
		}
		if p.isLeaving() {
			_, _, _ = p.propose(p.ctx, nil, fsm.LeaveWorker{Worker: me.ID, Incarnation: me.Incarnation})
			p.end()
			return false
		}
	}
}

// once is one call to one coordinator.
func (p *process) once(h *host, f func(context.Context, *cluster.Tasker) (any, error)) (any, error) {
	ctx, cancel := context.WithTimeout(p.ctx, callTimeout)
	defer cancel()
	return h.call(ctx, p.w.name, f)
}

func (p *process) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaving = true
	p.wake()
}

func (p *process) isLeaving() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leaving
}

func (p *process) wake() {
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

func (p *process) free() uint32 {
	if p.w.standing {
		return p.w.slots
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.w.slots - min(p.w.slots, uint32(len(p.runs)))
}

func (p *process) held() (list []fsm.Grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for g := range p.runs {
		list = append(list, g)
	}
	return list
}

func (p *process) stopRuns(list []fsm.Grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range list {
		if r := p.runs[g]; r != nil {
			r.stop()
		}
	}
}

// granted begins what is new.
func (p *process) granted(list []fsm.Grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range list {
		if p.runs[g] != nil || p.old[g] || p.ctx.Err() != nil {
			continue
		}
		p.s.history.began(g, p.w, p.number)
		p.s.history.picked(g, p)
		ctx, stop := context.WithCancel(p.ctx)
		r := &run{me: p.me, stop: stop}
		p.runs[g] = r
		p.running.Go(func() { p.work(ctx, g, r) })
	}
}

// work is one attempt, from START to its last word.
func (p *process) work(ctx context.Context, g fsm.Grant, r *run) {
	defer func() {
		p.mu.Lock()
		delete(p.runs, g)
		p.old[g] = true
		p.mu.Unlock()
		p.wake()
	}()
	deed := p.s.deedOf(g)
	if deed.deaf {
		ctx = p.ctx
	}
	c := &caller{s: p.s, from: p.w.name, d: newDice(p.s.opt.Seed, fmt.Sprint("report ", g, p.number))}
	if deed.kind != fsm.ReportReturn {
		if code := p.report(ctx, c, r, fsm.JobReport{Job: g.Job, Attempt: g.Attempt, Kind: fsm.ReportStart}); code != fsm.CodeOK && !deed.deaf {
			return
		}
	}
	if !sleep(ctx, deed.takes/2) {
		return
	}
	if deed.kills {
		p.s.logf("%s is killed by %s", p.w.name, g.Job)
		p.end()
		return
	}
	if deed.progress {
		h := p.s.hosts[c.d.IntN(len(p.s.hosts))]
		_, _ = p.once(h, func(_ context.Context, t *cluster.Tasker) (any, error) {
			return nil, t.Progress([]fsm.ProgressItem{{Job: g.Job, Attempt: g.Attempt, Percent: 50}})
		})
	}
	if !sleep(ctx, deed.takes/2) {
		return
	}
	last := fsm.JobReport{Job: g.Job, Attempt: g.Attempt, Kind: deed.kind, NoRetry: deed.noRetry, ExitCode: 1}
	if deed.kind == fsm.ReportDone {
		last.Result, last.ExitCode = resultOf(g, r.me.ID), 0
	}
	code := p.report(ctx, c, r, last)
	p.s.history.judged(g, r.me, last.Kind, code)
	if deed.twice && code == fsm.CodeOK {
		if again := p.report(ctx, c, r, last); again != fsm.CodeOK && again != fsm.CodeStale && again != noCode {
			p.s.fail("%s: %s attempt %d reported again was answered %s", p.w.name, g.Job, g.Attempt, again)
		}
	}
}

// noCode stands for no answer.
const noCode = fsm.Code(255)

// report tells until there is a definite answer.
func (p *process) report(ctx context.Context, c *caller, r *run, what fsm.JobReport) fsm.Code {
	if !p.w.awake(ctx) {
		return noCode
	}
	v, _, err := c.propose(ctx, reporting(r.me.ID, what), fsm.JobStates{Worker: r.me.ID, Incarnation: r.me.Incarnation, Reports: []fsm.JobReport{what}})
	switch {
	case refused(err, fsm.CodeStale), refused(err, fsm.CodeNotFound):
		return fsm.CodeStale
	case err != nil:
		if ctx.Err() == nil {
			p.s.fail("%s: report on %s: %v", p.w.name, what.Job, err)
		}
		return noCode
	}
	return v.([]fsm.Code)[0]
}

// resultOf is what an attempt brings, on one worker.
func resultOf(g fsm.Grant, w fsm.WorkerID) []byte {
	return fmt.Appendf(nil, "%s/%d/%s", g.Job, g.Attempt, w)
}
