package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/musterhq/muster/rpc/wire"
)

const (
	beatsPerTTL   = 5
	attachTimeout = 5 * time.Second        // for a leader to take the worker in
	beatMin       = 100 * time.Millisecond // however short the TTL
)

// errRejoin ends a session whose leader no longer knows the worker; the connection stays.
var errRejoin = errors.New("the leader no longer knows this worker")

// errUnheard ends a session whose leader stands still: its connection lives, and it answers nothing. The worker must not
// wait for it until its lease with the next leader has run out.
var errUnheard = errors.New("no beat was answered")

// Run keeps the worker attached until ctx ends; then it drops the connection and returns nil. It returns an error when
// no leader will ever take the worker: another cluster, no common version, a token that is refused, an invalid Join.
func (l *Link) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	pause := newPause()
	for ctx.Err() == nil {
		s := seeker{client: l.client, life: ctx, running: &running, worker: l.h}
		p, err := s.seek(ctx)
		if err == nil {
			err = l.serve(ctx, p, pause)
			p.retire(err)
		}
		if ctx.Err() == nil && hopeless(err) {
			return fmt.Errorf("attach worker %q: %w", l.join.Name, err)
		}
		_ = pause.wait(ctx, err) // ctx ends the loop
	}
	return nil
}

// hopeless says whether trying again is in vain.
func hopeless(err error) bool {
	return fatal(err) || errors.Is(err, ErrNoAddress) || errors.Is(err, wire.ErrInvalid)
}

// serve joins the worker to a leader and keeps it so until the connection or ctx ends. It returns why.
func (l *Link) serve(ctx context.Context, p *peer, pause pause) error {
	for {
		s, err := l.attach(ctx, p)
		if err != nil {
			l.set(nil)
			l.client.log.Debug("not attached", "leader", p.addr, "error", err)
			l.client.again(wire.MethodJoin, p, err)
			return err
		}
		pause.reset()
		l.client.log.Info("attached to the leader", "leader", p.addr, "worker", s.joined.ID.String())
		l.h.Connected(s.joined, p.addr)
		err = l.stay(ctx, s)
		l.set(nil)
		l.h.Disconnected(err)
		if !errors.Is(err, errRejoin) {
			l.client.log.Info("leader lost", "leader", p.addr, "error", err)
			return err
		}
		l.client.log.Warn("joining again", "leader", p.addr, "error", err)
	}
}

// attach joins, beats, and asks for jobs.
func (l *Link) attach(ctx context.Context, p *peer) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	if l.leaving.Load() { // only to be heard saying good-bye
		s := &session{peer: p, joined: l.last}
		l.set(s)
		return s, nil
	}
	s := &session{peer: p}
	if err := p.conn.Call(ctx, wire.MethodJoin, &l.join, &s.joined); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	select { // what was said of an earlier incarnation
	case <-l.rejoin:
	default:
	}
	known, err := l.beat(ctx, s)
	switch {
	case err != nil:
		return nil, err
	case !known:
		return nil, errRejoin
	}
	l.last = s.joined
	l.set(s)
	if err := p.conn.Call(ctx, wire.MethodPick, l.order(s.joined), &wire.Empty{}); err != nil {
		return nil, fmt.Errorf("pick: %w", err)
	}
	return s, nil
}

// stay beats until the session ends, and returns why.
func (l *Link) stay(ctx context.Context, s *session) error {
	every := max(s.joined.TTL/beatsPerTTL, beatMin)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	answered := time.Now()
	for {
		select {
		case <-ticker.C:
			heard, err := l.beatInTurn(ctx, s, every)
			switch {
			case err != nil:
				return err
			case heard:
				answered = time.Now()
			case time.Since(answered) > s.joined.TTL/2: // in what is left another leader may be found
				return fmt.Errorf("%w for %s", errUnheard, time.Since(answered).Round(time.Millisecond))
			}
		case <-l.rejoin:
			if !l.leaving.Load() {
				return errRejoin
			}
		case <-s.peer.conn.Done():
			return s.peer.conn.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// beatInTurn beats within the time until the next beat, and says whether it was answered. An error ends the session.
func (l *Link) beatInTurn(ctx context.Context, s *session, within time.Duration) (heard bool, err error) {
	if l.leaving.Load() {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	known, err := l.beat(ctx, s)
	switch {
	case err == nil && !known && !l.leaving.Load():
		return true, errRejoin
	case err != nil:
		l.client.log.Debug("beat failed", "leader", s.peer.addr, "error", err)
		l.client.again(wire.MethodBeat, s.peer, err)
	}
	return err == nil, s.peer.conn.Err() // a beat that failed on a living connection may come through the next time
}

// beat tells the leader what the worker holds, and the handler what it must stop. It is false when the leader does not
// know the worker.
func (l *Link) beat(ctx context.Context, s *session) (known bool, err error) {
	b := wire.Beat{Worker: s.joined.ID, Incarnation: s.joined.Incarnation, Held: l.h.Held()}
	var answer wire.BeatAnswer
	if err := s.peer.conn.Call(ctx, wire.MethodBeat, &b, &answer); err != nil {
		return false, fmt.Errorf("beat: %w", err)
	}
	if len(answer.Stop) > 0 {
		l.h.Stop(answer.Stop)
	}
	return answer.Known, nil
}
