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

	mu       sync.Mutex
	accepted map[*wire]bool // open
}

type simAddr string

func (a simAddr) Network() string { return "sim" }
func (a simAddr) String() string  { return string(a) }

func newListener(name string) *listener {
	return &listener{address: simAddr(addressOf(name)), conns: make(chan net.Conn), closed: make(chan struct{}), accepted: make(map[*wire]bool)}
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

// crash is what the system does with the port of a process that has ended: it closes the connections as well. Who is cut off
// does not hear of it.
func (l *listener) crash(n *network) {
	_ = l.Close()
	l.mu.Lock()
	var heard []*wire
	for w := range l.accepted {
		if !n.isCut(w.from, w.to) {
			heard = append(heard, w)
		}
	}
	l.mu.Unlock()
	for _, w := range heard {
		_ = w.Close()
	}
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
	far := &wire{Conn: there, net: n, from: to, to: from, port: l}
	l.mu.Lock()
	l.accepted[far] = true
	l.mu.Unlock()
	select {
	case l.conns <- far:
		return &wire{Conn: here, net: n, from: from, to: to}, nil
	case <-l.closed:
	case <-ctx.Done():
	}
	_, _ = here.Close(), far.Close()
	return nil, errRefused
}

// wire is one end of a connection. What it writes takes its time; a lost message ends the connection.
type wire struct {
	net.Conn
	net      *network
	from, to string
	port     *listener // that accepted it; nil: it was dialled
}

func (w *wire) Close() error {
	if w.port != nil {
		w.port.mu.Lock()
		delete(w.port.accepted, w)
		w.port.mu.Unlock()
	}
	return w.Conn.Close()
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
