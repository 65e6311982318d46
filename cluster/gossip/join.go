package gossip

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// join reaches for the seeds until one answers, and again from time to time for as long as the node runs.
func (g *Gossip) join(ctx context.Context) {
	retry := joinRetryMin
	for {
		wait := rejoinInterval
		if g.joinOnce(ctx) == 0 && len(g.state.members()) < 2 {
			wait, retry = retry, min(2*retry, joinRetryMax)
		} else {
			retry = joinRetryMin
		}
		// Jitter keeps a thousand workers that lost one seed from coming back to it at once.
		t := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-g.reseed:
			t.Stop()
		case <-t.C:
		}
	}
}

// Seed adds a seed that was learned otherwise, and reaches for it now. It is forgotten with the next one when there are
// too many.
func (g *Gossip) Seed(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.learned, address) {
		if len(g.learned) == seedsMax {
			g.learned = g.learned[1:]
		}
		g.learned = append(g.learned, address)
	}
	signal(g.reseed)
}

// seeds is where to reach for others.
func (g *Gossip) seeds() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Concat(g.cfg.Seeds, g.learned)
}

// joinOnce exchanges state with every seed, at the same time: one that does not answer must not hold up the others.
func (g *Gossip) joinOnce(ctx context.Context) int {
	var mu sync.Mutex
	var joined int
	var all sync.WaitGroup
	for _, seed := range g.seeds() {
		all.Go(func() {
			n := g.joinSeed(ctx, seed)
			mu.Lock()
			defer mu.Unlock()
			joined += n
		})
	}
	all.Wait()
	return joined
}

func (g *Gossip) joinSeed(ctx context.Context, seed string) int {
	host, port, err := splitHostPort(seed)
	if err != nil {
		g.log.Warn("seed is not host:port", "seed", seed, "error", err)
		return 0
	}
	look, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	ips, err := lookup(look, host)
	if err != nil {
		g.log.Debug("look up seed", "seed", seed, "error", err)
		return 0
	}
	self := g.Addr()
	joined := 0
	for _, ip := range ips {
		address := net.JoinHostPort(ip.String(), strconv.Itoa(port))
		if address == self || ctx.Err() != nil {
			continue
		}
		n, err := g.list.Join([]string{address})
		if err != nil {
			g.log.Debug("join seed", "seed", seed, "error", err)
		}
		joined += n
	}
	return joined
}

// republish sends a changed Meta around.
func (g *Gossip) republish(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.publish:
			if err := g.list.UpdateNode(publishTimeout); err != nil {
				g.log.Debug("publish", "error", err)
			}
		}
	}
}
