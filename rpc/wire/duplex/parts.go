package duplex

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

// partialsMax is how many messages a peer may have half sent.
const partialsMax = 16

// Budget bounds the bytes of large calls in memory, over all connections that share it.
type Budget struct {
	max  int64
	used atomic.Int64
}

// NewBudget allows max bytes.
func NewBudget(max int64) *Budget { return &Budget{max: max} }

func (b *Budget) take(n int) bool {
	if b == nil {
		return false
	}
	if b.used.Add(int64(n)) > b.max {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

func (b *Budget) give(n int) {
	if b != nil && n > 0 {
		b.used.Add(int64(-n))
	}
}

// partials are the messages that have come in part, by the id of their call.
type partials struct {
	budget *Budget
	bodies map[uint64]*partial
}

type partial struct {
	data    []byte
	refused *wire.Error // what is still to come is passed over, and the call answered with this
}

// sendParts sends a call's body in parts; others get their turn between two.
func (c *Conn) sendParts(ctx context.Context, last wire.Frame, body []byte) error {
	if len(body) > wire.MessageBytesMax {
		return fmt.Errorf("%w: %s of %d bytes, at most %d are allowed", ErrTooLarge, last.Method, len(body), wire.MessageBytesMax)
	}
	for len(body) > 0 {
		f := wire.Frame{Kind: wire.KindPart, ID: last.ID, Method: last.Method}
		n := min(len(body), wire.PartBytes, c.cfg.FrameMax/2)
		if n == len(body) {
			f = last
		}
		f.Body, body = body[:n], body[n:]
		w := pack.NewWriter()
		wire.AppendFrame(w, f, nil)
		if err := c.sendWhenRoom(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// takePart keeps a part until the request comes. An error ends the connection.
func (c *Conn) takePart(f wire.Frame) error {
	p := c.parts.bodies[f.ID]
	if p == nil {
		if len(c.parts.bodies) >= partialsMax {
			return fmt.Errorf("%w: more than %d messages in parts at once", pack.ErrMalformed, partialsMax)
		}
		p = new(partial)
		if c.parts.bodies == nil {
			c.parts.bodies = make(map[uint64]*partial)
		}
		c.parts.bodies[f.ID] = p
	}
	c.parts.add(p, f.Body)
	return nil
}

// add keeps data, or refuses the message when there is no room for it.
func (ps *partials) add(p *partial, data []byte) {
	switch {
	case p.refused != nil:
		return
	case len(p.data)+len(data) > wire.MessageBytesMax:
		p.refused = wire.Errorf(wire.CodeLimit, "a message has at most %d bytes", wire.MessageBytesMax)
	case !ps.budget.take(len(data)):
		p.refused = errTooMuchAtOnce
	default:
		p.data = append(p.data, data...)
		return
	}
	ps.budget.give(len(p.data))
	p.data = nil
}

// finish is the body of a call that came in parts, nil when the frame has all of it, and how many bytes of the budget
// it takes.
func (ps *partials) finish(f wire.Frame) (body []byte, charged int, err error) {
	p := ps.bodies[f.ID]
	if p == nil {
		if len(f.Body) <= smallBody {
			return nil, 0, nil
		}
		if !ps.budget.take(len(f.Body)) {
			return nil, 0, errTooMuchAtOnce
		}
		return nil, len(f.Body), nil
	}
	delete(ps.bodies, f.ID)
	ps.add(p, f.Body)
	if p.refused != nil {
		return nil, 0, p.refused
	}
	return p.data, len(p.data), nil
}

// drop forgets a message whose call was cancelled.
func (ps *partials) drop(id uint64) {
	if p := ps.bodies[id]; p != nil {
		ps.budget.give(len(p.data))
		delete(ps.bodies, id)
	}
}

// release forgets every message.
func (ps *partials) release() {
	for id := range ps.bodies {
		ps.drop(id)
	}
}
