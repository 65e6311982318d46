package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

// leaderLink is what a worker needs of its connection to the leader. *client.Link is one; it joins, beats and follows
// the leader by itself.
type leaderLink interface {
	reportLink
	Run(ctx context.Context) error
	Pick(ctx context.Context) error
	Leave(ctx context.Context) error
	Inputs(ctx context.Context, job wire.JobID, attempt uint32) ([]wire.Parent, error)
}

// linkHandler hands the words of the leader to the parts they are for. It implements client.WorkerHandler.
type linkHandler struct {
	log      hclog.Logger
	consumer *consumer
	attempts *attempts
	leader   atomic.Pointer[string] // RPC address; nil: none yet
}

var _ client.WorkerHandler = (*linkHandler)(nil)

func newLinkHandler(c *consumer, as *attempts, log hclog.Logger) *linkHandler {
	return &linkHandler{log: log, consumer: c, attempts: as}
}

// Granted implements client.WorkerHandler.
func (h *linkHandler) Granted(g wire.Granted) { h.consumer.grant(g.Jobs) }

// Stop implements client.WorkerHandler.
func (h *linkHandler) Stop(attempts []wire.Attempt) { h.consumer.stop(attempts) }

// Held implements client.WorkerHandler.
func (h *linkHandler) Held() []wire.Attempt { return h.consumer.holding() }

// Accepting implements client.WorkerHandler.
func (h *linkHandler) Accepting() bool { return h.consumer.isAccepting() }

// Connected implements client.WorkerHandler.
func (h *linkHandler) Connected(j wire.Joined, addr string) {
	h.leader.Store(&addr)
	h.log.Info("joined", "worker", j.ID, "incarnation", j.Incarnation, "leader", addr)
}

// Disconnected implements client.WorkerHandler. What runs goes on.
func (h *linkHandler) Disconnected(err error) {
	h.log.Warn("lost the leader, jobs go on", "error", err)
}

// ReadLog implements client.WorkerHandler. It does not wait for output.
func (h *linkHandler) ReadLog(_ context.Context, q wire.ReadLog) (wire.LogChunk, error) {
	limit := int(min(q.Max, wire.LogBytesMax))
	data, eof, err := h.attempts.readLog(q.Job.String(), int(q.Attempt), int(q.Stream)-int(wire.Stdout), q.Offset, limit)
	if errors.Is(err, ErrNoLog) {
		switch kind, ok := h.consumer.holds(wire.Attempt{Job: q.Job, Attempt: q.Attempt}); {
		case !ok:
			return wire.LogChunk{}, wire.Errorf(wire.CodeNotFound, "%v", err)
		default:
			// A handler has no output; a process has none yet.
			return wire.LogChunk{EOF: kind == wire.WorkHandler}, nil
		}
	}
	if err != nil {
		return wire.LogChunk{}, fmt.Errorf("read output: %w", err)
	}
	return wire.LogChunk{Data: data, EOF: eof}, nil
}
