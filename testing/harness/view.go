package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// statusBound is how long one coordinator may take to tell its status before it counts as silent.
const statusBound = 5 * time.Second

// Status is what this coordinator says of itself and the cluster.
func (n *Node) Status() (Status, error) {
	var s Status
	a, err := n.try(context.Background(), statusBound, "GET", "/v1/status", "", nil)
	if err != nil {
		return s, err
	}
	if a.Status != 200 {
		return s, fmt.Errorf("%s: status: %v", n.name, a)
	}
	return s, a.Decode(&s)
}

// errNoLeader is what a look for the leader comes to while there is none.
var errNoLeader = errors.New("no coordinator says that it leads")

// FindLeader looks for the leader once: the coordinator that says of itself that it leads, in the highest term.
func (c *core) FindLeader() (*Node, error) {
	var leader *Node
	var term uint64
	err := errNoLeader
	for _, n := range c.responsive() {
		s, serr := n.Status()
		if serr != nil {
			err = serr
			continue
		}
		if s.Leader != nil && s.Leader.ID == s.Node && s.Leader.Term >= term {
			leader, term = n, s.Leader.Term
		}
	}
	if leader != nil {
		return leader, nil
	}
	return nil, err
}

// WaitLeader waits until one coordinator leads and returns it.
func (c *Cluster) WaitLeader() *Node {
	c.tb.Helper()
	var leader *Node
	Until(c.tb, BoundDefault, "a leader", func() (err error) {
		leader, err = c.FindLeader()
		return err
	})
	return leader
}

// Leader is the coordinator that leads now, waiting for one if need be.
func (c *Cluster) Leader() *Node {
	c.tb.Helper()
	return c.WaitLeader()
}

// Followers are the running coordinators other than the leader.
func (c *Cluster) Followers() []*Node {
	c.tb.Helper()
	leader := c.WaitLeader()
	return slices.DeleteFunc(c.responsive(), func(n *Node) bool { return n == leader })
}

// WorkerList reads the registered workers, lost ones too.
func (c *Cluster) WorkerList() []Worker {
	c.tb.Helper()
	var all []Worker
	c.pages("/v1/workers", func(page string) (string, bool) {
		var p struct {
			Workers []Worker `json:"workers"`
			Next    string   `json:"next"`
		}
		c.read(page, &p)
		all = append(all, p.Workers...)
		return p.Next, p.Next != ""
	})
	return all
}

// WaitWorkers waits until at least n workers are registered and alive.
func (c *Cluster) WaitWorkers(n int) {
	c.tb.Helper()
	Until(c.tb, BoundDefault, fmt.Sprintf("%d workers", n), func() error {
		list := c.WorkerList()
		alive := 0
		for _, w := range list {
			if w.State == "alive" {
				alive++
			}
		}
		if alive < n {
			return fmt.Errorf("%d are alive: %+v", alive, list)
		}
		return nil
	})
}

// WorkerNamed finds the registered worker of that name.
func (c *Cluster) WorkerNamed(name string) Worker {
	c.tb.Helper()
	list := c.WorkerList()
	i := slices.IndexFunc(list, func(w Worker) bool { return w.Name == name })
	if i < 0 {
		c.tb.Fatalf("no worker %q is registered: %+v", name, list)
	}
	return list[i]
}

// WorkerNode is the process of the worker of that registered id.
func (c *Cluster) WorkerNode(id string) *Node {
	c.tb.Helper()
	for _, w := range c.WorkerList() {
		if w.ID == id {
			return c.Node(w.Name)
		}
	}
	c.tb.Fatalf("no worker %s is registered", id)
	return nil
}

// CheckHashes waits until every running coordinator has told its state hash at one and the same log index, and fails
// the test when two of them differ at any index they share.
func (c *Cluster) CheckHashes() {
	c.tb.Helper()
	seen := map[uint64]map[string]string{} // index, node → hash
	Until(c.tb, BoundDefault, "the state hash of every coordinator at one index", func() error {
		running := c.responsive()
		for _, n := range running {
			s, err := n.Status()
			if err != nil {
				return err
			}
			at := seen[s.Raft.HashIndex]
			if at == nil {
				at = map[string]string{}
				seen[s.Raft.HashIndex] = at
			}
			at[n.name] = s.Raft.Hash
			for other, hash := range at {
				if hash != s.Raft.Hash {
					c.tb.Fatalf("state differs at index %d: %s has %s, %s has %s", s.Raft.HashIndex, n.name, s.Raft.Hash, other, hash)
				}
			}
			if len(at) == len(running) {
				return nil
			}
		}
		return fmt.Errorf("hashes so far: %v", seen)
	})
}
