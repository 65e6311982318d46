package server

import (
	"context"
	"time"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/wire"
)

// Tasker is what the server needs of a coordinator; Of makes one of a *cluster.Tasker, which says what each method
// promises. Errors are *fsm.Refusal, *wire.Error or a context's.
type Tasker interface {
	Propose(ctx context.Context, cmd fsm.Command) (any, error)
	// Read returns a view that sees every write acknowledged before it began. Leader only.
	Read(ctx context.Context) (*fsm.View, error)
	// Leader is who leads as far as this node knows; Self when it is this node and it is ready to serve. It is cheap.
	Leader() wire.Leader
	// Status describes this node and the cluster.
	Status() wire.Status
	Progress(items []fsm.ProgressItem) error
	Beat(ctx context.Context, id fsm.WorkerID, incarnation uint32, held []fsm.Grant) (Beat, error)
	TTL() time.Duration
	Attach(id fsm.WorkerID, incarnation uint32, link WorkerLink) (detach func(), err error)
	// Watch follows events from now on.
	Watch() Watcher
}

// Beat is what a worker learns from its beat.
type Beat struct {
	Known   bool        // false: it must join again
	Stop    []fsm.Grant // attempts that are not its own
	Missing []fsm.Grant // its own, that it did not mention
}

// WorkerLink is a worker's connection as the Tasker sees it.
type WorkerLink interface {
	Grant(v *fsm.View, grants []fsm.Grant)
	Stop(grants []fsm.Grant)
	ReadLog(ctx context.Context, job fsm.JobID, attempt uint32, stream uint8, offset int64, max int) (data []byte, eof bool, err error)
}

// Watcher hands out events in the order of the log.
type Watcher interface {
	// Next waits for events. It returns ErrTooOld when some are no longer kept, and goes on after them.
	Next(ctx context.Context) ([]fsm.Event, error)
	Close()
}
