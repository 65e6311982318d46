package duplex

import (
	"context"
	"fmt"
	"time"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

// pendingCall is a call of ours that is not yet answered.
type pendingCall struct {
	answer wire.Message
	done   chan error // of capacity 1; the answer has been read, or will not come
}

// Call asks the peer and reads its answer into answer. It returns a *wire.Error when the peer refuses, an error wrapping
// ErrClosed when nothing was sent, one wrapping ErrBroken when the connection ended meanwhile, and ctx's cause when ctx
// ended first; the peer is then told that nobody waits.
func (c *Conn) Call(ctx context.Context, method wire.Method, request, answer wire.Message) error {
	p := &pendingCall{answer: answer, done: make(chan error, 1)}
	id, err := c.begin(p)
	if err != nil {
		return err
	}
	if err := c.sendRequest(ctx, id, method, request); err != nil {
		return c.abandon(id, p, err)
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return c.abandon(id, p, context.Cause(ctx))
	}
}

// begin gives a call its id.
func (c *Conn) begin(p *pendingCall) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return 0, fmt.Errorf("%w: %w", ErrClosed, c.cause)
	}
	if len(c.pending) >= c.cfg.CallsMax {
		return 0, errTooManyCalls
	}
	c.nextID++
	c.pending[c.nextID] = p
	return c.nextID, nil
}

// abandon gives a call up because of err, unless its answer is just there.
func (c *Conn) abandon(id uint64, p *pendingCall, err error) error {
	c.mu.Lock()
	_, waiting := c.pending[id]
	delete(c.pending, id)
	c.mu.Unlock()
	if !waiting {
		return <-p.done // being read, or failed with the connection
	}
	_ = c.send(wire.Frame{Kind: wire.KindCancel, ID: id}, nil) // if this fails the connection has ended
	return err
}

// sendRequest sends a call: in parts when it is too large for a frame.
func (c *Conn) sendRequest(ctx context.Context, id uint64, method wire.Method, request wire.Message) error {
	var left time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		if left = time.Until(deadline); left <= 0 {
			return context.DeadlineExceeded
		}
	}
	f := wire.Frame{Kind: wire.KindRequest, ID: id, Method: method, Deadline: left}
	w := pack.NewWriter()
	header := wire.AppendFrame(w, f, request)
	if w.Len() <= min(c.cfg.FrameMax, 2*wire.PartBytes) {
		return c.sendWhenRoom(ctx, w)
	}
	defer w.Free()
	return c.sendParts(ctx, f, w.Data()[header:])
}

// answered hands an answer to the call that waits for it. One that nobody waits for is passed over.
func (c *Conn) answered(f wire.Frame) error {
	c.body.Reset(f.Body)
	if f.Kind == wire.KindError && f.ID == 0 {
		lastWord := new(wire.Error)
		if err := wire.Decode(&c.body, lastWord); err != nil {
			return fmt.Errorf("last word of peer: %w", err)
		}
		return lastWord
	}
	c.mu.Lock()
	p := c.pending[f.ID]
	delete(c.pending, f.ID)
	c.mu.Unlock()
	if p == nil {
		return nil
	}
	p.done <- readAnswer(&c.body, f, p.answer)
	return nil
}

func readAnswer(r *pack.Reader, f wire.Frame, answer wire.Message) error {
	if f.Kind == wire.KindResponse {
		if err := wire.Decode(r, answer); err != nil {
			return fmt.Errorf("answer to %s: %w", f.Method, err)
		}
		return nil
	}
	refusal := new(wire.Error)
	if err := wire.Decode(r, refusal); err != nil {
		return fmt.Errorf("error for %s: %w", f.Method, err)
	}
	return refusal
}
