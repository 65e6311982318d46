package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/testing/harness"
)

// loadQueue is the queue of the load. Workers that are to be lost serve another.
const loadQueue = "load"

// reportPause is between two tries to report.
const reportPause = 10 * time.Millisecond

// probe is a worker in this process that does nothing with its jobs but note when each was granted.
type probe struct {
	link *client.Link

	mu       sync.Mutex // guards what is below
	held     map[wire.Attempt]bool
	ended    []wire.JobReport // to be reported
	wake     chan struct{}    // of capacity 1: there is something to report
	lost     time.Time        // when the leader was lost last
	attached time.Time        // when the next one took the probe in
	picked   time.Time        // first new grant of the leader after that; zero: none yet
}

// startProbes starts the workers of this process.
func startProbes(tb harness.TB, c *harness.Cluster, o options) []*probe {
	var all []*probe
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	tb.Cleanup(func() {
		cancel()
		running.Wait()
	})
	for i := range o.probes {
		cl := newClient(c, fmt.Sprint("probe-", i))
		tb.Cleanup(cl.Close)
		p := &probe{held: make(map[wire.Attempt]bool), wake: make(chan struct{}, 1)}
		p.link = cl.WorkerLink(wire.Join{
			Name: fmt.Sprint("probe-", i), Identity: fmt.Sprint("probe-", i), Process: rand.Uint64(), Queues: []string{loadQueue}, Slots: uint32(o.slots),
		}, p)
		running.Go(func() {
			if err := p.link.Run(ctx); err != nil {
				tb.Errorf("probe: %v", err)
			}
		})
		running.Go(func() { p.reportAll(ctx) })
		all = append(all, p)
	}
	return all
}

// newClient is a client that knows where every coordinator of c is.
func newClient(c *harness.Cluster, name string) *client.Client {
	var rpc []string
	for _, n := range c.Coordinators() {
		rpc = append(rpc, n.Addresses().RPC)
	}
	return client.New(client.Config{Coordinators: rpc, Name: name})
}

// reportAll reports jobs as started and done, many at a time, until ctx ends.
func (p *probe) reportAll(ctx context.Context) {
	for {
		select {
		case <-p.wake:
		case <-ctx.Done():
			return
		}
		p.mu.Lock()
		list := p.ended
		p.ended = nil
		p.mu.Unlock()
		for len(list) > 0 && ctx.Err() == nil {
			if _, err := p.link.Report(ctx, list); err != nil {
				select {
				case <-time.After(reportPause):
				case <-ctx.Done():
				}
				continue
			}
			p.mu.Lock()
			for _, r := range list {
				delete(p.held, wire.Attempt{Job: r.Job, Attempt: r.Attempt})
			}
			p.mu.Unlock()
			list = nil
		}
	}
}

// Granted implements client.WorkerHandler.
func (p *probe) Granted(g wire.Granted) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range g.Jobs {
		id := wire.Attempt{Job: a.Job, Attempt: a.Attempt}
		if p.held[id] {
			continue
		}
		p.held[id] = true
		if p.picked.IsZero() && !p.lost.IsZero() {
			p.picked = now
		}
		p.ended = append(p.ended, wire.JobReport{Job: a.Job, Attempt: a.Attempt, Kind: wire.ReportDone})
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Held implements client.WorkerHandler.
func (p *probe) Held() []wire.Attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]wire.Attempt, 0, len(p.held))
	for a := range p.held {
		list = append(list, a)
	}
	return list
}

// Stop implements client.WorkerHandler.
func (p *probe) Stop(attempts []wire.Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range attempts {
		delete(p.held, a)
	}
}

// Accepting implements client.WorkerHandler.
func (p *probe) Accepting() bool { return true }

// ReadLog implements client.WorkerHandler.
func (p *probe) ReadLog(context.Context, wire.ReadLog) (wire.LogChunk, error) {
	return wire.LogChunk{EOF: true}, nil
}

// Connected implements client.WorkerHandler.
func (p *probe) Connected(wire.Joined, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attached = time.Now()
}

// Disconnected implements client.WorkerHandler.
func (p *probe) Disconnected(error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost, p.picked, p.attached = time.Now(), time.Time{}, time.Time{}
}

// after is when the probe lost the leader that was killed at t, was attached to the next, and was granted a job by it; false
// while it was not.
func (p *probe) after(t time.Time) (lost, attached, picked time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost, p.attached, p.picked, p.lost.After(t) && !p.picked.IsZero() && !p.attached.IsZero()
}
