package cluster

import (
	"context"
	"errors"
	"sort"
	"sync"

	"github.com/musterhq/muster/fsm"
)

// ringEvents is how many events a coordinator remembers for those who watch: some seconds at full load.
const ringEvents = 1 << 18

// watchBatchMax is the number of events that a Watcher hands out at a time, unless one entry brought more.
const watchBatchMax = 4096

// ErrTooOld is returned by Watcher.Next when the events that come next are no longer remembered. The watcher reads the
// state anew and goes on from there.
var ErrTooOld = errors.New("these events are no longer kept: read the state and watch from its index")

// ring is the newest events, in the order of the log.
type ring struct {
	mu     sync.Mutex
	events []fsm.Event // a circle
	first  uint64      // number of the oldest kept, counting all that ever were
	next   uint64      // number that the next one gets
	since  uint64      // every event after this index is kept
	index  uint64      // of the last entry
	pulse  chan struct{}
}

func newRing(size int) *ring {
	return &ring{events: make([]fsm.Event, size), pulse: make(chan struct{})}
}

// add appends the events of one entry. wake makes them known.
func (r *ring) add(events []fsm.Event) {
	if len(events) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		at := r.next % uint64(len(r.events))
		if r.next-r.first == uint64(len(r.events)) {
			r.since = r.events[at].Index
			r.first++
		}
		r.events[at] = e
		r.next++
	}
}

// wake tells everyone who waits that entries up to index were applied.
func (r *ring) wake(index uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index = index
	close(r.pulse)
	r.pulse = make(chan struct{})
}

// reset forgets all events: the state jumped to index.
func (r *ring) reset(index uint64) {
	r.mu.Lock()
	r.first, r.since = r.next, index
	r.mu.Unlock()
	r.wake(index)
}

// after copies events of entries after index, whole entries at a time, and says up to which index they reach.
func (r *ring) after(index uint64, buf []fsm.Event) ([]fsm.Event, uint64, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if index < r.since {
		return nil, index, nil, ErrTooOld
	}
	n := int(r.next - r.first)
	at := func(i int) *fsm.Event { return &r.events[(r.first+uint64(i))%uint64(len(r.events))] }
	from := sort.Search(n, func(i int) bool { return at(i).Index > index })
	reached := r.index
	for i := from; i < n; i++ {
		e := at(i)
		if e.Index > r.index {
			break // of an entry whose batch is still being applied
		}
		if len(buf) >= watchBatchMax && buf[len(buf)-1].Index != e.Index {
			reached = buf[len(buf)-1].Index
			break
		}
		buf = append(buf, *e)
	}
	return buf, max(reached, index), r.pulse, nil
}

// Watcher hands out events in the order of the log; all events of an entry come in one batch.
type Watcher struct {
	ring *ring
	from uint64
	buf  []fsm.Event
}

// Next waits for events and returns them; the slice is valid until the next call. It returns ErrTooOld when the
// watcher fell behind what is remembered.
func (w *Watcher) Next(ctx context.Context) ([]fsm.Event, error) {
	for {
		events, reached, changed, err := w.ring.after(w.from, w.buf[:0])
		if err != nil {
			return nil, err
		}
		w.from = reached
		if len(events) > 0 {
			w.buf = events
			return events, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the watch. A Watcher holds nothing but memory, so that forgetting it is harmless.
func (w *Watcher) Close() { w.buf = nil }
