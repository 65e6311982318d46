package server

import (
	"context"
	"errors"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

// connection is one client's. It implements duplex.Handler.
type connection struct {
	server  *Server
	conn    *duplex.Conn
	client  string
	log     hclog.Logger
	reports reportLane
	ctx     context.Context // ends with the connection; set by run

	mu     sync.Mutex
	worker fsm.WorkerJoined // zero: not a worker's, or it has left
	detach func()           // nil: not attached
}

// run serves the connection until it ends.
func (c *connection) run(ctx context.Context) error {
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithCancel(context.WithoutCancel(ctx)) // as duplex does it for its works
	err := c.conn.Run(ctx)
	cancel()
	c.reports.wait()
	c.attached(fsm.WorkerJoined{}, nil)
	return err
}

// attached replaces what the connection is attached as; nil detaches it.
func (c *connection) attached(w fsm.WorkerJoined, detach func()) {
	c.mu.Lock()
	old := c.detach
	c.worker, c.detach = w, detach
	c.mu.Unlock()
	if old != nil {
		old()
	}
}

// speaksFor refuses what is said in the name of a worker that this connection has not joined as.
func (c *connection) speaksFor(w wire.WorkerID, incarnation uint32) error {
	if me, ok := c.joined(); !ok || me.ID != fsm.WorkerID(w) || me.Incarnation != incarnation {
		return wire.Errorf(wire.CodeStale, "this connection has not joined as incarnation %d of worker %s", incarnation, w)
	}
	return nil
}

// joined is the worker that the connection is attached as.
func (c *connection) joined() (fsm.WorkerJoined, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.worker, c.detach != nil
}

// Push implements duplex.Handler.
func (c *connection) Push(_ *duplex.Conn, method wire.Method, body *pack.Reader) error {
	if method != wire.MethodProgress {
		return nil // of a later version
	}
	var p wire.Progress
	if err := wire.Decode(body, &p); err != nil {
		return err
	}
	if _, ok := c.joined(); ok {
		_ = c.server.tasker.Progress(progressItems(p.Items)) // it is not a promise: the next one says more
	}
	return nil
}

// Call implements duplex.Handler.
func (c *connection) Call(_ *duplex.Conn, in duplex.Incoming) (duplex.Work, error) {
	if in.Method == wire.MethodStatus {
		return decode(in, c.status)
	}
	if !c.server.tasker.Leader().Self {
		return nil, c.server.notLeader()
	}
	switch in.Method {
	case wire.MethodReport:
		return c.report(in)
	case wire.MethodBeat:
		return decode(in, c.beat)
	case wire.MethodPick:
		return decode(in, c.pick)
	case wire.MethodJoin:
		return decode(in, c.join)
	case wire.MethodLeave:
		return decode(in, c.leave)
	case wire.MethodInputs:
		return decode(in, c.inputs)
	case wire.MethodOpenSession:
		return decode(in, c.openSession)
	case wire.MethodCloseSession:
		return decode(in, c.closeSession)
	case wire.MethodSubmit:
		return decode(in, c.submit)
	case wire.MethodCancel:
		return decode(in, c.cancel)
	case wire.MethodRetry:
		return decode(in, c.retry)
	case wire.MethodPause:
		return decode(in, c.pause)
	case wire.MethodRequest:
		return decode(in, c.request)
	case wire.MethodJobs:
		return decode(in, c.jobs)
	case wire.MethodJob:
		return decode(in, c.job)
	case wire.MethodWait:
		return decode(in, c.wait)
	case wire.MethodDrain:
		return decode(in, c.drain)
	}
	return nil, wire.Errorf(wire.CodeUnsupported, "%s: this coordinator speaks protocol %d", in.Method, wire.VersionMax)
}

// decode reads a call's message, on the reading goroutine unless it is a large one, and makes its Work.
func decode[Q any, P interface {
	*Q
	wire.Message
}](in duplex.Incoming, serve func(context.Context, *Q) (wire.Message, error)) (duplex.Work, error) {
	q := new(Q)
	if in.Owned {
		return func(ctx context.Context) (wire.Message, error) {
			if err := wire.Decode(in.Body, P(q)); err != nil {
				return nil, err
			}
			return refused(serve(ctx, q))
		}, nil
	}
	if err := wire.Decode(in.Body, P(q)); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (wire.Message, error) { return refused(serve(ctx, q)) }, nil
}

// refused makes the state machine's refusal one of the wire.
func refused(m wire.Message, err error) (wire.Message, error) {
	var refusal *fsm.Refusal
	if errors.As(err, &refusal) {
		return nil, wireRefusal(refusal)
	}
	return m, err
}

// propose replicates a command and converts its answer.
func propose[A any](ctx context.Context, c *connection, cmd fsm.Command, answer func(A) wire.Message) (wire.Message, error) {
	v, err := c.server.tasker.Propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	a, ok := v.(A)
	if !ok {
		return nil, wire.Errorf(wire.CodeInternal, "a %T was answered with a %T", cmd, v)
	}
	return answer(a), nil
}

// done replicates a command whose answer is nothing but that it was done.
func (c *connection) done(ctx context.Context, cmd fsm.Command) (wire.Message, error) {
	if _, err := c.server.tasker.Propose(ctx, cmd); err != nil {
		return nil, err
	}
	return &wire.Empty{}, nil
}
