package harness

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
)

const (
	// fabricPrefix begins the addresses of nodes in namespaces: 198.18.0.0/15 is kept free for tests (RFC 2544). Each
	// cluster has a fabric of its own, so that all can use the same ones.
	fabricPrefix = "198.18.0."
	// fabricHub is the harness's own host on the fabric.
	fabricHub = 254
)

// fabric is a cluster's own network: a namespace for each host, and a hub with a bridge that joins them. The harness
// opens its own sockets in the hub. Nothing of it can be seen from outside, and nothing outside from within.
type fabric struct {
	hub *namespace

	mu    sync.Mutex // guards what is below
	hosts map[int]*namespace
	lost  map[int]map[int]bool // receiver → senders of which it gets nothing
	mute  map[int][]string     // host → rules that drop single connections
}

func newFabric() (*fabric, error) {
	hub, err := newNamespace()
	if err != nil {
		return nil, err
	}
	f := &fabric{hub: hub, hosts: map[int]*namespace{}, lost: map[int]map[int]bool{}, mute: map[int][]string{}}
	err = hub.run(fmt.Sprintf("link set lo up\nlink add br0 type bridge\naddr add %s/24 dev br0\nlink set br0 up\n", address(fabricHub)), "ip", "-batch", "-")
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func address(host int) string { return fmt.Sprint(fabricPrefix, host) }

// host gives a host's namespace, made and wired at the first call.
func (f *fabric) host(n int) (*namespace, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ns := f.hosts[n]; ns != nil {
		return ns, nil
	}
	ns, err := newNamespace()
	if err != nil {
		return nil, err
	}
	err = f.hub.run(fmt.Sprintf("link add v%d type veth peer name eth0 netns %s\nlink set v%d master br0 up\n", n, ns.path(), n), "ip", "-batch", "-")
	if err == nil {
		err = ns.run(fmt.Sprintf("link set lo up\naddr add %s/24 dev eth0\nlink set eth0 up\n", address(n)), "ip", "-batch", "-")
	}
	if err != nil {
		ns.close()
		return nil, fmt.Errorf("wire host %d: %w", n, err)
	}
	f.hosts[n] = ns
	return ns, nil
}

// dial connects from the hub.
func (f *fabric) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = f.hub.do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// change changes what is lost, and brings the filters of the hosts that it concerns up to it.
func (f *fabric) change(how func() (concerned []int)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range how() {
		ns := f.hosts[n]
		if ns == nil {
			continue
		}
		if err := ns.run(f.rules(n), "iptables-restore", "-w"); err != nil {
			return fmt.Errorf("filter what host %d gets: %w", n, err)
		}
	}
	return nil
}

// rules are the packet filter of a host, whole: it takes effect at one moment. The caller holds mu.
func (f *fabric) rules(n int) string {
	var b strings.Builder
	b.WriteString("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
	for _, from := range slices.Sorted(maps.Keys(f.lost[n])) {
		fmt.Fprintf(&b, "-A INPUT -s %s -j DROP\n", address(from))
	}
	for _, rule := range f.mute[n] {
		b.WriteString(rule + "\n")
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// close lets the namespaces go. Every process in them must have ended before.
func (f *fabric) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ns := range f.hosts {
		ns.close()
	}
	f.hub.close()
}
