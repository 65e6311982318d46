package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
)

// First bytes on the RPC port. Raft's own first byte is 0 to 4 and TLS's 0x16, so each stream says first what it is.
const (
	prefaceRaft byte = 0x01
	prefaceRPC  byte = 0x02
	prefacePeer byte = 0x03
	prefaceTLS  byte = 0x16 // refused until there is TLS
)

// Limits of the RPC port.
const (
	prefaceTimeout = 5 * time.Second
	acceptWaitMin  = 5 * time.Millisecond
	acceptWaitMax  = time.Second
	muxLogEvery    = 10 * time.Second
)

// connKind is what a connection's first byte says it is for.
type connKind uint8

const (
	kindNone connKind = iota
	kindRaft          // the byte is consumed
	kindRPC           // the byte is consumed
	kindPeer          // the byte is consumed
	kindHTTP          // an upper-case letter, which the handler reads again
	kindTLS
	kinds
)

func kindOf(first byte) connKind {
	switch {
	case first == prefaceRaft:
		return kindRaft
	case first == prefaceRPC:
		return kindRPC
	case first == prefacePeer:
		return kindPeer
	case first == prefaceTLS:
		return kindTLS
	case 'A' <= first && first <= 'Z':
		return kindHTTP
	}
	return kindNone
}

// connHandler serves a connection and returns when it is done with it; the mux closes it then. ctx ends with the mux, which
// closes the connection as well.
type connHandler func(ctx context.Context, conn net.Conn)

// mux shares one listener among the protocols of the RPC port. It owns every accepted connection and the goroutine that
// serves it.
type mux struct {
	ln       net.Listener
	log      hclog.Logger
	handlers [kinds]connHandler
	refused  [kinds]rate.Sometimes
	full     rate.Sometimes

	places *places

	mu    sync.Mutex
	conns map[net.Conn]string // to the remote host
	ended bool
	done  sync.WaitGroup
}

// newMux shares ln. Set the handlers, then run it.
func newMux(ln net.Listener, log hclog.Logger) *mux {
	m := &mux{ln: ln, log: log, places: newPlaces(connsAllowed(openFilesLimit())), conns: make(map[net.Conn]string)}
	for i := range m.refused {
		m.refused[i].Interval = muxLogEvery
	}
	m.full.Interval = muxLogEvery
	return m
}

// handle sets who serves connections of a kind. Call it before run.
func (m *mux) handle(kind connKind, h connHandler) { m.handlers[kind] = h }

// listener is connections of a kind through Accept, for servers that want a net.Listener. Closing it refuses them from
// then on. Call it before run.
func (m *mux) listener(kind connKind) net.Listener {
	l := newConnListener(m.ln.Addr())
	m.handle(kind, l.serve)
	return l
}

// run accepts until ctx ends or the listener fails, closes every connection, and returns when all handlers have.
func (m *mux) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = m.ln.Close() })
	defer stop()
	err := m.accept(ctx)
	cancel()
	_ = m.ln.Close()
	m.closeAll()
	m.done.Wait()
	return err
}

func (m *mux) accept(ctx context.Context) error {
	wait := acceptWaitMin
	for {
		conn, err := m.ln.Accept()
		switch {
		case err == nil:
			wait = acceptWaitMin
			m.take(ctx, conn)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("rpc listener %s: %w", m.ln.Addr(), err)
		default: // out of file descriptors, or the connection is gone already
			m.full.Do(func() {
				m.log.Warn("cannot accept connections on the rpc port; raise the limit of open files", "error", err)
			})
			if !sleep(ctx, wait) {
				return nil
			}
			wait = min(2*wait, acceptWaitMax)
		}
	}
}

// take admits a connection within the limits and serves it.
func (m *mux) take(ctx context.Context, conn net.Conn) {
	host := hostOf(conn.RemoteAddr())
	if !m.places.take(host) {
		_ = conn.Close()
		m.sayFull(host)
		return
	}
	m.mu.Lock()
	ended := m.ended
	if !ended {
		m.conns[conn] = host
		m.done.Add(1)
	}
	m.mu.Unlock()
	if ended {
		_ = conn.Close()
		m.places.leave(host)
		return
	}
	go func() {
		defer m.done.Done()
		defer m.drop(conn)
		m.serve(ctx, conn)
	}()
}

func (m *mux) drop(conn net.Conn) {
	_ = conn.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.places.leave(m.conns[conn])
	delete(m.conns, conn)
}

func (m *mux) sayFull(host string) {
	m.full.Do(func() {
		m.log.Warn("too many connections on the rpc port; more are allowed when the process may open more files", "from", host, "limit", m.places.most)
	})
}

func (m *mux) closeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	for conn := range m.conns {
		_ = conn.Close()
	}
}

func (m *mux) serve(ctx context.Context, conn net.Conn) {
	if err := tuneTCP(conn); err != nil {
		m.log.Debug("set TCP time-outs", "error", err)
	}
	first := make([]byte, 1)
	_ = conn.SetReadDeadline(time.Now().Add(prefaceTimeout))
	if n, _ := conn.Read(first); n == 0 {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	kind := kindOf(first[0])
	h := m.handlers[kind]
	switch {
	case kind != kindRaft && kind != kindPeer && m.places.crowded():
		m.sayFull(hostOf(conn.RemoteAddr()))
		return
	case h == nil:
		m.refuse(kind, first[0], conn)
		return
	case kind == kindHTTP:
		conn = &unreadConn{Conn: conn, first: first}
	}
	h(ctx, conn)
}

func (m *mux) refuse(kind connKind, first byte, conn net.Conn) {
	m.refused[kind].Do(func() {
		switch kind {
		case kindTLS:
			m.log.Warn("closed a TLS connection: TLS is not configured on this node; connect without it", "from", conn.RemoteAddr())
		case kindNone:
			m.log.Debug("closed a connection that speaks no protocol of ours", "from", conn.RemoteAddr(), "first_byte", first)
		default:
			m.log.Debug("closed a connection that nothing serves here", "from", conn.RemoteAddr(), "first_byte", first)
		}
	})
}

func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// sleep says whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
