package cluster

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/cluster/gossip"
)

const (
	// bookMax bounds the coordinators that are remembered.
	bookMax = 256
	// answerFresh is how long a node counts as alive after it answered.
	answerFresh = 3 * time.Second
)

// contact is a coordinator as far as this node knows.
type contact struct {
	nodeInfo
	Gossiped bool      // gossip shows it alive
	Claimed  string    // address that a caller with its id says is its own, until it answered there
	Answered time.Time // when it last answered, itself; zero: never
}

// alive says whether there is a sign of life.
func (c contact) alive(now time.Time) bool { return c.Gossiped || c.answering(now) }

// answering says whether it answered a moment ago.
func (c contact) answering(now time.Time) bool {
	return !c.Answered.IsZero() && now.Sub(c.Answered) < answerFresh
}

// elsewhere says whether a node that is said to be at another address still answered at its own a moment ago: then it is
// not taken for moved. It may be a copy (see peering.meet), or the old process has just ended.
func (c contact) elsewhere(rpc string, life uint64, now time.Time) bool {
	return c.answering(now) && c.Life != 0 && c.Life != life && c.RPC != "" && c.RPC != rpc
}

// addressBook is the coordinators that this node knows, by id, so that one is dialled where it is now: its address in
// Raft's configuration may be from before it moved. Safe for concurrent use.
type addressBook struct {
	mu       sync.Mutex
	contacts map[string]contact
	changes  chan struct{} // closed at the next change
}

func newAddressBook() *addressBook {
	return &addressBook{contacts: make(map[string]contact), changes: make(chan struct{})}
}

// address is where id is dialled, or fallback.
func (b *addressBook) address(id raft.ServerID, fallback raft.ServerAddress) raft.ServerAddress {
	if c, ok := b.find(string(id)); ok && c.RPC != "" {
		return raft.ServerAddress(c.RPC)
	}
	return fallback
}

// rpc is where id is dialled; empty: unknown.
func (b *addressBook) rpc(id string) string {
	c, _ := b.find(id)
	return c.RPC
}

func (b *addressBook) find(id string) (contact, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.contacts[id]
	return c, ok
}

// list is all contacts in order of their ids.
func (b *addressBook) list() []contact {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Collect(maps.Values(b.contacts))
	slices.SortFunc(list, func(x, y contact) int { return cmp.Compare(x.ID, y.ID) })
	return list
}

// changed is closed when something worth a look changes: take it before reading.
func (b *addressBook) changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changes
}

// answered notes what a node said itself when it was asked.
func (b *addressBook) answered(info nodeInfo) {
	b.put(info.ID, func(c *contact) {
		if c.elsewhere(info.RPC, info.Life, time.Now()) {
			c.Claimed = info.RPC
			return
		}
		c.nodeInfo, c.Answered, c.Claimed = info, time.Now(), ""
	})
}

// called notes what a node says that asked us. Where it says it is, it is asked before that counts.
func (b *addressBook) called(info nodeInfo) {
	b.put(info.ID, func(c *contact) {
		switch {
		case c.RPC == "":
			c.nodeInfo = info
		case c.RPC != info.RPC:
			c.Claimed = info.RPC
		}
	})
}

// heardOf notes an address that another node passed on.
func (b *addressBook) heardOf(m member) {
	b.put(m.ID, func(c *contact) {
		if c.RPC == "" {
			c.ID, c.RPC = m.ID, m.RPC
		}
	})
}

// gone notes that another node answers where this one was.
func (b *addressBook) gone(id, address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.contacts[id]
	switch {
	case !ok:
	case c.Claimed == address:
		c.Claimed = ""
		b.contacts[id] = c
	case c.RPC == address && !c.Gossiped:
		delete(b.contacts, id)
	}
}

// gossiped replaces what gossip shows.
func (b *addressBook) gossiped(list []gossip.Meta) {
	shown := make(map[string]bool, len(list))
	for _, m := range list {
		shown[m.NodeID] = true
		b.put(m.NodeID, func(c *contact) {
			c.Gossiped = true
			if c.elsewhere(m.RPC, 0, time.Now()) {
				c.Claimed = m.RPC
				return
			}
			c.ID, c.Name, c.RPC, c.HTTP = m.NodeID, m.Name, m.RPC, m.HTTP
			if m.ClusterID != "" {
				c.ClusterID = m.ClusterID
			}
		})
	}
	for _, c := range b.list() {
		if c.Gossiped && !shown[c.ID] {
			b.put(c.ID, func(c *contact) { c.Gossiped = false })
		}
	}
}

func (b *addressBook) put(id string, change func(*contact)) {
	if id == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, known := b.contacts[id]
	if !known && len(b.contacts) >= bookMax && !b.forgetOne() {
		return
	}
	c := old
	change(&c)
	b.contacts[id] = c
	if !known || c.RPC != old.RPC || c.Claimed != old.Claimed || c.ClusterID != old.ClusterID || c.Gossiped != old.Gossiped || old.Answered.IsZero() != c.Answered.IsZero() {
		close(b.changes)
		b.changes = make(chan struct{})
	}
}

// forgetOne makes room by forgetting a contact without a sign of life. Call it with mu held.
func (b *addressBook) forgetOne() bool {
	now := time.Now()
	for id, c := range b.contacts {
		if !c.alive(now) {
			delete(b.contacts, id)
			return true
		}
	}
	return false
}
