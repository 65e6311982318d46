package server

import (
	"context"
	"sync"
	"time"

	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

// leaderLook is how often the server looks who leads. Clients learn of a new leader this much later; a look costs
// microseconds.
const leaderLook = 20 * time.Millisecond

// leaderWatch tells every connection when the leader changes. Its goroutine runs while there are connections.
type leaderWatch struct {
	tasker Tasker

	mu    sync.Mutex
	conns map[*duplex.Conn]wire.Leader // and what each was told last
	stop  context.CancelFunc
	ended chan struct{}
}

func (w *leaderWatch) add(c *duplex.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.conns) == 0 {
		w.conns = make(map[*duplex.Conn]wire.Leader)
		var ctx context.Context
		ctx, w.stop = context.WithCancel(context.Background())
		w.ended = make(chan struct{})
		go w.run(ctx, w.ended)
	}
	w.conns[c] = wire.Leader{} // its Welcome may be older than the last change
}

// remove forgets a connection; with the last one the goroutine ends.
func (w *leaderWatch) remove(c *duplex.Conn) {
	w.mu.Lock()
	delete(w.conns, c)
	var ended chan struct{}
	if len(w.conns) == 0 {
		w.stop()
		ended = w.ended
	}
	w.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

func (w *leaderWatch) run(ctx context.Context, ended chan<- struct{}) {
	defer close(ended)
	look := time.NewTicker(leaderLook)
	defer look.Stop()
	for {
		w.tell()
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell pushes to those who were told otherwise. A push does not block.
func (w *leaderWatch) tell() {
	l := w.tasker.Leader()
	w.mu.Lock()
	defer w.mu.Unlock()
	for c, told := range w.conns {
		if told != l {
			w.conns[c] = l
			_ = c.Push(wire.MethodLeader, &l) // if this fails the connection has ended
		}
	}
}
