package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	running, err := s.untilDone(ctx, ended, len(listeners))
	s.endStream()
	s.shutdown(srv)
	for range running {
		<-ended
	}
	s.proxy.Transport.(*http.Transport).CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// untilDone returns when ctx ends, when a listener fails, or when none is left: the node closes them when it stops.
func (s *Server) untilDone(ctx context.Context, ended <-chan error, running int) (int, error) {
	for running > 0 {
		select {
		case <-ctx.Done():
			return running, nil
		case err := <-ended:
			running--
			if !errors.Is(err, net.ErrClosed) {
				return running, err
			}
		}
	}
	<-ctx.Done()
	return 0, nil
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
