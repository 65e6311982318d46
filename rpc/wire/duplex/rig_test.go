package duplex_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

// handler is made of functions; nil ones refuse.
type handler struct {
	call func(c *duplex.Conn, in duplex.Incoming) (duplex.Work, error)
	push func(method wire.Method, body *pack.Reader) error
}

func (h handler) Call(c *duplex.Conn, in duplex.Incoming) (duplex.Work, error) {
	if h.call == nil {
		return nil, wire.Errorf(wire.CodeUnsupported, "%s", in.Method)
	}
	return h.call(c, in)
}

func (h handler) Push(_ *duplex.Conn, method wire.Method, body *pack.Reader) error {
	if h.push == nil {
		return nil
	}
	return h.push(method, body)
}

// serve decodes a call's message and answers with what f makes of it.
func serve[Q any, P interface {
	*Q
	wire.Message
}](f func(ctx context.Context, q *Q) (wire.Message, error)) func(*duplex.Conn, duplex.Incoming) (duplex.Work, error) {
	return func(_ *duplex.Conn, in duplex.Incoming) (duplex.Work, error) {
		q := new(Q)
		if err := wire.Decode(in.Body, P(q)); err != nil {
			return nil, err
		}
		return func(ctx context.Context) (wire.Message, error) { return f(ctx, q) }, nil
	}
}

// side is a running end of a connection.
type side struct {
	*duplex.Conn
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of Run, once ended is closed
}

func start(conn net.Conn, cfg duplex.Config, h duplex.Handler) *side {
	stream := duplex.NewStream(conn)
	_ = stream.Established(wire.FrameBytesMax)
	s := &side{Conn: duplex.New(stream, cfg, h, hclog.NewNullLogger()), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.ended)
		s.err = s.Run(ctx)
	}()
	return s
}

// why ends with the connection, and tells why it ended.
func (s *side) why() error {
	<-s.ended
	return s.err
}

// pair is a connection with both ends running; they end with the test.
func pair(t *testing.T, cfg duplex.Config, client, server duplex.Handler) (c, s *side) {
	t.Helper()
	a, b := net.Pipe()
	c, s = start(a, cfg, client), start(b, cfg, server)
	t.Cleanup(func() {
		c.cancel()
		s.cancel()
		<-c.ended
		<-s.ended
	})
	return c, s
}

// stranger is a server whose other end is in the test's hands.
func stranger(t *testing.T, cfg duplex.Config, h duplex.Handler) (conn net.Conn, s *side) {
	t.Helper()
	a, b := net.Pipe()
	s = start(b, cfg, h)
	t.Cleanup(func() {
		_ = a.Close()
		s.cancel()
		<-s.ended
	})
	return a, s
}

// frame is the bytes of a frame.
func frame(f wire.Frame, m wire.Message) []byte {
	w := pack.NewWriter()
	defer w.Free()
	wire.AppendFrame(w, f, m)
	return w.Copy()
}

// gate blocks calls until it is opened, and tells when one has come.
type gate struct {
	came chan struct{}
	open chan struct{}
	once sync.Once
}

func newGate() *gate { return &gate{came: make(chan struct{}, 100), open: make(chan struct{})} }

func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

func (g *gate) pass(ctx context.Context) error {
	g.came <- struct{}{}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
