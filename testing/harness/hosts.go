package harness

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
)

const (
	// The ports that every node of a cluster uses, each on a host of its own.
	portHTTP, portRPC, portGossip = "7070", "7071", "7072"
	// portClaim is bound on the first host of a range for as long as its cluster lives.
	portClaim = "7000"
	// claimTries is how many ranges are tried; of 65,000 only those of clusters running now are taken.
	claimTries = 64
)

// hosts is a range of loopback addresses, 127.A.B.0/24, that belongs to one cluster of this machine. A node keeps its
// address over restarts and no stranger's outgoing connection can sit on its port meanwhile.
type hosts struct {
	prefix string       // "127.A.B."; empty where the system has but one loopback address
	claim  net.Listener // fails for everybody else
}

func claimHosts() (*hosts, error) {
	if runtime.GOOS != "linux" {
		return &hosts{}, nil
	}
	var last error
	for range claimTries {
		prefix := fmt.Sprintf("127.%d.%d.", 1+rand.IntN(254), rand.IntN(256))
		l, err := net.Listen("tcp", prefix+"1:"+portClaim)
		if err == nil {
			return &hosts{prefix: prefix, claim: l}, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no free range of loopback addresses: %w", last)
}

// addresses gives the n-th node's addresses: fixed ones, or port 0 where hosts cannot be told apart.
func (h *hosts) addresses(n int) Addresses {
	if h.prefix == "" {
		return Addresses{HTTP: "127.0.0.1:0", RPC: "127.0.0.1:0", Gossip: "127.0.0.1:0"}
	}
	host := fmt.Sprint(h.prefix, n)
	return Addresses{
		HTTP: net.JoinHostPort(host, portHTTP), RPC: net.JoinHostPort(host, portRPC), Gossip: net.JoinHostPort(host, portGossip),
	}
}

// dialFunc opens a connection to a node.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// connect decides where the nodes are: on loopback addresses of the cluster's own, or on a network of its own.
func (c *core) connect() (err error) {
	if !c.opt.Network {
		c.dial = new(net.Dialer).DialContext
		c.hosts, err = claimHosts()
		return err
	}
	c.hosts = &hosts{prefix: fabricPrefix}
	if c.fabric, err = newFabric(); err == nil {
		c.dial = c.fabric.dial
	}
	return err
}

// Dial opens a TCP connection to a node, from where the harness is.
func (c *core) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return c.dial(ctx, "tcp", addr)
}

// hub is where the harness is; nil: where this process is.
func (c *core) hub() *namespace {
	if c.fabric == nil {
		return nil
	}
	return c.fabric.hub
}

func (h *hosts) close() {
	if h.claim != nil {
		_ = h.claim.Close() // it never accepted anything
	}
}
