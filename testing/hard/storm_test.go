//go:build linux

package hard

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/testing/harness"
)

// stormWorkers is how many workers rejoin at once.
const stormWorkers = 1000

// puppet is a worker in this process that holds what it is given and does nothing with it.
type puppet struct {
	link    *client.Link
	deaf    atomic.Bool  // grants do not reach it
	missed  atomic.Int32 // grants that did not
	granted chan wire.Assignment
	joins   atomic.Int32
	stops   atomic.Int32
	life    wire.Joined // the newest registration, under mu

	mu   sync.Mutex
	held []wire.Attempt
}

// joinPuppet starts a worker of one slot that lives until ctx ends.
func joinPuppet(ctx context.Context, running *sync.WaitGroup, cl *client.Client, name, queue string, process uint64) *puppet {
	p := &puppet{granted: make(chan wire.Assignment, 16)}
	p.link = cl.WorkerLink(wire.Join{Name: name, Identity: name, Process: process, Queues: []string{queue}, Slots: 1}, p)
	running.Go(func() { _ = p.link.Run(ctx) })
	return p
}

func (p *puppet) Granted(g wire.Granted) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, j := range g.Jobs {
		if p.deaf.Load() {
			p.missed.Add(1)
			continue
		}
		a := wire.Attempt{Job: j.Job, Attempt: j.Attempt}
		if slices.Contains(p.held, a) {
			continue // handed over again after a reconnect, as the contract has it
		}
		p.held = append(p.held, a)
		select {
		case p.granted <- j:
		default:
		}
	}
}

func (p *puppet) Stop(list []wire.Attempt) { p.stops.Add(int32(len(list))) }

func (p *puppet) Held() []wire.Attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]wire.Attempt(nil), p.held...)
}

func (p *puppet) Accepting() bool { return true }

func (p *puppet) ReadLog(context.Context, wire.ReadLog) (wire.LogChunk, error) {
	return wire.LogChunk{EOF: true}, nil
}

func (p *puppet) Connected(j wire.Joined, _ string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life = j
	p.joins.Add(1)
}

func (p *puppet) incarnation() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life.Incarnation
}

func (p *puppet) Disconnected(error) {}

// TestBeatStorm: a thousand workers, each with a job, lose their leader at once, twice. They all find the next one, and
// none is taken for lost: each has the job that it had, as the same attempt.
func TestBeatStorm(t *testing.T) {
	c := start(t, harness.Options{Workers: -1})
	cl := dial(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	puppets := make([]*puppet, stormWorkers)
	for i := range puppets {
		puppets[i] = joinPuppet(ctx, &running, cl, fmt.Sprint("p", i), "storm", uint64(i)+1)
	}
	jobs := make([]client.Job, stormWorkers)
	for i := range jobs {
		jobs[i] = client.Job{Name: fmt.Sprint("j", i), Handler: "hold", Queue: "storm"}
	}
	r, err := cl.Submit(ctx, client.Request{Name: "storm", Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	all(t, puppets, "every worker to hold a job", func(p *puppet) bool { return len(p.Held()) == 1 })
	for range 2 {
		before := make([]int32, len(puppets))
		for i, p := range puppets {
			before[i] = p.joins.Load()
		}
		old := c.Leader()
		old.Kill()
		harness.Until(t, harness.BoundDefault, "every worker to join the next leader", func() error {
			n := 0
			for i, p := range puppets {
				if p.joins.Load() > before[i] {
					n++
				}
			}
			if n < len(puppets) {
				return fmt.Errorf("%d of %d have", n, len(puppets))
			}
			return nil
		})
		old.Restart(t)
		healthy(t, c)
	}
	for i, p := range puppets {
		if got := p.Held(); len(got) != 1 || got[0].Attempt != 1 || p.stops.Load() != 0 || p.incarnation() != 1 {
			t.Errorf("worker %d holds %v, was told to stop %d jobs, is incarnation %d", i, got, p.stops.Load(), p.incarnation())
		}
	}
	for i, p := range puppets {
		running.Go(func() {
			held := p.Held()[0]
			codes, err := p.link.Report(ctx, []wire.JobReport{{Job: held.Job, Attempt: held.Attempt, Kind: wire.ReportStart},
				{Job: held.Job, Attempt: held.Attempt, Kind: wire.ReportDone}})
			if err != nil || codes[0] != wire.CodeOK || codes[1] != wire.CodeOK {
				t.Errorf("worker %d reports: %v, %v", i, codes, err)
			}
			p.mu.Lock()
			p.held = nil
			p.mu.Unlock()
		})
	}
	if end, err := cl.Wait(ctx, r.ID); err != nil || end.State != wire.Done {
		t.Errorf("the request is %v, %v", end.State, err)
	}
	for _, n := range c.Coordinators() {
		for _, j := range c.Jobs(r.ID.String())[:1] {
			checkEnds(t, c, j)
		}
		if text := n.Log(); lostLines(text) != 0 {
			t.Errorf("%s took %d workers for lost", n.Name(), lostLines(text))
		}
	}
	c.CheckHashes()
}

// all waits until cond holds of every puppet.
func all(t *testing.T, puppets []*puppet, what string, cond func(*puppet) bool) {
	t.Helper()
	harness.Until(t, harness.BoundDefault, what, func() error {
		n := 0
		for _, p := range puppets {
			if cond(p) {
				n++
			}
		}
		if n < len(puppets) {
			return fmt.Errorf("%d of %d", n, len(puppets))
		}
		return nil
	})
}

// TestGrantLost: what a leader hands to a worker does not arrive, by RPC as by HTTP. The worker is handed it again, as
// the same attempt; and when the worker has gone, another one gets it.
func TestGrantLost(t *testing.T) {
	c := start(t, harness.Options{Workers: -1})
	t.Run("pushed by RPC", func(t *testing.T) {
		c, cl := c.On(t), dial(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		t.Cleanup(func() { cancel(); running.Wait() })
		p := joinPuppet(ctx, &running, cl, "deaf", "rpc", 1)
		p.deaf.Store(true)
		all(t, []*puppet{p}, "the worker to join", func(p *puppet) bool { return p.joins.Load() > 0 })
		r := c.Submit(named(t, "rpc", object{"name": "a", "handler": "x", "queue": "rpc"}))
		all(t, []*puppet{p}, "a grant to be lost, and another", func(p *puppet) bool { return p.missed.Load() > 1 })
		p.deaf.Store(false)
		j := <-p.granted
		if j.Attempt != 1 {
			t.Errorf("it was handed attempt %d", j.Attempt)
		}
		if codes, err := p.link.Report(ctx, []wire.JobReport{{Job: j.Job, Attempt: 1, Kind: wire.ReportDone}}); err != nil || codes[0] != wire.CodeOK {
			t.Errorf("report: %v, %v", codes, err)
		}
		c.WaitRequest(r.ID, "done")
		checkEnds(t, c, c.JobNamed(r.ID, "a"))
	})
	t.Run("answered over HTTP", func(t *testing.T) { httpGrantLost(t, c.On(t)) })
}
