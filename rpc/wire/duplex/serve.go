package duplex

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

// smallBody is up to how many bytes the body of a call is not charged to the Budget.
const smallBody = 64 << 10

// served is a call of the peer that is not yet answered.
type served struct {
	cancel  context.CancelFunc // nil: its work has not begun, or is the handler's own affair
	charged int                // to the Budget, until it is answered
}

func (s served) end(b *Budget) {
	b.give(s.charged)
	if s.cancel != nil {
		s.cancel()
	}
}

// serve begins a call of the peer. An error ends the connection.
func (c *Conn) serve(ctx context.Context, f wire.Frame) error {
	in := Incoming{ID: f.ID, Method: f.Method, Body: &c.body}
	body, charged, err := c.parts.finish(f)
	if err == nil && body != nil {
		in.Body, in.Owned = pack.NewReader(body), true
	} else {
		c.body.Reset(f.Body)
	}
	if err == nil {
		err = c.accept(f.ID, charged)
	}
	var refusal *wire.Error
	if errors.As(err, &refusal) {
		return c.answerError(f.ID, f.Method, err)
	}
	if err != nil {
		return err
	}
	work, err := c.handler.Call(c, in)
	switch {
	case err != nil:
		c.Answer(in.ID, in.Method, nil, err)
	case work != nil:
		c.works.Go(func() { c.work(ctx, f, work) })
	}
	return nil
}

// accept notes that a call is being served; charged bytes of it go back to the Budget when it is answered.
func (c *Conn) accept(id uint64, charged int) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch _, open := c.serving[id]; {
	case c.cause != nil:
		err = c.cause
	case open:
		err = fmt.Errorf("%w: call %d while a call of that id is open", pack.ErrMalformed, id)
	case len(c.serving) >= c.cfg.CallsMax:
		err = errTooManyCalls
	default:
		c.serving[id] = served{charged: charged}
		return nil
	}
	c.cfg.Budget.give(charged)
	return err
}

// work does a call and answers it.
func (c *Conn) work(ctx context.Context, f wire.Frame, work Work) {
	var cancel context.CancelFunc
	if f.Deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, f.Deadline)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	if !c.cancellable(f.ID, cancel) {
		return
	}
	m, err := work(ctx)
	c.Answer(f.ID, f.Method, m, err)
}

// cancellable lets a cancel frame end the call; false: one has come already.
func (c *Conn) cancellable(id uint64, cancel context.CancelFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, open := c.serving[id]
	if open {
		s.cancel = cancel
		c.serving[id] = s
	}
	return open
}

// cancelled ends a call that its caller has given up.
func (c *Conn) cancelled(id uint64) {
	c.parts.drop(id)
	if s, open := c.takeServed(id); open {
		s.end(c.cfg.Budget)
	}
}

func (c *Conn) takeServed(id uint64) (served, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, open := c.serving[id]
	delete(c.serving, id)
	return s, open
}

// Answer answers a call with m or, if err is not nil, with err: a *wire.Error as it is, any other as an internal one.
// A call that was cancelled, or answered before, is passed over. It may wait for the peer to read.
func (c *Conn) Answer(id uint64, method wire.Method, m wire.Message, err error) {
	s, open := c.takeServed(id)
	if !open {
		return
	}
	defer c.cfg.Budget.give(s.charged)
	if err != nil {
		_ = c.answerError(id, method, err) // if this fails the connection has ended
		return
	}
	w := pack.NewWriter()
	wire.AppendFrame(w, wire.Frame{Kind: wire.KindResponse, ID: id, Method: method}, m)
	if w.Len() > c.cfg.FrameMax {
		defer w.Free()
		_ = c.answerError(id, method, wire.Errorf(wire.CodeLimit,
			"the answer has %d bytes, a frame at most %d: ask for less at once", w.Len(), c.cfg.FrameMax))
		return
	}
	_ = c.sendWhenRoom(context.Background(), w) // ends with the connection, at the latest after WriteTimeout
}

func (c *Conn) answerError(id uint64, method wire.Method, err error) error {
	var refusal *wire.Error
	switch {
	case errors.As(err, &refusal):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		refusal = wire.Errorf(wire.CodeDeadline, "%v", err)
	case errors.Is(err, pack.ErrMalformed):
		refusal = wire.Errorf(wire.CodeMalformed, "%s: %v", method, err)
	default:
		c.log.Error("call failed", "method", method.String(), "peer", c.RemoteAddr(), "error", err)
		refusal = wire.Errorf(wire.CodeInternal, "%v", err)
	}
	return c.send(wire.Frame{Kind: wire.KindError, ID: id, Method: method}, refusal)
}
