package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Taking coordinators in is the leader's work. A newcomer becomes a non-voter, and a voter once it has kept up for a while,
// so that it never weakens the quorum while it catches up. A server that comes back at another address is entered there. No
// server is ever removed here: whether a dead one comes back, only a person knows.
const (
	serversMax      = 9 // voters and non-voters: each more makes a commit slower
	membershipEvery = 500 * time.Millisecond
	promoteAfter    = 3                // looks in a row at which it had kept up
	promoteLag      = uint64(16)       // entries that it may be behind
	changeTimeout   = 10 * time.Second // of one change of Raft's configuration
)

// membership is the leader's keeping of Raft's configuration.
type membership struct {
	peers  *peering
	dir    *dataDir
	node   *node
	log    hclog.Logger
	steady map[raft.ServerID]int  // looks in a row at which a non-voter had kept up
	lost   map[raft.ServerID]bool // said that its place is taken
	full   bool                   // said that there is no more room
}

func newMembership(peers *peering, dir *dataDir, n *node, log hclog.Logger) *membership {
	return &membership{peers: peers, dir: dir, node: n, log: log, steady: make(map[raft.ServerID]int), lost: make(map[raft.ServerID]bool)}
}

// run takes in, promotes and re-addresses coordinators until ctx ends. Run it while this node is the established leader.
func (m *membership) run(ctx context.Context) error {
	for sleep(ctx, membershipEvery) {
		if err := m.step(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, raft.ErrNotLeader) && !errors.Is(err, raft.ErrLeadershipLost) {
			m.log.Warn("keep the cluster's membership", "error", err)
		}
	}
	return nil
}

// step makes at most one change.
func (m *membership) step(ctx context.Context) error {
	f := m.node.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return err
	}
	servers := f.Configuration().Servers
	known := make(map[string]bool, len(servers))
	for _, s := range servers {
		known[string(s.ID)] = true
		if changed, err := m.review(ctx, s, f.Index()); changed || err != nil {
			return err
		}
	}
	for _, c := range m.peers.book.list() {
		if !known[c.ID] && m.wants(c) {
			return m.takeIn(ctx, c, len(servers), f.Index())
		}
	}
	return nil
}

// review looks after one server of the configuration.
func (m *membership) review(ctx context.Context, s raft.Server, index uint64) (changed bool, err error) {
	if s.ID == m.node.id {
		if addressOf(s) == m.peers.rpc {
			return false, nil
		}
		return true, m.enter(s.ID, m.peers.rpc, s.Suffrage, index, "address changed")
	}
	c, ok := m.peers.book.find(string(s.ID))
	if !ok || !c.answering(time.Now()) {
		delete(m.steady, s.ID)
		m.sayLost(s)
		return false, nil
	}
	if c.RPC != addressOf(s) {
		return true, m.enter(s.ID, c.RPC, s.Suffrage, index, "address changed")
	}
	if s.Suffrage == raft.Voter || !m.keptUp(ctx, c) {
		return false, nil
	}
	return true, m.enter(s.ID, c.RPC, raft.Voter, index, "promoted")
}

// sayLost tells, once, of a server whose place another node has taken: most likely its data was lost.
func (m *membership) sayLost(s raft.Server) {
	now := time.Now()
	for _, c := range m.peers.book.list() {
		if c.ID != string(s.ID) && c.RPC == addressOf(s) && c.answering(now) && !m.lost[s.ID] {
			m.lost[s.ID] = true
			m.log.Warn("a coordinator does not answer and another has its address; if its data is lost, remove it, since it "+
				"counts for the majority (muster operator raft remove)", "node", s.ID, "at", c.RPC, "now_there", c.ID)
		}
	}
}

// keptUp asks a non-voter how far its log is, and says whether it was far enough several times in a row.
func (m *membership) keptUp(ctx context.Context, c contact) bool {
	id, goal := raft.ServerID(c.ID), m.node.raft.LastIndex()
	answer, err := m.peers.ask(ctx, c.RPC, peerRequest{Verb: verbExchange, To: c.ID})
	if err != nil || answer.Info.ClusterID != m.dir.identity().ClusterID || answer.Info.LastIndex+promoteLag < goal {
		delete(m.steady, id)
		return false
	}
	m.steady[id]++
	if m.steady[id] < promoteAfter {
		return false
	}
	delete(m.steady, id)
	return true
}

// wants says whether a node asks to be taken in: it answers, and belongs to no cluster. One that has this cluster's id but is
// not in the configuration was removed, and stays out until its data directory is new.
func (m *membership) wants(c contact) bool {
	return c.answering(time.Now()) && c.Cluster == m.dir.identity().Cluster && c.ClusterID == "" && c.Promise == ""
}

func (m *membership) takeIn(ctx context.Context, c contact, servers int, index uint64) error {
	if servers >= serversMax {
		if !m.full {
			m.full = true
			m.log.Warn("a coordinator is not taken in: there are enough; remove one first (muster operator raft remove)",
				"node", c.ID, "at", c.RPC, "coordinators", servers)
		}
		return nil
	}
	m.full = false
	answer, err := m.peers.ask(ctx, c.RPC, peerRequest{Verb: verbExchange, To: c.ID})
	if err != nil {
		return fmt.Errorf("take in %s: %w", c.ID, err)
	}
	if answer.Info.ClusterID != "" || answer.Info.Promise != "" {
		return nil
	}
	return m.enter(raft.ServerID(c.ID), answer.Info.RPC, raft.Nonvoter, index, "taken in")
}

// enter changes the configuration, if nobody else did meanwhile.
func (m *membership) enter(id raft.ServerID, address string, suffrage raft.ServerSuffrage, index uint64, what string) error {
	at := route(id, raft.ServerAddress(address))
	var f raft.IndexFuture
	if suffrage == raft.Voter {
		f = m.node.raft.AddVoter(id, at, index, changeTimeout)
	} else {
		f = m.node.raft.AddNonvoter(id, at, index, changeTimeout)
	}
	if err := f.Error(); err != nil {
		return fmt.Errorf("enter %s at %s: %w", id, address, err)
	}
	m.log.Info("coordinator "+what, "node", id, "at", address, "suffrage", suffrage)
	return nil
}
