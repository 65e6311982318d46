package sim

import (
	"context"
	"net"
	"sync"
	"time"
)

// listener is a host's RPC port.
type listener struct {
	address simAddr
	conns   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

type simAddr string

func (a simAddr) Network() string { return "sim" }
func (a simAddr) String() string  { return string(a) }

func newListener(name string) *listener {
	return &listener{address: simAddr(addressOf(name)), conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *listener) Addr() net.Addr { return l.address }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// dial connects one host with another's port.
func dial(ctx context.Context, n *network, from, to string, find func(string) *listener) (net.Conn, error) {
	f := n.send(from, to, false)
	if f.lost {
		<-ctx.Done()
		return nil, errLost
	}
	if !sleep(ctx, f.after) {
		return nil, ctx.Err()
	}
	l := find(to)
	if l == nil {
		return nil, errRefused
	}
	here, there := net.Pipe()
	select {
	case l.conns <- &wire{there, n, to, from}:
		return &wire{here, n, from, to}, nil
	case <-l.closed:
	case <-ctx.Done():
	}
	_, _ = here.Close(), there.Close()
	return nil, errRefused
}

// wire is one end of a connection. What it writes takes its time; a lost message ends the connection.
type wire struct {
	net.Conn
	net      *network
	from, to string
}

func (w *wire) RemoteAddr() net.Addr { return simAddr(addressOf(w.to)) }

func (w *wire) Write(p []byte) (int, error) {
	f := w.net.send(w.from, w.to, true)
	if f.lost {
		_ = w.Close()
		return 0, errLost
	}
	time.Sleep(f.after)
	return w.Conn.Write(p)
}

// sleep says whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
