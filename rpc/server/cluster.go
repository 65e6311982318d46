package server

import (
	"context"
	"errors"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/wire"
)

// Of makes a Tasker of a coordinator's.
func Of(t *cluster.Tasker) Tasker { return clusterTasker{t} }

// clusterTasker speaks package cluster's words on one side and the wire's on the other.
type clusterTasker struct{ t *cluster.Tasker }

func (c clusterTasker) Propose(ctx context.Context, cmd fsm.Command) (any, error) {
	v, err := c.t.Propose(ctx, cmd)
	return v, c.wireError(err)
}

func (c clusterTasker) Read(ctx context.Context) (*fsm.View, error) {
	v, _, err := c.t.Read(ctx, cluster.Linearizable)
	return v, c.wireError(err)
}

func (c clusterTasker) Leader() wire.Leader {
	p, known := c.t.Leader()
	if !known {
		return wire.Leader{}
	}
	return wireLeader(p, c.t.IsLeader())
}

func (c clusterTasker) Progress(items []fsm.ProgressItem) error {
	return c.wireError(c.t.Progress(items))
}

func (c clusterTasker) Beat(ctx context.Context, id fsm.WorkerID, incarnation uint32, held []fsm.Grant) (Beat, error) {
	b, err := c.t.Beat(ctx, id, incarnation, held)
	return Beat{Known: b.Known, Stop: b.Stop, Missing: b.Missing}, c.wireError(err)
}

func (c clusterTasker) TTL() time.Duration { return c.t.TTL() }

func (c clusterTasker) Attach(id fsm.WorkerID, incarnation uint32, link WorkerLink) (detach func(), err error) {
	detach, err = c.t.Attach(id, incarnation, link)
	return detach, c.wireError(err)
}

func (c clusterTasker) Watch() Watcher { return &clusterWatcher{t: c.t, w: c.t.Watch(0)} }

func (c clusterTasker) Status() wire.Status {
	s := c.t.Status()
	st := wire.Status{
		Cluster: s.Cluster, ClusterID: s.ClusterID, Version: s.Version, NodeID: s.Node.ID, NodeName: s.Node.Name,
		Leader: wireLeader(s.Leader, s.IsLeader), RaftState: s.RaftState, Term: s.Term, Applied: s.Applied,
		Committed: s.Committed, LastLog: s.LastLog, StateHash: s.StateHash, HashIndex: s.HashIndex,
		Tolerates: uint32(max(s.Tolerates, 0)), Healthy: s.Healthy, Problem: s.Problem,
	}
	for _, o := range s.Servers {
		st.Servers = append(st.Servers, wire.Server(o))
	}
	return st
}

func wireLeader(p cluster.Peer, self bool) wire.Leader {
	return wire.Leader{Self: self, Term: p.Term, ID: p.ID, Name: p.Name, RPC: p.RPC, HTTP: p.HTTP}
}

// wireError gives package cluster's errors their codes; refusals and a context's end stay as they are.
func (c clusterTasker) wireError(err error) error {
	var deposed *cluster.NotLeaderError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &deposed):
		return notLeader(wireLeader(deposed.Leader, false))
	case errors.Is(err, cluster.ErrNoLeader):
		return notLeader(wire.Leader{})
	case errors.Is(err, cluster.ErrOverloaded):
		return &wire.Error{Code: wire.CodeOverloaded, Detail: err.Error(), RetryAfter: c.t.RetryAfter()}
	case errors.Is(err, cluster.ErrUnknownOutcome):
		return wire.Errorf(wire.CodeUnknownOutcome, "%v", err)
	case errors.Is(err, cluster.ErrDiskFull):
		return wire.Errorf(wire.CodeDiskFull, "%v", err)
	}
	return err
}

// clusterWatcher goes on after events that it has missed.
type clusterWatcher struct {
	t *cluster.Tasker
	w *cluster.Watcher
}

func (w *clusterWatcher) Next(ctx context.Context) ([]fsm.Event, error) {
	events, err := w.w.Next(ctx)
	if errors.Is(err, cluster.ErrTooOld) {
		w.w.Close()
		w.w = w.t.Watch(0)
		return nil, ErrTooOld
	}
	return events, err
}

func (w *clusterWatcher) Close() { w.w.Close() }
