package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/rpc/rest"
)

// headerForwarded names the coordinator that forwarded a call. One that has it is not forwarded again: two nodes that
// take each other for the leader would pass it to and fro.
const headerForwarded = "Muster-Forwarded"

const (
	forwardDialTimeout = 2 * time.Second
	forwardIdleConns   = 64
)

// forwardLook is how often a call that waits for the leader's answer looks whether that one still leads. A leader whose
// process is stuck, such as on a disk that does not return, keeps its connections and never answers.
const forwardLook = 250 * time.Millisecond

// errDeposed ends a call to a leader that another has followed.
var errDeposed = errors.New("another coordinator leads now")

// passage is a call on its way through the proxy, in its context.
type passage struct {
	addr     string // the leader's
	answered atomic.Bool
}

// passageKey finds the passage in a context.
type passageKey struct{}

func passageOf(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

func (s *Server) newProxy() (*httputil.ReverseProxy, *http.Client) {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: forwardDialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConnsPerHost: forwardIdleConns,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true, // pass through what the leader says as it is
	}
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // streams are not held back
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: passageOf(p.In.Context()).addr})
			p.SetXForwarded()
			dropPageOf(p.Out.Header)
			p.Out.Header.Set(headerForwarded, s.self().ID)
		},
		ModifyResponse: func(r *http.Response) error {
			passageOf(r.Request.Context()).answered.Store(true)
			dropPageHeaders(r.Header)
			return nil
		},
		ErrorHandler: s.forwardFailed,
		ErrorLog:     s.log.StandardLogger(nil),
	}
	return proxy, &http.Client{Transport: transport}
}

// forward passes the call to the leader.
func (s *Server) forward(w http.ResponseWriter, r *http.Request) error {
	peer, err := s.forwardTo(r)
	if err != nil {
		return err
	}
	unhurried(w)
	p := &passage{addr: peer.HTTP}
	ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), passageKey{}, p))
	defer cancel(nil)
	defer s.whileLeads(p, peer, cancel)()
	s.proxy.ServeHTTP(w, r.WithContext(ctx))
	return nil
}

// whileLeads ends a call that has no answer once another than peer is known to lead. It looks until stop.
func (s *Server) whileLeads(p *passage, peer cluster.Peer, cancel context.CancelCauseFunc) (stop func()) {
	ctx, end := context.WithCancel(context.Background())
	var look *time.Timer
	armed := make(chan struct{})
	look = time.AfterFunc(forwardLook, func() {
		<-armed
		switch now, known := s.tasker.Leader(); {
		case ctx.Err() != nil || p.answered.Load():
		case known && now.ID != peer.ID:
			cancel(errDeposed)
		default:
			look.Reset(forwardLook)
		}
	})
	close(armed)
	return func() {
		end()
		look.Stop()
	}
}

func (s *Server) forwardTo(r *http.Request) (cluster.Peer, error) {
	peer, ok := s.tasker.Leader()
	switch {
	case !ok || peer.HTTP == "":
		return peer, cluster.ErrNoLeader
	case r.Header.Get(headerForwarded) != "":
		return peer, s.noLeader("this coordinator (%s) was taken for the leader and is not: the leader has just changed", s.self().Name)
	case peer.ID == s.self().ID:
		return peer, s.noLeader("this coordinator (%s) has been elected and is not ready yet", peer.Name)
	}
	return peer, nil
}

func (s *Server) forwardFailed(w http.ResponseWriter, r *http.Request, err error) {
	addr := passageOf(r.Context()).addr
	switch deposed := errors.Is(context.Cause(r.Context()), errDeposed); {
	case deposed && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		s.fail(w, r, s.noLeader("the leader at %s does not answer, and another has been elected", addr))
		return
	case deposed:
		err = errDeposed
	case r.Context().Err() != nil:
		return // whoever asked has gone
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		s.fail(w, r, s.noLeader("the leader does not answer at %s: %v", addr, err))
		return
	}
	s.fail(w, r, s.later(problem(rest.CodeUnknownOutcome,
		"the leader at %s did not answer (%v), so this may or may not take effect: look, or repeat it if it is idempotent", addr, err)))
}

// leader is the leader as answers name it, or nil.
func (s *Server) leader() *rest.Leader {
	peer, ok := s.tasker.Leader()
	if !ok {
		return nil
	}
	return leaderOf(peer)
}
