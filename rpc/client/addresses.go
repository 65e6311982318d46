package client

import (
	"slices"
	"sync"
)

// learnedMax is how many addresses are remembered that nobody configured.
const learnedMax = 64

// addressBook is every RPC address at which the leader might be.
type addressBook struct {
	static   []string
	discover func() []string

	mu      sync.Mutex
	leader  string   // where it was last seen, or said to be
	learned []string // told by coordinators, the latest first
}

// candidates are all addresses, the most promising first, each once.
func (b *addressBook) candidates() []string {
	var discovered []string
	if b.discover != nil {
		discovered = b.discover()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, list := range [][]string{{b.leader}, discovered, b.static, b.learned} {
		for _, addr := range list {
			if addr != "" && !slices.Contains(all, addr) {
				all = append(all, addr)
			}
		}
	}
	return all
}

// hint remembers where the leader is said to be; empty is passed over.
func (b *addressBook) hint(addr string) {
	if addr == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leader = addr
	b.learn(addr)
}

// add remembers addresses of coordinators.
func (b *addressBook) add(addrs []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, addr := range addrs {
		b.learn(addr)
	}
}

func (b *addressBook) learn(addr string) {
	if addr == "" || slices.Contains(b.learned, addr) {
		return
	}
	b.learned = slices.Insert(b.learned, 0, addr)
	b.learned = b.learned[:min(len(b.learned), learnedMax)]
}
