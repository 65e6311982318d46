package gossip

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/memberlist"
	"golang.org/x/time/rate"
)

// membersMax bounds the nodes that are remembered; those beyond it are ignored.
const membersMax = 16384

// foreignLogEvery is how often a node that is refused is spoken of.
const foreignLogEvery = 30 * time.Second

// state is what this node says and what it has heard: memberlist's delegate. memberlist calls it with its own lock held,
// so it never calls memberlist.
type state struct {
	log     hclog.Logger
	changed func()
	foreign rate.Sometimes

	mu      sync.Mutex
	meta    Meta
	encoded []byte
	known   map[string]Meta // by memberlist's name
}

func newState(meta Meta, log hclog.Logger, changed func()) (*state, error) {
	encoded, err := meta.encode()
	if err != nil {
		return nil, err
	}
	return &state{
		log: log, changed: changed, foreign: rate.Sometimes{First: 1, Interval: foreignLogEvery},
		meta: meta, encoded: encoded, known: make(map[string]Meta),
	}, nil
}

func (s *state) self() Meta {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meta
}

func (s *state) update(change func(*Meta)) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	meta := s.meta
	change(&meta)
	encoded, err := meta.encode()
	if err != nil || bytes.Equal(encoded, s.encoded) {
		return false, err
	}
	s.meta, s.encoded = meta, encoded
	return true, nil
}

func (s *state) members() []Meta {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := map[string]Meta{s.meta.NodeID: s.meta}
	for _, m := range s.known {
		if s.meta.ClusterID != "" && m.ClusterID != "" && m.ClusterID != s.meta.ClusterID {
			continue // it came before either of us belonged to a cluster
		}
		if old, ok := newest[m.NodeID]; !ok || m.Started > old.Started {
			newest[m.NodeID] = m
		}
	}
	list := make([]Meta, 0, len(newest))
	for _, m := range newest {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Meta) int { return cmp.Compare(a.NodeID, b.NodeID) })
	return list
}

func (s *state) coordinators() []Meta {
	list := slices.DeleteFunc(s.members(), func(m Meta) bool { return m.Role != RoleCoordinator })
	slices.SortStableFunc(list, func(a, b Meta) int {
		if a.Leader != b.Leader {
			if a.Leader {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Term, a.Term)
	})
	return list
}

// accept decodes what a node says, or says why it is ignored.
func (s *state) accept(node *memberlist.Node) (Meta, error) {
	m, err := decodeMeta(node.Meta)
	if err != nil {
		return m, err
	}
	s.mu.Lock()
	own, size := s.meta.ClusterID, len(s.known)
	_, old := s.known[node.Name]
	s.mu.Unlock()
	if own != "" && m.ClusterID != "" && own != m.ClusterID {
		return m, fmt.Errorf("it belongs to another cluster of this name, with id %s", m.ClusterID)
	}
	if !old && size >= membersMax {
		return m, fmt.Errorf("%d nodes are known already", size)
	}
	return m, nil
}

// NotifyAlive refuses nodes of another cluster and those whose Meta is not one.
func (s *state) NotifyAlive(node *memberlist.Node) error {
	_, err := s.accept(node)
	if err != nil {
		s.foreign.Do(func() {
			s.log.Warn("ignoring a node in gossip", "node", node.Name, "address", node.Address(), "error", err)
		})
	}
	return err
}

// NotifyJoin is told of a node that came.
func (s *state) NotifyJoin(node *memberlist.Node) {
	m, err := s.accept(node)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.known[node.Name] = m
	s.mu.Unlock()
	s.changed()
}

// NotifyUpdate is told of a node that says something new.
func (s *state) NotifyUpdate(node *memberlist.Node) { s.NotifyJoin(node) }

// NotifyLeave is told of a node that left or is taken for dead.
func (s *state) NotifyLeave(node *memberlist.Node) {
	s.mu.Lock()
	delete(s.known, node.Name)
	s.mu.Unlock()
	s.changed()
}

// NodeMeta is what this node says.
func (s *state) NodeMeta(int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.encoded
}

// User messages and states are not used.

func (s *state) NotifyMsg([]byte)                {}
func (s *state) GetBroadcasts(_, _ int) [][]byte { return nil }
func (s *state) LocalState(bool) []byte          { return nil }
func (s *state) MergeRemoteState([]byte, bool)   {}
