package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
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

// target is the leader's address, in the context of a call on its way through the proxy.
type target struct{}

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
			p.SetURL(&url.URL{Scheme: "http", Host: p.In.Context().Value(target{}).(string)})
			p.SetXForwarded()
			p.Out.Header.Set(headerForwarded, s.self().ID)
		},
		ModifyResponse: func(r *http.Response) error {
			// This node has set its own.
			r.Header.Del("X-Content-Type-Options")
			r.Header.Del("Cache-Control")
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
	s.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), target{}, peer.HTTP)))
	return nil
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
	addr, _ := r.Context().Value(target{}).(string)
	if r.Context().Err() != nil {
		return // whoever asked has gone
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		s.fail(w, r, s.noLeader("the leader does not answer at %s: %v", addr, err))
		return
	}
	s.fail(w, r, s.later(problem(rest.CodeUnknownOutcome,
		"the connection to the leader at %s broke (%v), so this may or may not take effect: look, or repeat it if it is idempotent", addr, err)))
}

// leader is the leader as answers name it, or nil.
func (s *Server) leader() *rest.Leader {
	peer, ok := s.tasker.Leader()
	if !ok {
		return nil
	}
	return leaderOf(peer)
}
