// Package load measures a cluster from outside, as its Managers and workers see it: jobs a second, the time of a
// submit, the time of one step of a chain, and the gap that a leader's end leaves. `muster bench` prints what it finds.
package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/config"
	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/worker"
)

// stepHandler is the handler of the jobs of chains; the probe's worker alone has it.
const stepHandler = "bench-step"

// session is what the requests of a bench belong to.
const session = "bench"

// Run is a number of jobs put through a cluster.
type Run struct {
	Jobs       int // in all
	PerRequest int // of one request
	Submitters int // requests under way at once
	Shape      Shape
	Handler    string
	Queue      string
}

// Throughput submits every job, waits until all are done, and says how long that took. Any job that is not done is an
// error.
func Throughput(ctx context.Context, c *client.Client, r Run) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var left atomic.Int64
	left.Store(int64(r.Jobs))
	start := time.Now()
	var wg sync.WaitGroup
	for range r.Submitters {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := min(int64(r.PerRequest), left.Add(-int64(r.PerRequest))+int64(r.PerRequest))
				if n <= 0 {
					return
				}
				if err := through(ctx, c, r, int(n)); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start), context.Cause(ctx)
}

func through(ctx context.Context, c *client.Client, r Run, n int) error {
	s, err := c.Submit(ctx, client.Request{Name: "bench", Session: session, Jobs: r.request(n)})
	if err != nil {
		return fmt.Errorf("submit %d jobs: %w", n, err)
	}
	info, err := c.Wait(ctx, s.ID)
	if err != nil {
		return fmt.Errorf("wait for %s: %w", s.ID, err)
	}
	if info.State != wire.Done {
		return fmt.Errorf("request %s ended %s", s.ID, info.State)
	}
	return nil
}

// Submits times n requests of one job each, one after the other.
func Submits(ctx context.Context, c *client.Client, r Run, n int) ([]time.Duration, error) {
	times := make([]time.Duration, n)
	for i := range times {
		start := time.Now()
		if _, err := c.Submit(ctx, client.Request{Name: "bench-submit", Session: session, Jobs: r.request(1)}); err != nil {
			return nil, fmt.Errorf("submit: %w", err)
		}
		times[i] = time.Since(start)
	}
	return times, nil
}

// Probe is a worker in this process that notes when each job of a chain began and ended.
type Probe struct {
	client *client.Client
	queue  string
	cancel context.CancelFunc
	ended  chan error

	mu    sync.Mutex
	marks []mark
}

type mark struct{ began, ended time.Time }

// NewProbe starts the worker, with its data in dir.
func NewProbe(ctx context.Context, c *client.Client, coordinators []string, cluster, dir string) (*Probe, error) {
	cfg := config.DefaultWorker()
	cfg.Name, cfg.Data, cfg.Coordinators, cfg.Cluster, cfg.Slots = "bench-probe", dir, coordinators, cluster, 1
	p := &Probe{client: c, queue: fmt.Sprintf("bench-probe-%d", time.Now().UnixNano()), ended: make(chan error, 1)}
	cfg.Queues = []string{p.queue}
	w, err := worker.New(cfg)
	if err != nil {
		return nil, err
	}
	w.Handle(stepHandler, p.step)
	ctx, p.cancel = context.WithCancel(ctx)
	go func() { p.ended <- w.Run(ctx) }()
	return p, nil
}

// Close ends the worker.
func (p *Probe) Close() error {
	p.cancel()
	return <-p.ended
}

func (p *Probe) step(context.Context, worker.Job) (worker.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.marks = append(p.marks, mark{now, now})
	return worker.None, nil
}

// chain submits n jobs, each after the one before.
func (p *Probe) chain(ctx context.Context, n int) (wire.RequestID, error) {
	jobs := make([]client.Job, n)
	for i := range jobs {
		jobs[i] = client.Job{Name: fmt.Sprintf("s%d", i), Handler: stepHandler, Queue: p.queue}
		if i > 0 {
			jobs[i].Needs = []string{fmt.Sprintf("s%d", i-1)}
		}
	}
	p.mu.Lock()
	p.marks = nil
	p.mu.Unlock()
	s, err := p.client.Submit(ctx, client.Request{Name: "bench-chain", Session: session, Jobs: jobs})
	if err != nil {
		return 0, fmt.Errorf("submit a chain: %w", err)
	}
	return s.ID, nil
}

// Steps runs a chain of n jobs and times each step: from the end of one job to the start of the next.
func (p *Probe) Steps(ctx context.Context, n int) ([]time.Duration, error) {
	id, err := p.chain(ctx, n+1)
	if err != nil {
		return nil, err
	}
	if _, err := p.client.Wait(ctx, id); err != nil {
		return nil, fmt.Errorf("wait for a chain: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var steps []time.Duration
	for i := 1; i < len(p.marks); i++ {
		steps = append(steps, p.marks[i].began.Sub(p.marks[i-1].ended))
	}
	return steps, nil
}

// Failover keeps a chain going while kill ends the leader, and says how long after that the next job began under a new
// one: the longest pause after the kill marks it.
func (p *Probe) Failover(ctx context.Context, kill func() error) (time.Duration, error) {
	id, err := p.chain(ctx, 100_000)
	if err != nil {
		return 0, err
	}
	defer func() { _ = p.client.Cancel(ctx, id) }()
	if err := p.await(ctx, func() bool { return len(p.marks) > 20 }); err != nil {
		return 0, err
	}
	killed := time.Now()
	if err := kill(); err != nil {
		return 0, fmt.Errorf("kill the leader: %w", err)
	}
	var at time.Time
	err = p.await(ctx, func() bool {
		at = resumed(p.marks, killed)
		return !at.IsZero()
	})
	return at.Sub(killed), err
}

// stepsAfter is how many further jobs show that a chain goes on.
const stepsAfter = 20

// resumed is when the chain went on after the kill: the start behind the longest pause, once enough have followed.
func resumed(marks []mark, killed time.Time) (at time.Time) {
	var pause time.Duration
	where := 0
	for i := 1; i < len(marks); i++ {
		if gap := marks[i].began.Sub(marks[i-1].ended); marks[i].began.After(killed) && gap > pause {
			pause, where, at = gap, i, marks[i].began
		}
	}
	const electionMin = 5 * time.Millisecond // no election is quicker: a shorter pause is an ordinary step
	if pause < electionMin || len(marks)-where < stepsAfter {
		return time.Time{}
	}
	return at
}

func (p *Probe) await(ctx context.Context, cond func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		ok := cond()
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Quantiles are the median and the 99th percentile, in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// Quantile sums up durations; it sorts them.
func Quantile(d []time.Duration) Quantiles {
	if len(d) == 0 {
		return Quantiles{}
	}
	slices.Sort(d)
	at := func(q float64) float64 {
		return float64(d[min(int(q*float64(len(d))), len(d)-1)].Microseconds()) / 1000
	}
	return Quantiles{P50: at(0.5), P99: at(0.99)}
}
