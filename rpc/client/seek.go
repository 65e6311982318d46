package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/rpc/wire"
)

// headStart is how long the most promising coordinator is asked alone.
const headStart = 30 * time.Millisecond

// seeker looks for the leader. It asks all coordinators at once, and keeps the connections to those that do not lead:
// each tells at once when it knows who does. So an election costs each client a few connections, not a storm of them.
type seeker struct {
	client  *Client
	life    context.Context // of the connection that is found
	running *sync.WaitGroup // owns the goroutines of connections
	worker  WorkerHandler   // nil for a Manager's

	sightings chan sighting
	probes    map[string]*probe // by address
	asking    sync.WaitGroup
}

// probe is the state of one address.
type probe struct {
	peer *peer // while it is connected
	busy bool  // its goroutine runs
	err  error // of the last try; nil: none has ended
}

// sighting is what a probe has seen.
type sighting struct {
	addr   string
	peer   *peer // nil: the probe has ended, with err
	leader wire.Leader
	err    error
}

// seek returns a running connection to the leader. It returns an error wrapping ErrNoLeader when ctx ends first, and at
// once when every coordinator refuses this client for good.
func (s *seeker) seek(ctx context.Context) (*peer, error) {
	s.sightings, s.probes = make(chan sighting), make(map[string]*probe)
	ctx, cancel := context.WithCancel(ctx)
	found, err := s.look(ctx)
	cancel()
	s.asking.Wait()
	for _, p := range s.probes {
		if p.peer != nil && p.peer != found {
			p.peer.retire(errNotWanted)
		}
	}
	return found, err
}

// errNotWanted ends connections to coordinators that do not lead.
var errNotWanted = errors.New("another coordinator leads")

func (s *seeker) look(ctx context.Context) (*peer, error) {
	tick := newPause()
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	if candidates := s.client.book.candidates(); len(candidates) > 0 {
		s.ask(ctx, candidates[0])
	} else if s.client.cfg.Discover == nil {
		return nil, ErrNoAddress
	}
	for {
		select {
		case seen := <-s.sightings:
			if found, err := s.saw(ctx, seen); found != nil || err != nil {
				return found, err
			}
		case <-timer.C:
			s.askAll(ctx)
			timer.Reset(tick.next())
		case <-ctx.Done():
			return nil, noLeader(ctx, s.probes)
		}
	}
}

// saw acts on what a probe has seen: it returns the leader if this is it.
func (s *seeker) saw(ctx context.Context, seen sighting) (*peer, error) {
	p := s.probes[seen.addr]
	if seen.peer == nil {
		first := p.err == nil && len(s.probes) == 1
		p.peer, p.busy, p.err = nil, false, seen.err
		if first {
			s.askAll(ctx) // the most promising one failed: its head start is over
		}
		return nil, s.hopeless()
	}
	p.peer = seen.peer
	if seen.leader.Self {
		s.client.book.hint(seen.addr)
		return seen.peer, nil
	}
	if to := seen.leader.RPC; to != "" {
		s.client.book.hint(to)
		s.ask(ctx, to)
	} else {
		s.askAll(ctx)
	}
	return nil, nil
}

// askAll asks every address that is not being asked.
func (s *seeker) askAll(ctx context.Context) {
	for _, addr := range s.client.book.candidates() {
		s.ask(ctx, addr)
	}
}

// ask begins a probe of an address unless one is running.
func (s *seeker) ask(ctx context.Context, addr string) {
	p := s.probes[addr]
	if p == nil {
		p = new(probe)
		s.probes[addr] = p
	}
	if p.busy {
		return
	}
	p.busy = true
	s.asking.Go(func() { s.probe(ctx, addr) })
}

// probe connects to an address and tells what it sees there until the seeking ends.
func (s *seeker) probe(ctx context.Context, addr string) {
	stream, welcome, err := s.client.greet(ctx, addr)
	if err != nil {
		s.client.log.Debug("coordinator not reached", "address", addr, "error", err)
		s.tell(ctx, sighting{addr: addr, err: err})
		return
	}
	p := s.client.newPeer(addr, stream, welcome, s.worker)
	s.running.Go(func() {
		s.client.log.Debug("connection ended", "address", addr, "error", p.conn.Run(s.life))
	})
	for known := false; ; known = true {
		leader, changed := p.sight()
		if !s.tell(ctx, sighting{addr: addr, peer: p, leader: leader}) {
			if !known { // else it is seek that knows whether p is the one
				p.retire(errNotWanted)
			}
			return
		}
		select {
		case <-changed:
		case <-p.conn.Done():
			s.tell(ctx, sighting{addr: addr, err: p.conn.Err()})
			return
		case <-ctx.Done():
			return
		}
	}
}

func (s *seeker) tell(ctx context.Context, seen sighting) bool {
	select {
	case s.sightings <- seen:
		return true
	case <-ctx.Done():
		return false
	}
}

// hopeless is an error when every coordinator has refused this client for good.
func (s *seeker) hopeless() error {
	var last error
	for _, p := range s.probes {
		if p.busy || !fatal(p.err) {
			return nil
		}
		last = p.err
	}
	return last
}

// noLeader tells what became of each coordinator.
func noLeader(ctx context.Context, probes map[string]*probe) error {
	var tried []string
	for addr, p := range probes {
		switch {
		case p.peer != nil:
			tried = append(tried, addr+": knows no leader")
		case p.err != nil:
			tried = append(tried, fmt.Sprintf("%s: %v", addr, p.err))
		default:
			tried = append(tried, addr+": no answer yet")
		}
	}
	slices.Sort(tried)
	detail := ""
	if len(tried) > 0 {
		detail = " (" + strings.Join(tried, "; ") + ")"
	}
	return fmt.Errorf("%w%s: %w", ErrNoLeader, detail, context.Cause(ctx))
}
