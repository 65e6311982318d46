package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

const (
	// settleMin and settleMax bound the undisturbed load between two kills.
	settleMin = 500 * time.Millisecond
	settleMax = 1500 * time.Millisecond
	// killEvery is between two kills of the leader while throughput is measured.
	killEvery = 2 * time.Second
)

// failovers is how long after the leader's end each step came.
type failovers struct {
	First    distribution `json:"first_pick_ms"` // of any probe
	All      distribution `json:"last_pick_ms"`  // until every probe was granted a job
	Attached distribution `json:"attached_ms"`   // first probe taken in by the new leader
	Lost     distribution `json:"noticed_ms"`    // first probe noticed
	Terms    uint64       `json:"terms"`         // spent; one for each is the least
}

// killLeaders ends leader after leader under load.
func killLeaders(tb harness.TB, c *harness.Cluster, l *load, probes []*probe, o options) *failovers {
	var first, all, attached, noticed []time.Duration
	before := termOf(tb, c)
	for n := range o.kills {
		leader := c.Leader()
		at := time.Now()
		if o.silent {
			leader.Pause()
		} else {
			leader.Kill()
		}
		var picks, joins, losses []time.Duration
		harness.Until(tb, harness.BoundDefault, "every probe to be granted a job by the next leader", func() error {
			picks, joins, losses = nil, nil, nil
			for _, p := range probes {
				lost, attached, picked, ok := p.after(at)
				if !ok {
					return fmt.Errorf("lost %v attached %v", lost, attached)
				}
				picks, joins, losses = append(picks, picked.Sub(at)), append(joins, attached.Sub(at)), append(losses, lost.Sub(at))
			}
			return nil
		})
		first, all = append(first, slices.Min(picks)), append(all, slices.Max(picks))
		attached, noticed = append(attached, slices.Min(joins)), append(noticed, slices.Min(losses))
		tb.Logf("kill %d of %s: noticed %v, attached %v, first pick %v, last %v", n+1, leader.Name(), slices.Min(losses), slices.Min(joins), slices.Min(picks), slices.Max(picks))
		if o.silent {
			leader.Resume()
		} else {
			leader.Restart(tb)
		}
		awaitWhole(tb, c)
		pass(tb.Context(), settleMin+rand.N(settleMax-settleMin))
		l.await(tb, o.perRequest)
	}
	return &failovers{
		First: distributionOf(first), All: distributionOf(all), Attached: distributionOf(attached), Lost: distributionOf(noticed),
		Terms: termOf(tb, c) - before,
	}
}

// awaitWhole waits until every coordinator is alive and has applied what the leader had a moment ago.
func awaitWhole(tb harness.TB, c *harness.Cluster) {
	harness.Until(tb, harness.BoundDefault, "all coordinators to be up to date", func() error {
		leader, err := c.FindLeader()
		if err != nil {
			return err
		}
		of, err := leader.Status()
		if err != nil {
			return err
		}
		const behindMax = 256 // entries, of some hundreds a second
		for _, n := range c.Coordinators() {
			s, err := n.Status()
			if err != nil {
				return err
			}
			if s.Raft.Applied+behindMax < of.Raft.Applied || s.Leader == nil || s.Leader.ID != of.Node {
				return fmt.Errorf("%s has applied %d of %d", n.Name(), s.Raft.Applied, of.Raft.Applied)
			}
		}
		return nil
	})
}

func termOf(tb harness.TB, c *harness.Cluster) (term uint64) {
	harness.Until(tb, harness.BoundDefault, "a term", func() error {
		leader, err := c.FindLeader()
		if err != nil {
			return err
		}
		s, err := leader.Status()
		term = s.Raft.Term
		return err
	})
	return term
}

// throughput compares load with the leader killed every 2 s with load that is left alone, in turns.
type throughput struct {
	Undisturbed []float64 `json:"undisturbed_jobs_per_second"`
	Killed      []float64 `json:"killed_jobs_per_second"`
	Kills       int       `json:"kills"`
	Share       float64   `json:"share"` // of all killed spells in all undisturbed
}

func compare(tb harness.TB, c *harness.Cluster, l *load, o options) *throughput {
	t := new(throughput)
	var alone, killed float64
	for range o.pairs {
		awaitWhole(tb, c)
		rate := l.spell(tb, o.spell, nil)
		t.Undisturbed, alone = append(t.Undisturbed, rate), alone+rate
		rate = l.spell(tb, o.spell, func(ctx context.Context) { t.Kills += keepKilling(ctx, tb, c) })
		t.Killed, killed = append(t.Killed, rate), killed+rate
		tb.Logf("undisturbed %.0f jobs/s, killed every %v %.0f jobs/s", t.Undisturbed[len(t.Undisturbed)-1], killEvery, rate)
	}
	t.Share = killed / alone
	return t
}

// spell is how many jobs a second are done meanwhile.
func (l *load) spell(tb harness.TB, d time.Duration, meanwhile func(context.Context)) float64 {
	ctx, cancel := context.WithTimeout(tb.Context(), d)
	defer cancel()
	var other sync.WaitGroup
	if meanwhile != nil {
		other.Go(func() { meanwhile(ctx) })
	}
	begun, before := time.Now(), l.done.Load()
	<-ctx.Done()
	rate := float64(l.done.Load()-before) / time.Since(begun).Seconds()
	other.Wait()
	return float64(int(rate))
}

// keepKilling kills whoever leads every 2 s, and starts it again at once.
func keepKilling(ctx context.Context, tb harness.TB, c *harness.Cluster) (kills int) {
	tick := time.NewTicker(killEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return kills
		}
		leader, err := c.FindLeader()
		if err != nil {
			tb.Logf("no leader to kill: %v", err)
			continue
		}
		kills++
		leader.Restart(tb)
	}
}

// pass lets time go by: it is part of what is measured.
func pass(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
