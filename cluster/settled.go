package cluster

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// settledTransport looks at the appends that come before Raft does:
//
//   - One that begins before this node's newest snapshot is cut to begin there. What a snapshot holds is committed, so the
//     leader has the same. Raft looks for the entry in front of it in its log, from where compaction has taken it, and
//     refuses; the leader goes back, one entry at a time, to where its own log begins, and sends its snapshot. If that is
//     older than those that this node has, it is swept away as the oldest before Raft can read it, and sent again for ever.
//   - None lets entries count as committed that it does not cover (Ongaro and Ousterhout 2014, fig. 2, AppendEntries 5).
//     Raft takes the end of its own log instead, whatever is behind what was compared.
type settledTransport struct {
	Transport
	newest *snapshotMark
	calls  chan raft.RPC
	stop   chan struct{}
	done   sync.WaitGroup
}

// newSettledTransport starts looking. CloseStreams ends it.
func newSettledTransport(inner Transport, newest *snapshotMark) *settledTransport {
	t := &settledTransport{Transport: inner, newest: newest, calls: make(chan raft.RPC), stop: make(chan struct{})}
	t.done.Go(t.run)
	return t
}

// Consumer implements raft.Transport.
func (t *settledTransport) Consumer() <-chan raft.RPC { return t.calls }

// CloseStreams implements Transport. Raft must have ended.
func (t *settledTransport) CloseStreams() {
	close(t.stop)
	t.done.Wait()
	t.Transport.CloseStreams()
}

func (t *settledTransport) run() {
	for {
		select {
		case rpc := <-t.Transport.Consumer():
			if a, ok := rpc.Command.(*raft.AppendEntriesRequest); ok {
				rpc.Command = settle(a, t.newest.get())
			}
			select {
			case t.calls <- rpc:
			case <-t.stop:
				return
			}
		case <-t.stop:
			return
		}
	}
}

// settle is an append as Raft may see it, on a node with that snapshot.
func settle(a *raft.AppendEntriesRequest, s raft.SnapshotMeta) *raft.AppendEntriesRequest {
	if a.PrevLogEntry == 0 && len(a.Entries) == 0 {
		return a // a heartbeat: it says nothing of the log
	}
	b := *a
	if b.PrevLogEntry < s.Index {
		for len(b.Entries) > 0 && b.Entries[0].Index <= s.Index {
			b.Entries = b.Entries[1:]
		}
		b.PrevLogEntry, b.PrevLogTerm = s.Index, s.Term
	}
	covered := b.PrevLogEntry
	if n := len(b.Entries); n > 0 {
		covered = b.Entries[n-1].Index
	}
	b.LeaderCommitIndex = min(b.LeaderCommitIndex, covered)
	return &b
}

// snapshotMark is the index and term of the newest snapshot that is durable.
type snapshotMark struct {
	meta atomic.Pointer[raft.SnapshotMeta]
}

func (n *snapshotMark) get() raft.SnapshotMeta {
	if m := n.meta.Load(); m != nil {
		return *m
	}
	return raft.SnapshotMeta{}
}

// note takes up one that has become durable. Raft writes one at a time.
func (n *snapshotMark) note(m raft.SnapshotMeta) {
	for {
		old := n.meta.Load()
		if old != nil && old.Index >= m.Index || n.meta.CompareAndSwap(old, &m) {
			return
		}
	}
}
