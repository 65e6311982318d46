package worker

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/wire"
)

// recentMax is how many attempts are remembered at least after their end was acknowledged: a grant that was on its
// way twice must not run twice.
const recentMax = 8192

// consumer is the JobConsumer: it keeps the list of what this worker holds, starts a run for each granted attempt as
// slots allow, and ends what is no longer the worker's.
//
// Invariant: an attempt is in held from its grant until its end is acknowledged or it is revoked and over.
// Invariant: free is slots less those of the runs that have not returned; it is never negative.
type consumer struct {
	log      hclog.Logger
	work     func(ctx context.Context, r *run) outcome // the JobRunner
	reporter *reporter
	base     context.Context // of all runs; it ends when there is not even a grace
	grace    time.Duration   // for a handler to return once its context has ended
	slots    int
	streak   streak

	runs sync.WaitGroup // goroutines of runs

	mu        sync.Mutex // guards the fields below, and those of runs that say so
	held      map[wire.Attempt]*run
	recent    map[wire.Attempt]struct{} // over and acknowledged, and before it older ones
	older     map[wire.Attempt]struct{}
	queue     []*run // granted, waiting for a slot
	free      int
	active    int  // runs that are started and neither over nor abandoned
	abandoned int  // handlers that were given up and have not returned
	accepting bool // false: what is granted is handed back
	changed   chan struct{}
}

// run is one attempt that the worker holds.
type run struct {
	at         wire.Attempt
	assignment wire.Assignment
	slots      int
	consumer   *consumer

	// Guarded by consumer.mu.
	cancel   context.CancelCauseFunc // nil until it is started
	cause    error                   // why it was interrupted; nil: it was not
	over     bool                    // its outcome is known, or given up
	timeout  *time.Timer             // nil: none
	patience *time.Timer             // until an interrupted handler is abandoned; nil: not running

	// Guarded by reporter.mu.
	started bool // the leader knows that it runs
	said    bool // its end is said: progress is of no use any more
}

func newConsumer(base context.Context, slots int, grace time.Duration, log hclog.Logger) *consumer {
	return &consumer{log: log, base: base, grace: grace, slots: slots, free: slots, accepting: true, streak: streak{log: log},
		held: make(map[wire.Attempt]*run), recent: make(map[wire.Attempt]struct{}), older: make(map[wire.Attempt]struct{}),
		changed: make(chan struct{}, 1)}
}

// grant takes jobs that are now the worker's. Those it knows are passed over. It does not block.
func (c *consumer) grant(jobs []wire.Assignment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range jobs {
		r := &run{assignment: jobs[i], at: wire.Attempt{Job: jobs[i].Job, Attempt: jobs[i].Attempt}, consumer: c,
			slots: min(max(1, int(jobs[i].Spec.Slots)), c.slots)}
		if c.knows(r.at) {
			continue
		}
		c.held[r.at] = r
		if !c.accepting {
			c.handBack(r)
			continue
		}
		c.queue = append(c.queue, r)
	}
	c.startQueued()
}

func (c *consumer) knows(at wire.Attempt) bool {
	_, held := c.held[at]
	_, recent := c.recent[at]
	_, older := c.older[at]
	return held || recent || older
}

// startQueued starts what waits, in order, as far as slots are free. A job that takes several slots is not overtaken.
func (c *consumer) startQueued() {
	n := 0
	for n < len(c.queue) && c.queue[n].slots <= c.free {
		c.start(c.queue[n])
		n++
	}
	clear(c.queue[:n])
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
	}
}

func (c *consumer) start(r *run) {
	var ctx context.Context
	ctx, r.cancel = context.WithCancelCause(c.base)
	if d := r.assignment.Spec.Timeout; d > 0 {
		r.timeout = time.AfterFunc(d, func() { c.timeOut(r) })
	}
	c.free -= r.slots
	c.active++
	c.reporter.add(r, wire.JobReport{Job: r.at.Job, Attempt: r.at.Attempt, Kind: wire.ReportStart})
	c.runs.Add(1)
	go c.run(ctx, r)
}

func (c *consumer) run(ctx context.Context, r *run) {
	defer c.runs.Done()
	o := failed("the handler ended its goroutine (runtime.Goexit) instead of returning")
	defer func() { c.returned(r, o) }()
	began := time.Now()
	o = c.work(ctx, r)
	c.streak.hold(ctx, o, time.Since(began))
}

// returned ends a run whose work is over: its slots are free again.
func (c *consumer) returned(r *run, o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free += r.slots
	if r.over {
		c.abandoned--
		c.log.Info("abandoned handler returned", "job", r.at.Job, "attempt", r.at.Attempt)
	} else {
		c.finish(r, o)
	}
	c.startQueued()
}

// finish makes an outcome that of the run, and has it reported. It holds once.
func (c *consumer) finish(r *run, o outcome) {
	r.over = true
	c.active--
	r.cancel(nil)
	stopTimer(r.timeout)
	stopTimer(r.patience)
	if report, ok := o.report(r.at, r.cause); ok {
		c.reporter.add(r, report)
	} else {
		c.forget(r)
	}
	c.signal()
}

