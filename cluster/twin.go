package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Twins
//
// A data directory that was copied makes two processes of one identity. Both would vote, and acknowledge entries, under one
// name: a term could have two leaders. The lock on a directory does not help, since there are two. So
//
//   - a process that starts elsewhere than Raft's configuration says asks, before others can reach it, whether its node runs
//     there, and those of the configuration whether they know it somewhere else;
//   - one that runs hears from the others where they find its node;
//   - nobody takes a node's new address for its own while it still answers at the old one.
//
// Of two that find each other the one that started later ends, and says why. A copy that can reach neither the original nor
// anybody who knows it is not noticed.

// seek asks at start-up whether this node runs elsewhere, when it is not where Raft's configuration has it.
func (p *peering) seek(ctx context.Context, servers []raft.Server) error {
	own, moved := p.dir.identity().Node, false
	for _, s := range servers {
		moved = moved || string(s.ID) == own && addressOf(s) != p.rpc
	}
	if !moved {
		return nil
	}
	var all sync.WaitGroup
	for _, s := range servers {
		all.Go(func() {
			if string(s.ID) == own {
				p.meet(ctx, addressOf(s))
			} else {
				p.exchange(ctx, addressOf(s), string(s.ID))
			}
		})
	}
	all.Wait()
	if twin := p.twin.Load(); twin != nil {
		return *twin
	}
	return nil
}

// meet asks at an address where somebody has seen this node, which is of no interest unless it is another process.
func (p *peering) meet(ctx context.Context, address string) {
	if address == "" || address == p.rpc {
		return
	}
	own := p.dir.identity()
	answer, _ := p.ask(ctx, address, peerRequest{Verb: verbExchange, To: own.Node}) // a twin refuses, and says who it is
	other := answer.Info
	if other.ID != own.Node || other.ClusterID != own.ClusterID || other.Life == 0 || other.Life == p.life {
		return
	}
	up := time.Duration(other.Up) * time.Millisecond
	if time.Since(p.since) > up {
		p.sayTwin(other)
		return
	}
	err := fmt.Errorf("node %s of data directory %s runs already, at %s for %s: one of the two directories is a copy of the other, "+
		"and two of one identity would vote twice; move this one away and start again, so that the node joins anew", own.Node, p.dir.path, address, up.Round(time.Second))
	p.twin.CompareAndSwap(nil, &err)
}

// refuseTwin says to a caller that has this node's identity that it is here, unless it is this process.
func (p *peering) refuseTwin(from nodeInfo) error {
	if from.Life == p.life || from.Life == 0 {
		return nil
	}
	p.sayTwin(from)
	return fmt.Errorf("this is node %s, which the caller says it is", from.ID)
}

func (p *peering) sayTwin(other nodeInfo) {
	p.other.Do(func() {
		p.log.Warn("another process has this node's identity: its data directory is a copy; stop it", "at", other.RPC, "name", other.Name)
	})
}
