package cluster

import (
	"context"
	"net"
	"sync"
)

// unreadConn reads first before the connection.
type unreadConn struct {
	net.Conn
	first []byte
}

func (c *unreadConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 && len(p) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// closingConn tells when it was closed.
type closingConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *closingConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

// connListener is a net.Listener of connections that are handed to serve.
type connListener struct {
	address  net.Addr
	endConns bool          // closing it ends the connections it handed out, too
	conns    chan net.Conn // unbuffered: whoever hands over waits for Accept
	once     sync.Once
	closed   chan struct{}
}

func newConnListener(address net.Addr) *connListener {
	return &connListener{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// serve hands conn to Accept and returns once it was closed, or nobody will take it.
func (l *connListener) serve(ctx context.Context, conn net.Conn) {
	c := &closingConn{Conn: conn, closed: make(chan struct{})}
	select {
	case l.conns <- c:
	case <-l.closed:
		return
	case <-ctx.Done():
		return
	}
	var end <-chan struct{}
	if l.endConns {
		end = l.closed
	}
	select {
	case <-c.closed:
	case <-end:
	case <-ctx.Done():
	}
}

// Accept waits for the next connection; after Close it returns net.ErrClosed.
func (l *connListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *connListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is the address that was given.
func (l *connListener) Addr() net.Addr { return l.address }
