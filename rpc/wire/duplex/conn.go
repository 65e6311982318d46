package duplex

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

// Conn is one connection. Its methods may be called from any goroutine, before and after Run ends.
type Conn struct {
	cfg     Config
	conn    net.Conn
	frames  *wire.FrameReader
	handler Handler
	log     hclog.Logger

	heard atomic.Int64 // when the peer was last heard, Unix nanoseconds
	done  chan struct{}
	wake  chan struct{} // of capacity 1: the writer has something to do
	works sync.WaitGroup

	mu      sync.Mutex
	cause   error // why it ended; set before done is closed
	nextID  uint64
	pending map[uint64]*pendingCall // calls of ours, by id
	serving map[uint64]served       // calls of the peer, by id
	queue   []*pack.Writer          // frames to write
	queued  int                     // bytes of frames not yet written
	room    chan struct{}           // closed when queued shrinks; nil: nobody waits for it

	parts partials    // messages that have come in part; owned by the reading goroutine
	body  pack.Reader // likewise
}

// New takes over a stream whose handshake is done.
func New(s *Stream, cfg Config, h Handler, log hclog.Logger) *Conn {
	c := &Conn{
		cfg: cfg.withDefaults(), conn: s.Conn, frames: s.frames, handler: h, log: log,
		done: make(chan struct{}), wake: make(chan struct{}, 1),
		pending: make(map[uint64]*pendingCall), serving: make(map[uint64]served),
	}
	s.heard = &c.heard
	c.heard.Store(time.Now().UnixNano())
	c.parts.budget = c.cfg.Budget
	return c
}

// Run serves the connection until it ends or ctx does, and returns why.
func (c *Conn) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { c.end(context.Cause(ctx)) })
	defer stop()
	var writer sync.WaitGroup
	writer.Go(c.write)
	// Works are not cancelled by ctx but by end: else a call that is cut short because this side stops would be
	// answered, and its caller would take that for the outcome instead of asking elsewhere.
	c.end(c.read(context.WithoutCancel(ctx)))
	writer.Wait()
	c.works.Wait()
	c.parts.release()
	return c.Err()
}

// Close ends the connection; Run returns err.
func (c *Conn) Close(err error) { c.end(err) }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is why the connection ended; nil while it lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() string { return c.conn.RemoteAddr().String() }

// end marks the connection as ended, fails what is pending and cancels what is being served. The first cause counts.
func (c *Conn) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return
	}
	c.cause = cause
	if c.cause == nil {
		c.cause = ErrClosed
	}
	for id, p := range c.pending {
		delete(c.pending, id)
		p.done <- fmt.Errorf("%w: %w", ErrBroken, c.cause)
	}
	for id, s := range c.serving {
		delete(c.serving, id)
		s.end(c.cfg.Budget)
	}
	close(c.done)
	if !polite(c.cause) {
		_ = c.conn.Close() // wakes the reader and the writer
	}
}

// polite says whether the peer is told why the connection ends; the writer does, and closes it then.
func polite(cause error) bool {
	return errors.Is(cause, pack.ErrMalformed) || errors.Is(cause, wire.ErrFrameTooLarge)
}

// read reads frames until the connection ends, and returns why.
func (c *Conn) read(ctx context.Context) error {
	for {
		f, err := c.frames.Next()
		if err != nil {
			return fmt.Errorf("read from peer: %w", err)
		}
		if err := c.take(ctx, f); err != nil {
			return err
		}
	}
}

// take does what a frame asks for. An error ends the connection.
func (c *Conn) take(ctx context.Context, f wire.Frame) error {
	switch f.Kind {
	case wire.KindRequest:
		return c.serve(ctx, f)
	case wire.KindPart:
		return c.takePart(f)
	case wire.KindCancel:
		c.cancelled(f.ID)
	case wire.KindResponse, wire.KindError:
		return c.answered(f)
	case wire.KindPush:
		c.body.Reset(f.Body)
		if err := c.handler.Push(c, f.Method, &c.body); err != nil {
			return fmt.Errorf("push %s: %w", f.Method, err)
		}
	case wire.KindPing:
		return c.send(wire.Frame{Kind: wire.KindPong}, nil)
	}
	return nil
}
