package harness

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// NetworkAllowed says whether this machine lets a test have a network of its own (Options.Network), or why not: it takes
// Linux, root, `ip` and iptables.
var NetworkAllowed = sync.OnceValue(func() error {
	for _, tool := range []string{"ip", "iptables-restore"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("this machine has no %s: %w", tool, err)
		}
	}
	f, err := newFabric()
	if err != nil {
		return err
	}
	defer f.close()
	if _, err := f.host(1); err != nil {
		return err
	}
	return f.change(func() []int { f.lost[1] = map[int]bool{2: true}; return []int{1} })
})

// Network is the network between the nodes of a cluster, to be broken. What it drops is gone without a word to either
// end, as when a cable is pulled. The harness itself always reaches every node. Its methods may be called from any
// goroutine.
type Network struct {
	*fabric
	tb TB
}

// Network gives the network of a cluster that has one of its own (Options.Network).
func (c *Cluster) Network() *Network {
	c.tb.Helper()
	if c.fabric == nil {
		c.tb.Fatalf("this cluster has no network of its own: set Options.Network")
	}
	return &Network{c.fabric, c.tb}
}

// Drop loses what goes from one node to another, and not what comes back.
func (n *Network) Drop(from, to *Node) { n.drop([][2]*Node{{from, to}}) }

// Cut loses all between the nodes of two groups.
func (n *Network) Cut(some, others []*Node) {
	var ways [][2]*Node
	for _, a := range some {
		for _, b := range others {
			if a != b {
				ways = append(ways, [2]*Node{a, b}, [2]*Node{b, a})
			}
		}
	}
	n.drop(ways)
}

func (n *Network) drop(ways [][2]*Node) {
	n.tb.Helper()
	n.must(n.change(func() (concerned []int) {
		for _, way := range ways {
			from, to := way[0].host(), way[1].host()
			if n.lost[to] == nil {
				n.lost[to] = map[int]bool{}
			}
			n.lost[to][from] = true
			if !slices.Contains(concerned, to) {
				concerned = append(concerned, to)
			}
		}
		return concerned
	}))
}

// Silence makes the connections that a node has with others now go dead for good; new ones work. What its host's socket
// does, closing included, reaches nobody.
func (n *Network) Silence(node *Node) (connections int) {
	n.tb.Helper()
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", node.PID()))
	if err != nil {
		n.tb.Errorf("list the connections of %s: %v", node.Name(), err)
		return 0
	}
	host := node.host()
	n.must(n.change(func() []int {
		for line := range strings.Lines(string(table)) {
			local, remote, ok := established(line)
			if !ok || remote.ip == address(fabricHub) || !strings.HasPrefix(remote.ip, fabricPrefix) || remote.ip == address(host) {
				continue
			}
			connections++
			n.mute[host] = append(n.mute[host],
				fmt.Sprintf("-A INPUT -p tcp -s %s --sport %d --dport %d -j DROP", remote.ip, remote.port, local.port),
				fmt.Sprintf("-A OUTPUT -p tcp -d %s --dport %d --sport %d -j DROP", remote.ip, remote.port, local.port))
		}
		return []int{host}
	}))
	return connections
}

// Heal undoes whatever was broken.
func (n *Network) Heal() {
	n.tb.Helper()
	n.must(n.change(func() (concerned []int) {
		for host := range n.hosts {
			if len(n.lost[host])+len(n.mute[host]) > 0 {
				concerned = append(concerned, host)
			}
		}
		clear(n.lost)
		clear(n.mute)
		return concerned
	}))
}

func (n *Network) must(err error) {
	if err != nil {
		n.tb.Errorf("network: %v", err)
	}
}

// endpoint is one end of a connection.
type endpoint struct {
	ip   string
	port int
}

// established reads a line of /proc/net/tcp; it is not ok unless it is of an established connection.
func established(line string) (local, remote endpoint, ok bool) {
	const stateEstablished = "01"
	f := strings.Fields(line)
	if len(f) < 4 || f[3] != stateEstablished {
		return local, remote, false
	}
	for i, end := range []*endpoint{&local, &remote} {
		var ip [4]byte // as a little-endian number
		if _, err := fmt.Sscanf(f[1+i], "%02X%02X%02X%02X:%X", &ip[3], &ip[2], &ip[1], &ip[0], &end.port); err != nil {
			return local, remote, false
		}
		end.ip = fmt.Sprintf("%d.%d.%d.%d", ip[0], ip[1], ip[2], ip[3])
	}
	return local, remote, true
}
