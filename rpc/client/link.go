package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/musterhq/muster/rpc/wire"
)

// progressQueueMax is how many bytes may wait for the leader to read before progress, which is only a hint, is dropped.
const progressQueueMax = 1 << 20

// Link keeps a worker joined to the leader, through elections and restarts.
//
// Run does the work: on each new leader it joins (the same Process keeps its id), beats with Held, and asks for jobs if
// Accepting; from then on it beats every TTL/5 on a goroutine that does nothing else. All other methods wait for a
// leader until their ctx ends, and may be called from any goroutine while Run runs, but not from the handler's methods.
type Link struct {
	client  *Client
	join    wire.Join
	h       WorkerHandler
	leaving atomic.Bool   // Leave was called: no more beats, no joining again
	rejoin  chan struct{} // of capacity 1: the leader no longer knows the worker
	last    wire.Joined   // Run's: the newest registration

	mu      sync.Mutex
	session *session      // nil while it is not joined to a leader
	changed chan struct{} // closed when session changes
}

// session is the worker's time with one leader as one incarnation.
type session struct {
	peer   *peer
	joined wire.Joined
}

// WorkerLink makes a link for the worker that j describes. j.Process must be set: random for each start of the worker.
// It starts nothing; Run does.
func (c *Client) WorkerLink(j wire.Join, h WorkerHandler) *Link {
	return &Link{client: c, join: j, h: h, rejoin: make(chan struct{}, 1), changed: make(chan struct{})}
}

// Joined is the worker's registration with the leader it is attached to; false while it has none.
func (l *Link) Joined() (wire.Joined, bool) {
	s, _ := l.current()
	if s == nil {
		return wire.Joined{}, false
	}
	return s.joined, true
}

// Report hands in reports (at most wire.ReportsMax, and together well below wire.FrameBytesMax), and returns a code for
// each: see wire.Reported. It tries again over leader changes until ctx ends: a report is idempotent. Reports take
// effect in the order of the calls, if each call is made after the last has returned.
func (l *Link) Report(ctx context.Context, reports []wire.JobReport) ([]wire.Code, error) {
	var answer wire.Reported
	err := l.do(ctx, wire.MethodReport, func(j wire.Joined) wire.Message {
		return &wire.Report{Worker: j.ID, Incarnation: j.Incarnation, Reports: reports}
	}, &answer)
	if forgotten(err) { // another incarnation holds, or nobody: so nothing of this one counts
		return slices.Repeat([]wire.Code{wire.CodeStale}, len(reports)), nil
	}
	if err == nil && len(answer.Codes) != len(reports) {
		err = fmt.Errorf("report: the leader answered %d of %d reports", len(answer.Codes), len(reports))
	}
	return answer.Codes, err
}

// Progress hands in the newest progress of attempts. It never blocks: without a leader, or when the connection is
// busy, it is dropped, and false is returned.
func (l *Link) Progress(items []wire.ProgressItem) bool {
	s, _ := l.current()
	if s == nil || s.peer.conn.Queued() > progressQueueMax {
		return false
	}
	return s.peer.conn.Push(wire.MethodProgress, &wire.Progress{Items: items}) == nil
}

// Beat beats at once, out of turn; what the leader wants stopped goes to the handler's Stop.
func (l *Link) Beat(ctx context.Context) error {
	s, err := l.await(ctx)
	if err != nil {
		return err
	}
	_, err = l.beat(ctx, s)
	return err
}

// Pick tells the leader anew whether the worker is Accepting: call it when that has changed.
func (l *Link) Pick(ctx context.Context) error {
	return l.do(ctx, wire.MethodPick, l.order, &wire.Empty{})
}

// order is the Pick that the worker wants to stand now.
func (l *Link) order(j wire.Joined) wire.Message {
	p := &wire.Pick{Worker: j.ID, Incarnation: j.Incarnation}
	if l.h.Accepting() {
		p.Max, p.Standing = max(l.join.Slots, 1), true
	}
	return p
}

// Leave says good-bye: what the worker holds goes back on the board, and it neither beats nor joins again. End Run
// afterwards, whether or not Leave succeeded.
func (l *Link) Leave(ctx context.Context) error {
	l.leaving.Store(true)
	err := l.do(ctx, wire.MethodLeave, func(j wire.Joined) wire.Message {
		return &wire.Leave{Worker: j.ID, Incarnation: j.Incarnation}
	}, &wire.Empty{})
	if forgotten(err) {
		return nil // it is as good as gone
	}
	return err
}

// Inputs fetches all parents of a job that the worker holds, for an assignment with FetchInputs. The error is
// wire.ErrStale when the attempt is no longer the current one.
func (l *Link) Inputs(ctx context.Context, job wire.JobID, attempt uint32) ([]wire.Parent, error) {
	var parents []wire.Parent
	for {
		var page wire.InputsPage
		err := l.do(ctx, wire.MethodInputs, func(wire.Joined) wire.Message {
			return &wire.Inputs{Job: job, Attempt: attempt, Skip: uint32(len(parents))}
		}, &page)
		if err != nil {
			return nil, fmt.Errorf("fetch inputs of %s: %w", job, err)
		}
		parents = append(parents, page.Parents...)
		if !page.More {
			return parents, nil
		}
		if len(page.Parents) == 0 {
			return nil, fmt.Errorf("fetch inputs of %s: the leader sent an empty page and promised more", job)
		}
	}
}

// do calls the leader as the worker, and calls again as long as that is safe and ctx lasts.
func (l *Link) do(ctx context.Context, method wire.Method, ask func(wire.Joined) wire.Message, answer wire.Message) error {
	pause := newPause()
	for {
		s, err := l.await(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		err = s.peer.conn.Call(ctx, method, ask(s.joined), answer)
		if forgotten(err) && method != wire.MethodInputs {
			l.joinAgain(s)
		}
		if err == nil || !l.client.again(method, s.peer, err) {
			return settle(ctx, method, err)
		}
		if pauseErr := pause.wait(ctx, err); pauseErr != nil {
			return settle(ctx, method, fmt.Errorf("%w (last: %w)", pauseErr, err))
		}
	}
}

// forgotten says whether the leader refuses the worker's incarnation as a whole.
func forgotten(err error) bool {
	return errors.Is(err, wire.ErrStale) || errors.Is(err, wire.ErrNotFound)
}

// joinAgain makes Run join anew, unless s is past already.
func (l *Link) joinAgain(s *session) {
	if now, _ := l.current(); now != s {
		return
	}
	select {
	case l.rejoin <- struct{}{}:
	default:
	}
}

func (l *Link) current() (*session, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session, l.changed
}

func (l *Link) set(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = s
	close(l.changed)
	l.changed = make(chan struct{})
}

// await is the session with the leader; it waits for one until ctx ends.
func (l *Link) await(ctx context.Context) (*session, error) {
	for {
		s, changed := l.current()
		if s != nil {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrNoLeader, context.Cause(ctx))
		}
	}
}
