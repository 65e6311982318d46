package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	readHeaderTimeout = 10 * time.Second
	bodyTimeout       = 2 * time.Minute  // to send a body
	answerTimeout     = 2 * time.Minute  // to take an answer, after the body was read
	streamWriteLimit  = 10 * time.Second // for a watcher to take some bytes
	idleTimeout       = 2 * time.Minute
	headerBytesMax    = 64 << 10
	// stopTimeout is how long calls under way may still take when the server ends.
	stopTimeout = 5 * time.Second
)

// Serve answers calls that come in on the listeners until ctx ends. Then streams and long polls end at once, other calls
// are finished, and it returns when no connection is left. It closes the listeners. It may be called once.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       bodyTimeout, // streams lift it: see unhurried
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          s.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	ended := make(chan error, len(listeners)) // one word of each
	for _, l := range listeners {
		go func() { ended <- srv.Serve(l) }()
	}
	var err error
	running := len(listeners)
	select {
	case <-ctx.Done():
	case err = <-ended:
		running--
	}
	s.endStream()
	s.shutdown(srv)
	for range running {
		<-ended
	}
	s.proxy.Transport.(*http.Transport).CloseIdleConnections()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

func (s *Server) shutdown(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		s.log.Warn("HTTP calls were cut off", "error", err)
		srv.Close()
	}
}

// unhurried lets a call take as long as it likes once its body was read. Otherwise the server's read deadline would
// end it: it cannot tell a silent peer from one that has gone.
func unhurried(w http.ResponseWriter) { http.NewResponseController(w).SetReadDeadline(time.Time{}) }

// ConnListener is a net.Listener of connections that somebody else has accepted: the RPC port, which speaks HTTP too.
type ConnListener struct {
	addr  net.Addr
	conns chan net.Conn // unbuffered: who hands over a connection waits until it is taken
	once  sync.Once
	done  chan struct{}
}

// NewConnListener makes a listener that says it listens on addr.
func NewConnListener(addr net.Addr) *ConnListener {
	return &ConnListener{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Hand hands over a connection. It blocks until it is taken, and closes it when the listener is closed.
func (l *ConnListener) Hand(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

// Accept waits for the next connection. It returns net.ErrClosed after Close.
func (l *ConnListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Hand.
func (l *ConnListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is what NewConnListener was given.
func (l *ConnListener) Addr() net.Addr { return l.addr }