func stopTimer(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// handBack returns a run that was not started.
func (c *consumer) handBack(r *run) {
	r.over = true
	c.reporter.add(r, wire.JobReport{Job: r.at.Job, Attempt: r.at.Attempt, Kind: wire.ReportReturn, ExitCode: noExit})
}

// forget lets go of a run that is over.
func (c *consumer) forget(r *run) {
	c.reporter.drop(r)
	delete(c.held, r.at)
	if len(c.recent) >= recentMax {
		c.recent, c.older = c.older, c.recent
		clear(c.recent)
	}
	c.recent[r.at] = struct{}{}
	c.signal()
}

// answered takes the leader's answer to a report.
func (c *consumer) answered(r *run, said wire.JobReport, code wire.Code) {
	gone := code == wire.CodeStale || code == wire.CodeNotFound
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case gone:
		c.log.Debug("attempt is no longer ours", "job", r.at.Job, "attempt", r.at.Attempt, "answer", code)
		c.revoke(r)
	case said.Kind == wire.ReportStart:
	case code == wire.CodeOK:
		c.forget(r)
	case said.Kind == wire.ReportDone:
		o := failed("the coordinators refused the result: %v", code)
		report, _ := o.report(r.at, nil)
		c.reporter.add(r, report)
	default:
		c.log.Error("the end of an attempt was refused", "job", r.at.Job, "attempt", r.at.Attempt, "answer", code)
		c.forget(r)
	}
}

// stop ends attempts that are no longer the worker's.
func (c *consumer) stop(attempts []wire.Attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range attempts {
		// The end of one that is over is under way; its answer will tell.
		if r := c.held[at]; r != nil && !r.over {
			c.revoke(r)
		}
	}
	c.startQueued()
}

// revoke ends a run of which nothing counts any more.
func (c *consumer) revoke(r *run) {
	switch {
	case r.over:
		c.forget(r)
	case r.cancel == nil:
		c.unqueue(r)
		r.over = true
		c.forget(r)
	default:
		c.reporter.drop(r)
		c.interrupt(r, ErrRevoked, c.grace)
	}
}

func (c *consumer) unqueue(r *run) {
	for i, q := range c.queue {
		if q == r {
			c.queue = append(c.queue[:i:i], c.queue[i+1:]...)
			return
		}
	}
}

func (c *consumer) timeOut(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupt(r, ErrTimeout, c.grace)
}

// interrupt ends the context of a run that is not over. A later cause counts only if it is that the attempt is
// revoked. A process is made to end by its executor; a handler that does not return within patience is abandoned.
func (c *consumer) interrupt(r *run, cause error, patience time.Duration) {
	if r.over {
		return
	}
	if r.cause == nil || cause == ErrRevoked {
		r.cause = cause
	}
	r.cancel(cause)
	if r.assignment.Spec.Kind != wire.WorkHandler {
		return
	}
	if r.patience == nil {
		r.patience = time.AfterFunc(patience, func() { c.abandon(r) })
	} else {
		r.patience.Reset(patience)
	}
}

// abandon gives up a handler that does not return although its context has ended. Its slots stay taken until it does.
func (c *consumer) abandon(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.over {
		return
	}
	c.log.Warn("handler goes on although its context has ended", "job", r.at.Job, "attempt", r.at.Attempt,
		"handler", r.assignment.Spec.Args[0], "cause", r.cause)
	c.abandoned++
	o := failed("%v, and its handler did not return within %v", r.cause, c.grace)
	o.cut, o.timedOut = true, r.cause == ErrTimeout
	c.finish(r, o)
}

// holding lists what the worker holds and considers its own.
func (c *consumer) holding() []wire.Attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	attempts := make([]wire.Attempt, 0, len(c.held))
	for at, r := range c.held {
		if r.cause != ErrRevoked {
			attempts = append(attempts, at)
		}
	}
	return attempts
}

// holds tells whether the attempt is held, and of which kind it is.
func (c *consumer) holds(at wire.Attempt) (kind wire.WorkKind, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.held[at]
	if r == nil {
		return 0, false
	}
	return r.assignment.Spec.Kind, true
}

func (c *consumer) isAccepting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepting
}

// close accepts nothing from here on, and hands back what is not started.
func (c *consumer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepting = false
	for _, r := range c.queue {
		c.handBack(r)
	}
	c.queue = nil
}

// interruptAll ends the context of every run. Handlers have patience to return.
func (c *consumer) interruptAll(cause error, patience time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.held {
		if r.cancel != nil {
			c.interrupt(r, cause, patience)
		}
	}
}

// load is how much there is: runs that are active, all that is held, and handlers that were abandoned.
func (c *consumer) load() (active, held, abandoned int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active, len(c.held), c.abandoned
}

func (c *consumer) signal() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// tell implements teller.
func (r *run) tell(percent int, text string) { r.consumer.reporter.tell(r, percent, text) }
