package cluster

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

const snapshotBuffer = 1 << 20 // Raft's own is 4 KiB

// snapshotStore is Raft's snapshot store with a larger buffer, and with an eye on the log when another node's snapshot was
// installed. Raft keeps the log it has then, whatever is in it, and its note of where that log ends:
//
//   - A log that ends before the snapshot stays in front of it, with entries that may never have been committed. As a leader
//     this node would send them to a follower that has come so far, as committed. So they are deleted.
//   - A log that goes on beyond the snapshot on another branch, or that Raft then cuts at the snapshot, does not fit what
//     the leader sends next, nor ever will, and the snapshot is sent again and again (hashicorp/raft#697). Raft's note cannot
//     be changed while it runs, so the process ends; the start looks at the log (dropStaleLog).
type snapshotStore struct {
	raft.SnapshotStore
	log      *raft.LogCache
	trailing uint64 // entries that Raft keeps
	logger   hclog.Logger
	fatal    fatalFunc
	newest   *snapshotMark
}

// newSnapshotStore wraps a store, and notes the newest that is in it.
func newSnapshotStore(inner raft.SnapshotStore, log *raft.LogCache, trailing uint64, logger hclog.Logger, fatal fatalFunc) (snapshotStore, error) {
	s := snapshotStore{inner, log, trailing, logger, fatal, new(snapshotMark)}
	list, err := inner.List()
	if err != nil {
		return s, fmt.Errorf("list snapshots: %w", err)
	}
	for _, m := range list {
		s.newest.note(*m)
	}
	return s, nil
}

// Create starts a snapshot.
func (s snapshotStore) Create(version raft.SnapshotVersion, index, term uint64, servers raft.Configuration, serversIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(version, index, term, servers, serversIndex, t)
	if err != nil {
		return nil, err
	}
	return &snapshotSink{SnapshotSink: sink, buf: bufio.NewWriterSize(sink, snapshotBuffer), store: s, meta: raft.SnapshotMeta{Index: index, Term: term}}, nil
}

// snapshotSink takes one snapshot, another node's unless it is marked as this node's own.
type snapshotSink struct {
	raft.SnapshotSink
	buf   *bufio.Writer
	store snapshotStore
	meta  raft.SnapshotMeta // its index and term
	own   bool
}

// markOwn says that what is written to the sink is the state that this node has reached by its log.
func markOwn(sink raft.SnapshotSink) {
	if s, ok := sink.(*snapshotSink); ok {
		s.own = true
	}
}

func (s *snapshotSink) Write(p []byte) (int, error) { return s.buf.Write(p) }

// Close makes the snapshot durable and visible, or leaves none. After an error there may be one when it is the log that it
// does not fit: the process is ending then.
func (s *snapshotSink) Close() error {
	if err := s.buf.Flush(); err != nil {
		_ = s.SnapshotSink.Cancel()
		return fmt.Errorf("write snapshot: %w", err)
	}
	if err := s.SnapshotSink.Close(); err != nil {
		return err
	}
	if !s.own {
		if err := s.store.installed(s.meta); err != nil {
			return err
		}
	}
	s.store.newest.note(s.meta)
	return nil
}

// installed makes the log fit a snapshot of another node that has become durable. Raft waits for it, and writes nothing to
// the log meanwhile.
func (s snapshotStore) installed(snapshot raft.SnapshotMeta) error {
	last, err := s.log.LastIndex()
	if err != nil {
		return fmt.Errorf("last entry of the log: %w", err)
	}
	if last < snapshot.Index {
		return dropStaleLog(snapshot, s.log, s.logger)
	}
	var e raft.Log
	err = s.log.GetLog(snapshot.Index, &e)
	switch {
	case errors.Is(err, raft.ErrLogNotFound):
		return nil // an own snapshot reaches as far, and the log is of its branch
	case err != nil:
		return fmt.Errorf("read the log: %w", err)
	case e.Term != snapshot.Term:
		return s.end(fmt.Sprintf("a snapshot up to entry %d was installed, and the log has entries up to %d that the others did not commit (term %d there, %d in the snapshot)",
			snapshot.Index, last, e.Term, snapshot.Term))
	case last > snapshot.Index && (s.log.IsMonotonic() || last-snapshot.Index >= s.trailing):
		return s.end(fmt.Sprintf("a snapshot up to entry %d was installed although the log reaches to %d", snapshot.Index, last))
	}
	return nil
}

// end ends the process.
func (s snapshotStore) end(reason string) error {
	s.fatal(reason + ": Raft cannot go on from there while it runs (hashicorp/raft#697): " + restartMends)
	return errors.New(reason)
}
