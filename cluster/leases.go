package cluster

import (
	"sync"
	"time"

	"github.com/musterhq/muster/fsm"
)

const (
	// leaseLook is how often leases are judged.
	leaseLook = 50 * time.Millisecond
	// stallLimit is the gap between two looks after which the leader doubts its own clock rather than the workers.
	stallLimit = time.Second
)

// leases is the lease table: when each worker last gave a sign of life. It lives in the leader's memory alone.
type leases struct {
	ttl   time.Duration
	grace time.Duration // after a connection dropped

	mu     sync.Mutex
	byID   map[fsm.WorkerID]*lease
	looked time.Time
}

type lease struct {
	incarnation uint32
	beat        time.Time // last sign of life
	until       time.Time
	linked      bool
	judged      bool // found expired and handed to the caller, until it beats again
}

// expired is a worker that is to be declared lost.
type expired struct {
	worker      fsm.WorkerID
	incarnation uint32
	cause       string
}

func newLeases(ttl, grace time.Duration) *leases {
	return &leases{ttl: ttl, grace: grace, byID: make(map[fsm.WorkerID]*lease)}
}

// reset begins a leadership: every worker gets a full fresh TTL, whatever it did under the last leader.
func (l *leases) reset(workers []fsm.WorkerInfo, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.byID)
	l.looked = now
	for _, w := range workers {
		if !w.Lost {
			l.byID[w.ID] = &lease{incarnation: w.Incarnation, until: now.Add(l.ttl)}
		}
	}
}

// follow takes up a change of the registry: one that joined gets a lease, one that has gone loses it.
func (l *leases) follow(w fsm.WorkerInfo, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.Lost {
		delete(l.byID, w.ID)
		return
	}
	if o := l.byID[w.ID]; o == nil || o.incarnation != w.Incarnation {
		l.byID[w.ID] = &lease{incarnation: w.Incarnation, beat: now, until: now.Add(l.ttl)}
	}
}

// beat renews a worker's lease.
func (l *leases) beat(id fsm.WorkerID, incarnation uint32, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.byID[id]
	if o == nil {
		o = &lease{incarnation: incarnation}
		l.byID[id] = o
	}
	if o.incarnation != incarnation {
		return
	}
	o.beat, o.until, o.judged = now, now.Add(l.ttl), false
}

// link notes that a worker's connection is up or has dropped. A dropped one shortens the wait to the reconnect grace.
func (l *leases) link(id fsm.WorkerID, up bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.byID[id]
	if o == nil {
		return
	}
	o.linked = up
	if until := now.Add(l.grace); !up && until.Before(o.until) {
		o.until = until
	}
}

// lastBeat is a worker's last sign of life under this leader.
func (l *leases) lastBeat(id fsm.WorkerID) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.byID[id]
	if o == nil || o.beat.IsZero() {
		return time.Time{}, false
	}
	return o.beat, true
}

// look finds the workers whose lease has run out. When the last look is long ago, the leader itself was stalled: beats
// may wait unread in its sockets, so every lease is renewed instead. stalled says so.
func (l *leases) look(now time.Time) (lost []expired, stalled time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gap := now.Sub(l.looked)
	l.looked = now
	if gap > stallLimit {
		for _, o := range l.byID {
			o.until = now.Add(l.ttl)
		}
		return nil, gap
	}
	for id, o := range l.byID {
		if o.judged || now.Before(o.until) {
			continue
		}
		o.judged = true
		cause := "no beat for " + l.ttl.String()
		if !o.linked && !o.beat.IsZero() && now.Sub(o.beat) < l.ttl {
			cause = "its connection was lost and did not come back within " + l.grace.String()
		}
		lost = append(lost, expired{id, o.incarnation, cause})
	}
	return lost, 0
}

// retry lets a worker be judged again: declaring it lost did not work out.
func (l *leases) retry(e expired) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.byID[e.worker]; o != nil && o.incarnation == e.incarnation {
		o.judged = false
	}
}

// forget drops the lease of a worker that the registry does not know.
func (l *leases) forget(e expired) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.byID[e.worker]; o != nil && o.incarnation == e.incarnation {
		delete(l.byID, e.worker)
	}
}
