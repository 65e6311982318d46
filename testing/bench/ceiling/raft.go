package ceiling

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/peer"
	"github.com/musterhq/muster/testing/bench/result"
)

// Raft is hashicorp/raft with nothing on top: three nodes in one process, over TCP, with fsync.
type Raft struct{ LogStore string }

// About describes it.
func (r Raft) About(context.Context) result.Subject {
	return result.Subject{
		Title: "bare hashicorp/raft, raft-" + r.LogStore, Kind: result.Ceiling, Replicated: true, Durable: true,
		Settings: "three nodes in one process, over TCP on loopback, the settings of muster's; 100 B one after the other, 256 KiB with two in flight",
	}
}

// Missing says that it is always there.
func (Raft) Missing() error { return nil }

// nothing is a state machine without state.
type nothing struct{}

func (nothing) Apply(*raft.Log) any                 { return nil }
func (nothing) Snapshot() (raft.FSMSnapshot, error) { return nil, raft.ErrNothingNewToSnapshot }
func (nothing) Restore(r io.ReadCloser) error       { return r.Close() }

// Measure does one round.
func (r Raft) Measure(ctx context.Context, e *peer.Env) (samples []result.Sample, err error) {
	ports, err := child.FreePorts(3)
	if err != nil {
		return nil, err
	}
	var addrs []string
	for _, p := range ports {
		addrs = append(addrs, child.Loopback(p))
	}
	var nodes []*node
	for i, a := range addrs {
		n, err := openNode(nodeID(i), a, e.Path("raft"), r.LogStore, nothing{})
		if err != nil {
			return nil, err
		}
		defer n.close()
		nodes = append(nodes, n)
	}
	if err := nodes[0].raft.BootstrapCluster(servers(addrs)).Error(); err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	var leader *raft.Raft
	if err := e.Group.Await(ctx, "a leader", func(context.Context) error {
		for _, n := range nodes {
			if n.raft.State() == raft.Leader {
				leader = n.raft
				return nil
			}
		}
		return raft.ErrNotLeader
	}); err != nil {
		return nil, err
	}
	small := make([]byte, 100)
	s, err := oneByOne(ctx, "100 B", e.Count(2000), func() error { return leader.Apply(small, 0).Error() })
	if err != nil {
		return nil, err
	}
	samples = append(samples, s)
	large, err := pipelined(leader, e.Count(400))
	return append(samples, large), err
}

// pipelined applies n entries of the largest size, two in flight.
func pipelined(leader *raft.Raft, n int) (result.Sample, error) {
	data := make([]byte, entryBytes)
	var flying []raft.ApplyFuture
	start := time.Now()
	for range n {
		if len(flying) == inFlight {
			if err := flying[0].Error(); err != nil {
				return result.Sample{}, err
			}
			flying = flying[1:]
		}
		flying = append(flying, leader.Apply(data, 0))
	}
	for _, f := range flying {
		if err := f.Error(); err != nil {
			return result.Sample{}, err
		}
	}
	s := result.Rate("256 KiB", n, time.Since(start))
	s.Extra = map[string]float64{"mib_per_second": s.PerSecond * entryBytes / (1 << 20)}
	return s, nil
}
