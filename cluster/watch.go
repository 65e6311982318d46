package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// watchersMax is how many connections are held for nodes that watch this one: more than there can be coordinators.
const watchersMax = 2 * serversMax

// watchers are the connections that are held open for those who want to see them close when this process ends.
type watchers struct {
	mu    sync.Mutex
	conns map[string]net.Conn // by the id of who watches
}

// hold keeps conn until its other side closes it, or the mux does. A node's new watch replaces its old one.
func (w *watchers) hold(id string, conn net.Conn) {
	w.mu.Lock()
	old := w.conns[id]
	if old == nil && len(w.conns) >= watchersMax {
		w.mu.Unlock()
		return
	}
	if w.conns == nil {
		w.conns = make(map[string]net.Conn)
	}
	w.conns[id] = conn
	w.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	_ = conn.SetDeadline(time.Time{})
	_, _ = conn.Read(make([]byte, 1)) // nothing comes but the end
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns[id] == conn {
		delete(w.conns, id)
	}
}

// watch opens a connection to a node that stands until its process ends or the way there breaks. It says which process
// that is.
func (p *peering) watch(ctx context.Context, address, id string) (net.Conn, subject, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	conn, err := p.dial(ctx, address)
	if err != nil {
		return nil, subject{}, err
	}
	answer, err := p.askOn(ctx, conn, peerRequest{Verb: verbWatch, To: id})
	if err == nil && (answer.Info.ID != id || answer.Info.Life == 0) {
		err = errors.New("it is another node, or of a version that cannot be watched")
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = conn.Close()
		return nil, subject{}, fmt.Errorf("watch %s at %s: %w", id, address, err)
	}
	return conn, subject{id, answer.Info.Life}, nil
}

// ended says whether a process has certainly ended: nothing listens where it did, or the same node answers there as a later
// process. No answer says nothing: a process that is cut off, or stands still, does not answer either.
func (p *peering) ended(ctx context.Context, address string, s subject) bool {
	answer, err := p.ask(ctx, address, peerRequest{Verb: verbExchange, To: s.ID})
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	return answer.Info.ID == s.ID && answer.Info.Life != 0 && answer.Info.Life != s.Life
}

// witness says why this node does not find that a process has ended, or nil if it does.
func (p *peering) witness(ctx context.Context, s subject) error {
	if p.follow != nil {
		if leader := p.follow(); leader != "" && leader != s.ID {
			return fmt.Errorf("%s leads, not %s", leader, s.ID)
		}
	}
	address := p.book.rpc(s.ID)
	if address == "" {
		return fmt.Errorf("the address of %s is not known here", s.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Raft.Heartbeat/2)
	defer cancel()
	if !p.ended(ctx, address, s) {
		return fmt.Errorf("%s is not seen to have ended from here", s.ID)
	}
	p.told.Store(&s)
	return nil
}
