package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/config"
)

// How Raft is run, beyond what the configuration says.
const (
	commitTimeout    = 25 * time.Millisecond // how soon idle followers hear of a commit
	maxAppendEntries = 32                    // entries of one append: at their target size 8 MiB
	raftNever        = 24 * time.Hour        // between Raft's own looks at its snapshot threshold: we count bytes
	raftNoThreshold  = 1 << 62
	snapshotLook     = time.Second
	snapshotRetry    = 15 * time.Second // after one that failed
)

// errAlreadyFormed is returned by bootstrap on a node that has any Raft state.
var errAlreadyFormed = errors.New("this node has Raft state already")

// node is a running Raft node with its stores. Close ends it.
type node struct {
	raft      *raft.Raft
	id        raft.ServerID
	stores    *stores
	transport Transport
	cfg       config.Raft
	log       hclog.Logger
	compacted int64 // of appendedBytes at the last snapshot; owned by snapshotLoop
	done      sync.WaitGroup
}

// openNode opens the stores in dir, checks them, and starts Raft. The layer is closed with the node.
func openNode(cfg config.Coordinator, dir *dataDir, fsm raft.FSM, layer raft.StreamLayer, book *addressBook, log hclog.Logger, fatal fatalFunc) (*node, error) {
	raftLog := log.Named("raft")
	st, err := openStores(cfg.Raft, dir, raftLog, fatal)
	if err != nil {
		return nil, err
	}
	if err := checkFormed(dir, st); err != nil {
		return nil, errors.Join(err, st.close())
	}
	n, err := startNode(cfg.Raft, raft.ServerID(dir.identity().Node), fsm, st, newTransport(layer, book, cfg.Raft.TransportWait, raftLog.Named("net")), raftLog)
	if err != nil {
		return nil, fmt.Errorf("start raft in %s: %w", dir.path, err)
	}
	return n, nil
}

// startNode starts Raft on its stores, and closes them and the transport when it cannot.
func startNode(cfg config.Raft, id raft.ServerID, fsm raft.FSM, st *stores, t Transport, log hclog.Logger) (_ *node, err error) {
	t = newSettledTransport(t, st.newest)
	n := &node{id: id, stores: st, cfg: cfg, log: log, compacted: -st.replay, transport: t}
	if n.raft, err = raft.NewRaft(raftConfig(cfg, id, log), fsm, st.cache, st.stable, st.snapshots, sureTransport{t, cfg.Election}); err != nil {
		err = errors.Join(err, t.Close(), st.close())
		t.CloseStreams()
		return nil, err
	}
	if n.soleVoter() {
		n.campaign() // nobody else could be elected: why wait
	}
	return n, nil
}

func raftConfig(cfg config.Raft, id raft.ServerID, log hclog.Logger) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = id
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = cfg.Heartbeat, cfg.Election, cfg.Lease
	c.CommitTimeout = commitTimeout
	c.MaxAppendEntries = maxAppendEntries
	c.BatchApplyCh = true
	c.TrailingLogs = cfg.TrailingLogs
	c.SnapshotInterval, c.SnapshotThreshold = raftNever, raftNoThreshold
	c.ShutdownOnRemove = false // a removed node stays up and says so
	c.NoLegacyTelemetry = true
	c.Logger = log
	return c
}

// checkFormed settles what a crash in the midst of formation left: whoever has Raft state belongs to a cluster. Members
// learn its id before they take a word of Raft; the one that proposed it bootstraps first, on its own promise.
func checkFormed(dir *dataDir, st *stores) error {
	has, err := raft.HasExistingState(st.cache, st.stable, st.snapshots)
	if err != nil {
		return fmt.Errorf("look for raft state in %s: %w", dir.path, err)
	}
	id := dir.identity()
	if !has || id.ClusterID != "" {
		return nil
	}
	if p := id.Promise; p != nil && p.Proposer.ID == id.Node {
		return dir.form(p.ClusterID)
	}
	return fmt.Errorf("%s names no cluster but there is raft state beside it: restore the file, or %s", dir.file(identityFile), rejoin)
}

// bootstrap makes this node the first of a cluster of these members.
func (n *node) bootstrap(members []member) error {
	var c raft.Configuration
	for _, m := range members {
		c.Servers = append(c.Servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(m.ID), Address: route(raft.ServerID(m.ID), raft.ServerAddress(m.RPC))})
	}
	err := n.raft.BootstrapCluster(c).Error()
	if errors.Is(err, raft.ErrCantBootstrap) {
		return errAlreadyFormed
	}
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return nil
}

