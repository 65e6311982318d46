package cluster

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/fsm"
)

// hashHistory is how many of the newest state hashes are kept, to compare with other coordinators'.
const hashHistory = 4096

// applier is Raft's FSM: it owns the state machine, hands out views of it and feeds the ring of events.
type applier struct {
	log   hclog.Logger
	fatal fatalFunc
	ring  *ring

	mu     sync.RWMutex // guards m and hashes; held for the length of a batch
	m      *fsm.Machine
	hashes [hashHistory]hashAt

	index atomic.Uint64            // of the last entry applied
	view  atomic.Pointer[fsm.View] // the newest taken
	took  applyMetrics
}

// hashAt is the state's hash after an entry.
type hashAt struct{ index, hash uint64 }

// applyMetrics receives how long a batch took.
type applyMetrics func(entries int, took time.Duration)

func newApplier(log hclog.Logger, fatal fatalFunc, took applyMetrics) *applier {
	return &applier{log: log, fatal: fatal, ring: newRing(ringEvents), m: fsm.New(), took: took}
}

// Apply implements raft.FSM. Raft calls ApplyBatch instead.
func (a *applier) Apply(l *raft.Log) any { return a.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM. The result of a command entry is its []fsm.Answer.
func (a *applier) ApplyBatch(logs []*raft.Log) []any {
	start := time.Now()
	results := make([]any, len(logs))
	a.mu.Lock()
	jumped := false
	for i, l := range logs {
		results[i] = a.apply(l)
		jumped = jumped || a.m.Jumped()
	}
	index := a.m.Index()
	a.mu.Unlock()
	a.index.Store(index)
	if jumped {
		a.ring.reset(index) // a saved state is in place: who watches reads it anew
	} else {
		a.ring.wake(index)
	}
	a.took(len(logs), time.Since(start))
	return results
}

func (a *applier) apply(l *raft.Log) any {
	if l.Type != raft.LogCommand {
		a.m.Skip(l.Index)
		return nil
	}
	answers, err := a.m.Apply(l.Index, l.Term, l.Data)
	if err != nil {
		// To go on without the entry would make this state differ from the others'.
		a.fatal("cannot apply the log: " + err.Error())
		return err
	}
	a.hashes[l.Index%hashHistory] = hashAt{l.Index, a.m.Hash()}
	a.ring.add(a.m.Events())
	return answers
}

// Snapshot implements raft.FSM. It runs on the apply loop and costs microseconds; Persist does the work.
func (a *applier) Snapshot() (raft.FSMSnapshot, error) {
	return viewSnapshot{a.at(a.index.Load())}, nil
}

// Restore implements raft.FSM: the new state is built and checked aside, then takes the old one's place.
func (a *applier) Restore(in io.ReadCloser) error {
	defer in.Close()
	m, err := fsm.Restore(in)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.m = m
	v := m.View()
	a.view.Store(v)
	a.mu.Unlock()
	a.index.Store(m.Index())
	a.ring.reset(m.Index())
	return nil
}

// at is a view at or after the entry at index, which has been applied. Views are shared: a new one is only taken when
// the newest is older than that.
func (a *applier) at(index uint64) *fsm.View {
	if v := a.view.Load(); v != nil && v.Index() >= index {
		return v
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if v := a.view.Load(); v != nil && v.Index() >= a.m.Index() {
		return v // another reader was quicker
	}
	v := a.m.View()
	a.view.Store(v)
	return v
}

// now is a view of what is applied now.
func (a *applier) now() *fsm.View { return a.at(a.index.Load()) }

// nextDeadline is when the state machine wants a Tick.
func (a *applier) nextDeadline() (int64, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.m.NextDeadline()
}

// busy says whether entries left something to be done.
func (a *applier) busy() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.m.Busy()
}

// time is that of the last entry.
func (a *applier) time() int64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.m.Now()
}

// hash is the state's hash after the last entry that carried commands.
func (a *applier) hash() hashAt {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return hashAt{a.m.Index(), a.m.Hash()}
}

// differs says whether another coordinator had another hash after the same entry, if this one remembers it.
func (a *applier) differs(o hashAt) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	own := a.hashes[o.index%hashHistory]
	return own.index == o.index && own.hash != o.hash
}

// viewSnapshot writes a view to Raft's snapshot store.
type viewSnapshot struct{ v *fsm.View }

// Persist implements raft.FSMSnapshot.
func (s viewSnapshot) Persist(sink raft.SnapshotSink) error {
	markOwn(sink)
	if _, err := s.v.WriteTo(sink); err != nil {
		return errors.Join(fmt.Errorf("write snapshot %s: %w", sink.ID(), err), sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (viewSnapshot) Release() {}
