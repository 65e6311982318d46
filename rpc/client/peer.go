package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

// peer is one connection to a coordinator.
type peer struct {
	addr    string
	welcome wire.Welcome
	conn    *duplex.Conn
	worker  WorkerHandler // nil for a Manager's

	mu      sync.Mutex
	leader  wire.Leader   // as the coordinator knows it
	changed chan struct{} // closed when leader changes
}

// greet dials a coordinator and shakes hands with it.
func (c *Client) greet(ctx context.Context, addr string) (*duplex.Stream, *wire.Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := c.cfg.Dial(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	s := duplex.NewStream(conn)
	w, err := c.shakeHands(s)
	if stop() && err == nil {
		return s, w, nil
	}
	_ = conn.Close() // the handshake's error says more
	if err == nil {
		err = context.Cause(ctx)
	}
	return nil, nil, err
}

func (c *Client) shakeHands(s *duplex.Stream) (*wire.Welcome, error) {
	hello := &wire.Hello{
		VersionMin: wire.VersionMin, VersionMax: wire.VersionMax,
		Cluster: c.cfg.Cluster, Name: c.cfg.Name, Token: c.cfg.Token,
	}
	f := wire.Frame{Kind: wire.KindRequest, ID: 1, Method: wire.MethodHello}
	if err := s.Send([]byte{wire.Preface}, f, hello); err != nil {
		return nil, fmt.Errorf("send hello: %w", err)
	}
	w := new(wire.Welcome)
	if _, err := s.Receive(wire.KindResponse, wire.MethodHello, w); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	return w, s.Established(wire.FrameBytesMax)
}

// newPeer makes a peer of a stream after its handshake; its connection is yet to be run.
func (c *Client) newPeer(addr string, s *duplex.Stream, w *wire.Welcome, h WorkerHandler) *peer {
	p := &peer{
		addr: addr, welcome: *w, worker: h, leader: w.Leader,
		changed: make(chan struct{}),
	}
	p.conn = duplex.New(s, c.duplexConfig(w), p, c.log)
	c.book.add(w.Coordinators)
	return p
}

// sight is who leads as far as p knows, and a channel that is closed when that changes.
func (p *peer) sight() (wire.Leader, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leader, p.changed
}

// usable says whether p can be asked: it leads and lives.
func (p *peer) usable() bool {
	leader, _ := p.sight()
	return leader.Self && p.conn.Err() == nil
}

// retire ends the connection. Calls in flight fail as broken: those that may be are made again elsewhere.
func (p *peer) retire(reason error) { p.conn.Close(reason) }

// Push takes a push of the coordinator.
func (p *peer) Push(_ *duplex.Conn, method wire.Method, body *pack.Reader) error {
	switch method {
	case wire.MethodLeader:
		var l wire.Leader
		if err := wire.Decode(body, &l); err != nil {
			return err
		}
		p.leads(l)
	case wire.MethodGranted:
		var g wire.Granted
		if err := wire.Decode(body, &g); err != nil {
			return err
		}
		if p.worker != nil {
			p.worker.Granted(g)
		}
	case wire.MethodStop:
		var s wire.Stop
		if err := wire.Decode(body, &s); err != nil {
			return err
		}
		if p.worker != nil {
			p.worker.Stop(s.Attempts)
		}
	}
	return nil // a push of a later version is passed over
}

// leads notes who leads now. A leader that no longer is one is asked no more, nor one that is one again in another term: it
// has forgotten who is attached to it.
func (p *peer) leads(l wire.Leader) {
	p.mu.Lock()
	was := p.leader
	if was == l {
		p.mu.Unlock()
		return
	}
	p.leader = l
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	if was.Self && (!l.Self || l.Term != was.Term) {
		p.retire(&wire.Error{Code: wire.CodeNotLeader, Detail: p.addr + " no longer leads", Leader: l.RPC, LeaderHTTP: l.HTTP, Term: l.Term})
	}
}

// Call takes a call of the coordinator.
func (p *peer) Call(_ *duplex.Conn, in duplex.Incoming) (duplex.Work, error) {
	if in.Method != wire.MethodReadLog || p.worker == nil {
		return nil, wire.Errorf(wire.CodeUnsupported, "%s is no call of a worker", in.Method)
	}
	var q wire.ReadLog
	if err := wire.Decode(in.Body, &q); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (wire.Message, error) {
		chunk, err := p.worker.ReadLog(ctx, q)
		return &chunk, err
	}, nil
}