// campaign stands for election now instead of after the heartbeat time-out. It is right where no leader can be: just after
// bootstrap, on the only voter, and when the leader's process has ended.
func (n *node) campaign() {
	addr := n.transport.LocalAddr()
	req := raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(n.id), Addr: n.transport.EncodePeer(n.id, addr),
	}}
	// A message to itself over the network: Raft has no call for it.
	n.done.Go(func() {
		if err := n.transport.TimeoutNow(n.id, addr, &req, new(raft.TimeoutNowResponse)); err != nil {
			n.log.Debug("stand for election", "error", err)
		}
	})
}

// follows is the leader that this node follows.
func (n *node) follows() reign {
	if n.raft.State() != raft.Follower {
		return reign{}
	}
	leader := n.leader()
	if leader == "" {
		return reign{}
	}
	return reign{leader, n.raft.CurrentTerm()}
}

// leader is whom this node takes for the leader, itself perhaps; empty: nobody.
func (n *node) leader() string {
	_, id := n.raft.LeaderWithID()
	return string(id)
}

// leaderChanges tells when there is another leader, or none, or this node has become one or a candidate.
func (n *node) leaderChanges() (<-chan struct{}, func()) {
	changed := make(chan struct{}, 1) // one that waits tells as much as many
	o := raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			select {
			case changed <- struct{}{}:
			default:
			}
		}
		return false
	})
	n.raft.RegisterObserver(o)
	return changed, func() { n.raft.DeregisterObserver(o) }
}

// voters are the ids of all who have a vote.
func (n *node) voters() []string {
	var ids []string
	for _, id := range voterIDs(n.raft.GetConfiguration().Configuration()) {
		ids = append(ids, string(id))
	}
	return ids
}

func (n *node) soleVoter() bool {
	voters := voterIDs(n.raft.GetConfiguration().Configuration())
	return len(voters) == 1 && voters[0] == n.id
}

// addressOf is where the configuration says that a server is.
func addressOf(s raft.Server) string {
	_, address := splitRoute(s.Address)
	return address
}

func voterIDs(c raft.Configuration) []raft.ServerID {
	var ids []raft.ServerID
	for _, s := range c.Servers {
		if s.Suffrage == raft.Voter {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// apply proposes an entry. The future's errors: see raft.Apply; after ErrLeadershipLost, ErrRaftShutdown or an abort the
// outcome is unknown.
func (n *node) apply(data []byte, timeout time.Duration) raft.ApplyFuture {
	return n.raft.Apply(data, timeout)
}

// describe adds what Raft knows to what this node says about itself.
func (n *node) describe(i *nodeInfo) {
	i.Term, i.Leader, i.LastIndex = n.raft.CurrentTerm(), n.raft.State() == raft.Leader, n.raft.LastIndex()
}

// snapshotLoop takes a snapshot whenever snapshot_bytes of log were appended since the last, until ctx ends.
func (n *node) snapshotLoop(ctx context.Context) error {
	wait := snapshotLook
	for sleep(ctx, wait) {
		wait = snapshotLook
		at := n.stores.log.appendedBytes()
		if n.cfg.SnapshotBytes <= 0 || at-n.compacted < n.cfg.SnapshotBytes {
			continue
		}
		err := n.raft.Snapshot().Error()
		switch {
		case err == nil, errors.Is(err, raft.ErrNothingNewToSnapshot):
			n.compacted = at
		case errors.Is(err, raft.ErrRaftShutdown):
			return nil
		default:
			n.log.Warn("cannot take a snapshot", "error", err)
			wait = snapshotRetry
		}
	}
	return nil
}

// close hands leadership over when it can, ends Raft and closes the stores. When ctx ends first the stores stay open: Raft
// may still be writing.
func (n *node) close(ctx context.Context) error {
	if n.raft.State() == raft.Leader && len(voterIDs(n.raft.GetConfiguration().Configuration())) > 1 {
		n.transfer(ctx)
	}
	n.transport.EndWaits()
	ended := make(chan error, 1)
	go func() { ended <- n.raft.Shutdown().Error() }()
	select {
	case err := <-ended:
		n.transport.CloseStreams()
		n.done.Wait()
		return errors.Join(err, n.stores.close())
	case <-ctx.Done():
		return fmt.Errorf("raft does not end: %w", ctx.Err())
	}
}
