package api

import (
	"context"
	"io"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/cluster/backup"
	"github.com/musterhq/muster/fsm"
)

// Tasker is what the handlers need of a coordinator. cluster.Tasker says what each method promises.
type Tasker interface {
	Propose(ctx context.Context, cmd fsm.Command) (any, error)
	Read(ctx context.Context, c cluster.Consistency) (v *fsm.View, age time.Duration, err error)
	Leader() (cluster.Peer, bool)
	IsLeader() bool
	Status() cluster.Status
	RetryAfter() time.Duration
	Progress(items []fsm.ProgressItem) error
	Beat(ctx context.Context, w fsm.WorkerID, incarnation uint32, held []fsm.Grant) (cluster.BeatAnswer, error)
	LastBeat(w fsm.WorkerID) (time.Time, bool)
	TTL() time.Duration
	WorkerLog(ctx context.Context, job fsm.JobID, attempt uint32, stream uint8, offset int64, max int) ([]byte, bool, error)
	Watch(from uint64) Watcher
	Servers() []cluster.Server
	TransferLeadership(ctx context.Context, to string) error
	RemoveServer(ctx context.Context, id string) error
	Restore(ctx context.Context, in io.Reader, force bool) (backup.Header, fsm.Restored, error)
}

// Watcher hands out events in the order of the log; all events of an entry come in one batch.
type Watcher interface {
	Next(ctx context.Context) ([]fsm.Event, error)
	Close()
}

// Of makes a Tasker of a coordinator's.
func Of(t *cluster.Tasker) Tasker { return clusterTasker{t} }

type clusterTasker struct{ *cluster.Tasker }

func (t clusterTasker) Watch(from uint64) Watcher { return t.Tasker.Watch(from) }
