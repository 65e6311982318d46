package duplex

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

const (
	writeBufferBytes = 64 << 10
	writeChunk       = 256 << 10
	lastWordTimeout  = time.Second // for the peer to take the last frame before the connection is closed
	silenceChecks    = 4           // for each PingAfter
)

// Push sends a one-way message. It does not block: a peer that does not read what has been sent is cut.
func (c *Conn) Push(method wire.Method, m wire.Message) error {
	return c.send(wire.Frame{Kind: wire.KindPush, Method: method}, m)
}

// Queued is the number of bytes that wait for the peer to read.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued
}

// send encodes a frame and queues it. When the queue is full the connection ends: ErrNotReading.
func (c *Conn) send(f wire.Frame, m wire.Message) error {
	w := pack.NewWriter()
	wire.AppendFrame(w, f, m)
	if w.Len() > c.cfg.FrameMax {
		defer w.Free()
		return fmt.Errorf("%w: %s of %d bytes, a frame has at most %d", ErrTooLarge, f.Method, w.Len(), c.cfg.FrameMax)
	}
	queued, err := c.enqueue(w)
	if err == nil && !queued {
		w.Free()
		err = fmt.Errorf("%w: %d bytes wait for it", ErrNotReading, c.cfg.QueueMax)
		c.end(err)
	}
	return err
}

// sendWhenRoom queues a frame, waiting until there is room or ctx ends. It takes w over.
func (c *Conn) sendWhenRoom(ctx context.Context, w *pack.Writer) error {
	for {
		queued, err := c.enqueue(w)
		if queued || err != nil {
			return err
		}
		select {
		case <-c.roomAgain():
		case <-c.done:
		case <-ctx.Done():
			w.Free()
			return context.Cause(ctx)
		}
	}
}

// enqueue queues w if there is room. A frame may always go into an empty queue. It takes w over unless it answers
// false without an error.
func (c *Conn) enqueue(w *pack.Writer) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		w.Free()
		return false, fmt.Errorf("%w: %w", ErrClosed, c.cause)
	}
	if c.queued > 0 && c.queued+w.Len() > c.cfg.QueueMax {
		return false, nil
	}
	c.queued += w.Len()
	c.queue = append(c.queue, w)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return true, nil
}

// roomAgain is closed when bytes have left the queue.
func (c *Conn) roomAgain() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued == 0 { // it has shrunk already, and nobody would tell
		room := make(chan struct{})
		close(room)
		return room
	}
	if c.room == nil {
		c.room = make(chan struct{})
	}
	return c.room
}

// written takes n bytes off the queue's account.
func (c *Conn) written(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued -= n
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// takeQueue takes all frames that wait, giving an empty list for the next ones.
func (c *Conn) takeQueue(empty []*pack.Writer) []*pack.Writer {
	c.mu.Lock()
	defer c.mu.Unlock()
	frames := c.queue
	c.queue = empty[:0]
	return frames
}

// write writes what is queued, many frames to a flush, and watches over silence, until the connection ends.
func (c *Conn) write() {
	defer c.conn.Close()
	out := bufio.NewWriterSize(timedWriter{c.conn, c.cfg.WriteTimeout}, writeBufferBytes)
	check := time.NewTicker(max(1, c.cfg.PingAfter/silenceChecks))
	defer check.Stop()
	var frames []*pack.Writer
	for {
		select {
		case <-c.wake:
		case <-check.C:
			c.checkSilence()
			continue
		case <-c.done:
			c.lastWord()
			c.dropQueue()
			return
		}
		var err error
		if frames, err = c.flush(out, frames); err != nil {
			c.end(writeError(err))
		}
	}
}

// flush writes until nothing waits.
func (c *Conn) flush(out *bufio.Writer, frames []*pack.Writer) ([]*pack.Writer, error) {
	for {
		frames = c.takeQueue(frames)
		if len(frames) == 0 {
			return frames, out.Flush()
		}
		for i, w := range frames {
			_, _ = out.Write(w.Data()) // its error comes again with Flush
			c.written(w.Len())
			w.Free()
			frames[i] = nil
		}
	}
}

func (c *Conn) dropQueue() {
	for _, w := range c.takeQueue(nil) {
		w.Free()
	}
}

// checkSilence pings a peer that has not been heard, and ends the connection when that did not help.
func (c *Conn) checkSilence() {
	silence := time.Duration(time.Now().UnixNano() - c.heard.Load())
	switch {
	case silence >= c.cfg.IdleMax:
		c.end(fmt.Errorf("%w for %s", ErrSilent, silence.Round(time.Millisecond)))
	case silence >= c.cfg.PingAfter:
		_ = c.send(wire.Frame{Kind: wire.KindPing}, nil) // an error has ended the connection already
	}
}

// lastWord tells the peer why it is cut off, if it is its own fault.
func (c *Conn) lastWord() {
	cause := c.Err()
	if !polite(cause) {
		return
	}
	w := pack.NewWriter()
	defer w.Free()
	wire.AppendFrame(w, wire.Frame{Kind: wire.KindError}, wire.Errorf(wire.CodeMalformed, "%v", cause))
	_ = c.conn.SetWriteDeadline(time.Now().Add(lastWordTimeout))
	_, _ = c.conn.Write(w.Data()) // the peer need not hear it
}

func writeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrNotReading, err)
	}
	return fmt.Errorf("write to peer: %w", err)
}

// timedWriter gives every writeChunk the same time, so that a large frame may take its own on a slow line.
type timedWriter struct {
	conn    net.Conn
	timeout time.Duration
}

func (w timedWriter) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
			return n, err
		}
		var m int
		m, err = w.conn.Write(b[n:min(len(b), n+writeChunk)])
		n += m
	}
	return n, err
}
