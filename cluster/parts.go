package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/config"
)

// Parts is what a Coordinator stands on: its stores, its clock and its ways to the others. New makes them of a data
// directory and of sockets; Assemble takes any.
type Parts struct {
	Node      string // its id
	ClusterID string
	Members   []Peer // by id and RPC address: the first of the cluster, entered while there is no Raft state

	RPC       net.Listener // its address is what the others dial
	Dial      func(ctx context.Context, address string) (net.Conn, error)
	Transport Transport // of Raft
	Log       raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore

	Disk  func() (free, total uint64, err error)
	Wall  func() time.Time
	Fatal func(reason string) // there is no going on; it may return

	PartJobs, PartBytes int // bound a part of a large request; 0: as usual
}

// Assemble makes a Coordinator of parts, without HTTP, gossip and a directory. Run must follow.
func Assemble(cfg config.Coordinator, p Parts, log hclog.Logger, version string) (*Coordinator, error) {
	c := &Coordinator{cfg: cfg, log: log, version: version, started: time.Now(), wall: p.Wall, metrics: newMetrics(), book: newAddressBook(), fatal: p.Fatal}
	c.parts = partSize{cmp.Or(p.PartJobs, partJobsMax), cmp.Or(p.PartBytes, partBytesMax)}
	c.dir = &dataDir{id: identity{Node: p.Node, Cluster: cfg.Cluster, ClusterID: p.ClusterID}, formedOnce: make(chan struct{})}
	close(c.dir.formedOnce)
	c.disk = &diskSpace{log: log.Named("disk"), stat: func(string) (uint64, uint64, error) { return p.Disk() }}
	if err := c.disk.look(); err != nil {
		return nil, err
	}
	c.memory = &memoryWatch{log: log} // there is no limit
	c.addresses.RPC = p.RPC.Addr().String()
	c.mux = newMux(p.RPC, log.Named("mux"))
	c.applier = newApplier(log.Named("fsm"), p.Fatal, c.metrics.applied)
	st, err := p.stores(cfg.Raft, log.Named("raft"))
	if err != nil {
		return nil, err
	}
	if c.node, err = startNode(cfg.Raft, raft.ServerID(p.Node), c.applier, st, p.Transport, log.Named("raft")); err != nil {
		return nil, fmt.Errorf("start raft: %w", err)
	}
	var members []member
	for _, m := range p.Members {
		members = append(members, member{ID: m.ID, RPC: m.RPC})
		if m.ID != p.Node {
			c.book.heardOf(members[len(members)-1])
		}
	}
	if err := c.node.bootstrap(members); err != nil && !errors.Is(err, errAlreadyFormed) {
		return nil, errors.Join(err, c.node.close(context.Background()))
	}
	c.peers = newPeering(c.cfg, c.dir, c.addresses.RPC, "", c.book, nil, c.describe, log.Named("peers"))
	c.peers.dial, c.peers.wall = p.Dial, p.Wall
	c.peers.follow = c.node.leader
	c.mux.handle(kindPeer, c.peers.serve)
	return c, nil
}

// stores are the parts' as openStores makes them of files: with checksums, a watch over each write, and a cache.
func (p Parts) stores(cfg config.Raft, log hclog.Logger) (*stores, error) {
	s := new(stores)
	s.log = newLogStore(p.Log, s.guard("log", cfg, p.Fatal))
	s.stable = &stableStore{p.Stable, s.guard("stable store", cfg, p.Fatal)}
	if err := s.cacheLog(cfg); err != nil {
		return nil, err
	}
	if err := s.keepSnapshots(p.Snapshots, cfg, log, p.Fatal); err != nil {
		return nil, err
	}
	list, err := s.snapshots.List()
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	if len(list) > 0 {
		if err := dropStaleLog(*list[0], s.log, log); err != nil {
			return nil, err
		}
	}
	s.quiet(false)
	return s, nil
}
