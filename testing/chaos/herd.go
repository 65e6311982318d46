package chaos

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/testing/harness"
)

// herdSize is how many workers leave and rejoin at once.
const herdSize = 200

// herd lets many workers of this process join, drops all their connections in one moment and lets them join again. They
// serve a queue that nobody uses and leave with the healing.
func (s stage) herd() (heal func()) {
	leave := s.join(1)
	leave()
	return s.join(2)
}

// join lets the herd join, as its n-th run, and waits until each has.
func (s stage) join(run uint64) (leave func()) {
	var coordinators []string
	for _, n := range s.c.Coordinators() {
		coordinators = append(coordinators, n.Addresses().RPC)
	}
	dial := func(ctx context.Context, addr string) (net.Conn, error) { return s.c.Dial(ctx, addr) }
	cl := client.New(client.Config{Coordinators: coordinators, Name: "herd", Dial: dial})
	ctx, cancel := context.WithCancel(s.tb.Context())
	var running sync.WaitGroup
	herd := make([]*idler, herdSize)
	for i := range herd {
		w, name := &idler{}, fmt.Sprint("herd-", i)
		herd[i] = w
		link := cl.WorkerLink(wire.Join{Name: name, Identity: name, Process: run, Queues: []string{"herd"}, Slots: 1}, w)
		running.Go(func() { _ = link.Run(ctx) }) // it ends with ctx
	}
	harness.Until(s.tb, harness.BoundDefault, "the herd to join", func() error {
		n := 0
		for _, w := range herd {
			if w.joined.Load() {
				n++
			}
		}
		if n < herdSize {
			return fmt.Errorf("%d of %d have", n, herdSize)
		}
		return nil
	})
	return func() {
		cancel()
		cl.Close()
		running.Wait()
	}
}

// idler is a worker that has nothing to do.
type idler struct{ joined atomic.Bool }

func (*idler) Granted(wire.Granted) {}

func (*idler) Stop([]wire.Attempt) {}

func (*idler) Held() []wire.Attempt { return nil }

func (*idler) Accepting() bool { return true }

func (*idler) ReadLog(context.Context, wire.ReadLog) (wire.LogChunk, error) {
	return wire.LogChunk{EOF: true}, nil
}

func (w *idler) Connected(wire.Joined, string) { w.joined.Store(true) }

func (*idler) Disconnected(error) {}
