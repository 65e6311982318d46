package harness

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/musterhq/muster/testing/lazydisk"
)

// Addresses are where a node listens, as it wrote them into its data directory. A worker has no HTTP and no RPC.
type Addresses struct {
	HTTP   string `json:"http"`
	RPC    string `json:"rpc"`
	Gossip string `json:"gossip"`
}

// over are these addresses, and others' where there is none: a worker tells only some.
func (a Addresses) over(others Addresses) Addresses {
	return Addresses{HTTP: cmp.Or(a.HTTP, others.HTTP), RPC: cmp.Or(a.RPC, others.RPC), Gossip: cmp.Or(a.Gossip, others.Gossip)}
}

// addressesFile is where a node writes its bound addresses, with its process id so that an old file is told apart.
const addressesFile = "addresses.json"

// Node is a coordinator or a worker: a process, its data directory and where it listens.
type Node struct {
	*Process
	Data        string // its data directory
	coordinator bool
	cluster     *core
	flags       []string // beyond names and addresses
	disk        *lazydisk.Disk

	mu     sync.Mutex // guards what is below
	number int        // its host in the cluster's range
	addr   Addresses  // wanted before the first start, bound after
}

// Addresses are where the node listens, or will when it is started again.
func (n *Node) Addresses() Addresses {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr
}

func (n *Node) setAddresses(a Addresses) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addr = a
}

// IsCoordinator tells a coordinator from a worker.
func (n *Node) IsCoordinator() bool { return n.coordinator }

// commandLine is what starts the node.
func (n *Node) commandLine() []string {
	a := n.Addresses()
	args := []string{"worker", "--name", n.name, "--data", n.Data, "--gossip", a.Gossip}
	if n.coordinator {
		args = []string{"coordinator", "--name", n.name, "--data", n.Data, "--http", a.HTTP, "--rpc", a.RPC, "--gossip", a.Gossip}
	}
	if n.cluster.fabric != nil {
		args = append(args, "--insecure") // it is no loopback, but nobody else is there
	}
	return append(args, n.flags...)
}

// launchNode starts the process and waits until it has bound its addresses.
func (n *Node) launchNode(tb TB) {
	tb.Helper()
	n.spawn(tb)
	n.awaitBound(tb)
}

func (n *Node) spawn(tb TB) {
	tb.Helper()
	if err := n.start(n.commandLine()); err != nil {
		tb.Fatalf("%v", err)
	}
}

func (n *Node) awaitBound(tb TB) {
	tb.Helper()
	err := poll(tb.Context(), BoundDefault, func() error {
		if !n.Running() {
			return errGone // looked at below: no use in waiting on
		}
		bound, pid, err := readAddresses(filepath.Join(n.Data, addressesFile))
		if err == nil && pid != n.PID() {
			err = fmt.Errorf("%s is of process %d, not of %d", addressesFile, pid, n.PID())
		}
		if err == nil {
			n.setAddresses(bound.over(n.Addresses()))
		}
		return err
	}, errGone)
	if err != nil {
		tb.Fatalf("%s did not come up: %v\n%s", n.name, err, n.logTail())
	}
}

func readAddresses(path string) (Addresses, int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Addresses{}, 0, err
	}
	var file struct {
		Addresses
		PID int `json:"pid"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return Addresses{}, 0, fmt.Errorf("read %s: %w", path, err)
	}
	return file.Addresses, file.PID, nil
}

// Restart starts the node again in its data directory and at its addresses, killing it first if it runs, and waits
// until it listens.
func (n *Node) Restart(tb TB) {
	tb.Helper()
	n.Kill()
	n.launchNode(tb)
}

// Move is Restart at a new address, as a container comes back elsewhere.
func (n *Node) Move(tb TB) {
	tb.Helper()
	n.Kill()
	n.cluster.mu.Lock()
	n.settle(tb)
	n.cluster.mu.Unlock()
	n.launchNode(tb)
}

// settle gives the node the next host. The caller holds the cluster's mu.
func (n *Node) settle(tb TB) {
	tb.Helper()
	n.cluster.numbered++
	number := n.cluster.numbered
	if f := n.cluster.fabric; f != nil {
		ns, err := f.host(number)
		if err != nil {
			tb.Fatalf("%s: %v", n.name, err)
		}
		n.netns = ns
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.number, n.addr = number, n.cluster.hosts.addresses(number)
}

// host is the number of its host.
func (n *Node) host() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.number
}

// With restarts the node with further flags, which it keeps. Flags given twice: the last one counts.
func (n *Node) With(tb TB, flags ...string) {
	tb.Helper()
	n.flags = append(slices.Clone(n.flags), flags...)
	n.Restart(tb)
}

// Begin starts the node and does not wait until it listens: it may refuse to.
func (n *Node) Begin(tb TB) {
	tb.Helper()
	n.Kill()
	n.spawn(tb)
}
