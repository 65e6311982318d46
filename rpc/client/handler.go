package client

import (
	"context"

	"github.com/musterhq/muster/rpc/wire"
)

// WorkerHandler is what a worker does with the words of its leader. Its methods are called from the link's goroutines,
// some of them concurrently.
type WorkerHandler interface {
	// Granted hands over jobs that are now the worker's. The same attempt may come more than once, and it may come
	// before Connected. It is called on the goroutine that reads the connection: it must not block, nor call the Link.
	Granted(g wire.Granted)
	// Stop names attempts that are not, or no longer, the worker's. It must not block.
	Stop(attempts []wire.Attempt)
	// Held lists every attempt that the worker holds: granted and not yet started, running, or ended with a report
	// that was not yet answered. It must not block.
	Held() []wire.Attempt
	// Accepting says whether the worker wants jobs for every slot that is free: true until it drains.
	Accepting() bool
	// ReadLog reads output of an attempt; it may block until ctx ends.
	ReadLog(ctx context.Context, q wire.ReadLog) (wire.LogChunk, error)
	// Connected tells that the leader at addr has taken the worker in as j.
	Connected(j wire.Joined, addr string)
	// Disconnected tells that the leader is gone; the link is looking for the next.
	Disconnected(err error)
}
