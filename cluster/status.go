package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/raft"
)

// Status is what a coordinator knows without asking anyone.
type Status struct {
	Cluster, ClusterID string
	Node               Peer
	Leader             Peer
	HasLeader          bool
	IsLeader           bool   // and ready to serve
	RaftState          string // Follower, Candidate, Leader
	Term               uint64
	Applied            uint64 // by the state machine
	Committed, LastLog uint64
	StateHash          uint64
	HashIndex          uint64
	LastContact        time.Duration // since the leader was heard; 0 on the leader; negative: never
	Servers            []Server
	Tolerates          int // how many more coordinators may fail
	Healthy            bool
	Problem            string // why it is not
	Started            time.Time
	Version            string
	QueueBytes         int64 // waiting to be committed
	DiskFree           uint64
}

// Server is a member of Raft's configuration.
type Server struct {
	ID, Name, RPC, HTTP  string
	Voter, Leader, Alive bool
	LastContact          time.Duration // since it last answered this node; negative: never
	Applied              uint64        // as it last said; 0: unknown
}

// Status describes this node and the cluster as it sees it.
func (t *Tasker) Status() Status {
	c := t.c
	h := c.applier.hash()
	s := Status{
		Cluster: c.cfg.Cluster, ClusterID: c.dir.identity().ClusterID, Node: c.self(), RaftState: c.node.raft.State().String(),
		Term: c.node.raft.CurrentTerm(), Applied: c.applier.index.Load(), Committed: c.node.raft.CommitIndex(),
		LastLog: c.node.raft.LastIndex(), StateHash: h.hash, HashIndex: h.index, LastContact: c.lastContact(),
		Started: c.started, Version: c.version, DiskFree: c.disk.freeBytes(),
	}
	s.Node.Term = s.Term
	s.Leader, s.HasLeader = c.leader()
	if l := c.leading.Load(); l != nil {
		s.IsLeader, s.LastContact = true, 0
		s.QueueBytes = l.committer.waiting()
	}
	s.Servers = t.Servers()
	s.Tolerates = tolerates(s.Servers)
	s.Problem = c.problem(s)
	s.Healthy = s.Problem == ""
	return s
}

// tolerates is how many more voters may fail before there is no majority.
func tolerates(servers []Server) int {
	voters, alive := 0, 0
	for _, s := range servers {
		if s.Voter {
			voters++
			if s.Alive {
				alive++
			}
		}
	}
	return max(alive-(voters/2+1), 0)
}

// problem says in a sentence what is wrong with this node, or nothing.
func (c *Coordinator) problem(s Status) string {
	if p := c.doubt.Load(); p != nil {
		return *p
	}
	switch {
	case s.ClusterID == "":
		return "not of a cluster yet: waiting for --bootstrap-expect coordinators or for one to join"
	case !s.HasLeader:
		return ErrNoLeader.Error()
	case c.disk.low():
		return ErrDiskFull.Error()
	case c.memory.low():
		return ErrMemoryFull.Error()
	case !s.IsLeader && s.Leader.ID == s.Node.ID:
		return "elected, and catching up"
	case !s.IsLeader && s.LastContact > time.Second:
		return fmt.Sprintf("nothing heard from the leader for %s", s.LastContact.Round(time.Millisecond))
	}
	return ""
}

// Servers is Raft's configuration with what this node knows of each member.
func (t *Tasker) Servers() []Server {
	c := t.c
	leader, _ := c.leader()
	var list []Server
	for _, s := range c.node.raft.GetConfiguration().Configuration().Servers {
		o := Server{ID: string(s.ID), RPC: addressOf(s), Voter: s.Suffrage == raft.Voter, Leader: string(s.ID) == leader.ID, LastContact: -1}
		if o.ID == c.self().ID {
			self := c.self()
			o.Name, o.RPC, o.HTTP = self.Name, self.RPC, self.HTTP
			o.Alive, o.LastContact, o.Applied = true, 0, c.applier.index.Load()
		} else if k, ok := c.book.find(o.ID); ok {
			o.Name, o.HTTP, o.Applied = k.Name, k.HTTP, k.Applied
			if k.RPC != "" {
				o.RPC = k.RPC
			}
			o.Alive = k.answering(time.Now())
			if !k.Answered.IsZero() {
				o.LastContact = time.Since(k.Answered)
			}
		}
		list = append(list, o)
	}
	return list
}

// self is this node as others see it.
func (c *Coordinator) self() Peer {
	return Peer{ID: c.dir.identity().Node, Name: c.cfg.Name, RPC: c.addresses.RPC, HTTP: c.addresses.HTTP}
}

// leader is the leader as far as this node knows.
func (c *Coordinator) leader() (Peer, bool) {
	_, id := c.node.raft.LeaderWithID()
	if id == "" {
		return Peer{}, false
	}
	p := c.self()
	if string(id) != p.ID {
		k, _ := c.book.find(string(id))
		p = Peer{ID: string(id), Name: k.Name, RPC: k.RPC, HTTP: k.HTTP}
	}
	p.Term = c.node.raft.CurrentTerm()
	return p, true
}

// lastContact is the time since the leader was heard; negative if it never was.
func (c *Coordinator) lastContact() time.Duration {
	if c.leading.Load() != nil {
		return 0
	}
	at := c.node.raft.LastContact()
	if at.IsZero() {
		return -1
	}
	return time.Since(at)
}

// operatorTimeout bounds a change of Raft's configuration.
const operatorTimeout = 10 * time.Second

// RemoveServer takes a coordinator, by id or name, out of Raft's configuration. It refuses when a majority of what
// remains would not be alive. Leader only.
func (t *Tasker) RemoveServer(_ context.Context, id string) error {
	if t.c.leading.Load() == nil {
		return t.notLeader()
	}
	target, err := t.server(id)
	if err != nil {
		return err
	}
	voters, alive := 0, 0
	for _, s := range t.Servers() {
		if s.Voter && s.ID != target.ID {
			voters++
			if s.Alive {
				alive++
			}
		}
	}
	if voters == 0 || alive < voters/2+1 {
		return fmt.Errorf("%w: without %s only %d of %d voters would be alive: start the others first", errUnsafe, target.Name, alive, voters)
	}
	if err := t.c.node.raft.RemoveServer(raft.ServerID(target.ID), 0, operatorTimeout).Error(); err != nil {
		return fmt.Errorf("remove %s: %w", target.Name, err)
	}
	return nil
}

// errUnsafe marks a change that would endanger the majority.
var errUnsafe = errors.New("refused")

func (t *Tasker) server(idOrName string) (Server, error) {
	if idOrName == "" {
		return Server{}, nil
	}
	for _, s := range t.Servers() {
		if s.ID == idOrName || s.Name == idOrName {
			return s, nil
		}
	}
	return Server{}, fmt.Errorf("%w: %s", ErrBadServer, strconv.Quote(idOrName))
}
