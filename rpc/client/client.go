package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

// Errors of a client; those of the cluster are *wire.Error.
var (
	// ErrNoLeader is returned when the context ended before a leader was found. The message names each coordinator that
	// was tried, and what became of it.
	ErrNoLeader = errors.New("no leader found")
	// ErrNoAddress is returned when there is no coordinator to try: give Coordinators or Discover.
	ErrNoAddress = errors.New("no address of any coordinator is known")
	// ErrClientClosed is returned for calls on a closed client.
	ErrClientClosed = errors.New("client closed")
)

// Config says how a client finds its cluster, and how patient it is.
type Config struct {
	Coordinators []string        // RPC addresses that are always tried; DNS names are resolved at each dial
	Discover     func() []string // further RPC addresses, best first, as gossip knows them; nil: none
	Cluster      string          // its name; empty: any
	Name         string          // of this client, for people
	Token        string
	Log          hclog.Logger                                             // nil: silent
	Dial         func(ctx context.Context, addr string) (net.Conn, error) // nil: TCP
	PingAfter    time.Duration                                            // of silence; 0: DefaultPingAfter
	IdleMax      time.Duration                                            // of silence before a coordinator is given up; 0: DefaultIdleMax
}

// Defaults of a Config. A client is less patient than a coordinator: it has others to turn to.
const (
	DefaultPingAfter = time.Second
	DefaultIdleMax   = 4 * time.Second
	dialTimeout      = 2 * time.Second
)

// Client talks to the cluster's leader and follows it. It dials when it is first used. Its methods may be called from
// any goroutine. Close ends it.
type Client struct {
	cfg     Config
	log     hclog.Logger
	book    addressBook
	ctx     context.Context // ends with Close
	close   context.CancelCauseFunc
	running sync.WaitGroup // the goroutines of its connections
	current atomic.Pointer[peer]
	seeking chan struct{} // of capacity 1: whoever holds it looks for the leader
}

// New makes a client. It starts nothing and always succeeds.
func New(cfg Config) *Client {
	if cfg.Log == nil {
		cfg.Log = hclog.NewNullLogger()
	}
	if cfg.Dial == nil {
		cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	if cfg.PingAfter == 0 {
		cfg.PingAfter = DefaultPingAfter
	}
	if cfg.IdleMax == 0 {
		cfg.IdleMax = DefaultIdleMax
	}
	c := &Client{cfg: cfg, log: cfg.Log, seeking: make(chan struct{}, 1)}
	c.book.static, c.book.discover = cfg.Coordinators, cfg.Discover
	c.ctx, c.close = context.WithCancelCause(context.Background())
	return c
}

// Close ends the client and waits for its connections: calls in flight fail. Links are ended by their own contexts.
func (c *Client) Close() {
	c.close(ErrClientClosed)
	c.seeking <- struct{}{} // nobody may add a connection from here on
	c.running.Wait()
	<-c.seeking
}

// leader is a connection to the leader; it looks for one until ctx ends.
func (c *Client) leader(ctx context.Context) (*peer, error) {
	if p := c.current.Load(); p != nil && p.usable() {
		return p, nil
	}
	select {
	case c.seeking <- struct{}{}:
		defer func() { <-c.seeking }()
	case <-ctx.Done():
		return nil, noLeader(ctx, nil)
	}
	if err := context.Cause(c.ctx); err != nil {
		return nil, err
	}
	if p := c.current.Load(); p != nil && p.usable() {
		return p, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(ErrClientClosed) })()
	s := seeker{client: c, life: c.ctx, running: &c.running}
	p, err := s.seek(ctx)
	if err != nil {
		return nil, err
	}
	c.current.Store(p)
	return p, nil
}

// do calls the leader, and calls again as long as that is safe and ctx lasts.
func (c *Client) do(ctx context.Context, method wire.Method, request, answer wire.Message) error {
	pause := newPause()
	for {
		p, err := c.leader(ctx)
		if err != nil {
			return err
		}
		err = p.conn.Call(ctx, method, request, answer)
		if err == nil || !c.again(method, p, err) {
			return settle(ctx, method, err)
		}
		if pauseErr := pause.wait(ctx, err); pauseErr != nil {
			return settle(ctx, method, fmt.Errorf("%w (last: %w)", pauseErr, err))
		}
	}
}

// duplexConfig is how the client's connections are kept.
func (c *Client) duplexConfig(w *wire.Welcome) duplex.Config {
	return duplex.Config{FrameMax: int(w.FrameMax), PingAfter: c.cfg.PingAfter, IdleMax: c.cfg.IdleMax}
}
