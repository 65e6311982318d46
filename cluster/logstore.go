package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// Each stored entry carries a checksum in front of its Extensions: a version byte and a CRC-32C of index, term, type,
// data and extensions. Raft's stores have none that is looked at when an entry is read.
const (
	sealVersion byte = 1
	sealBytes   int  = 5
)

// deleteChunk is how many entries one transaction deletes: appends wait for it.
const deleteChunk = 256

// entryOverheadBytes is what an entry counts for beside its data, so that many small ones call for a snapshot, too.
const entryOverheadBytes = 512

// ErrCorruptEntry is returned when a stored log entry is not what was written.
var ErrCorruptEntry = errors.New("corrupt log entry")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// logStore is Raft's log store with a checksum on each entry, a guard on each write, deletes in small transactions, and a
// count of what was appended.
type logStore struct {
	inner    raft.LogStore
	guard    *diskGuard
	appended atomic.Int64
}

func newLogStore(inner raft.LogStore, guard *diskGuard) *logStore {
	return &logStore{inner: inner, guard: guard}
}

// appendedBytes is how much was appended since the store was opened; it never falls.
func (s *logStore) appendedBytes() int64 { return s.appended.Load() }

// IsMonotonic is the inner store's.
func (s *logStore) IsMonotonic() bool {
	m, ok := s.inner.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

func (s *logStore) FirstIndex() (uint64, error) { return s.inner.FirstIndex() }
func (s *logStore) LastIndex() (uint64, error)  { return s.inner.LastIndex() }

// GetLog reads the entry at index into log: whole and right, or an error that is ErrCorruptEntry or raft.ErrLogNotFound.
func (s *logStore) GetLog(index uint64, log *raft.Log) error {
	var e raft.Log
	err := s.get(index, &e)
	if err == nil {
		err = unseal(index, &e)
	}
	switch {
	case err == nil:
		*log = e
	case errors.Is(err, ErrCorruptEntry) && !s.guard.quiet.Load():
		s.guard.fatal(fmt.Sprintf("%v in %s: move the data directory away and start again, so that the node joins anew", err, s.guard.path))
	}
	return err
}

// get turns a panic into an error: raft-wal's decoder panics on some broken bytes.
func (s *logStore) get(index uint64, log *raft.Log) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w at index %d: reading it panics: %v", ErrCorruptEntry, index, p)
		}
	}()
	err = s.inner.GetLog(index, log)
	if err != nil && !errors.Is(err, raft.ErrLogNotFound) {
		err = fmt.Errorf("%w at index %d: %w", ErrCorruptEntry, index, err)
	}
	return err
}

// StoreLog stores one entry.
func (s *logStore) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

// StoreLogs stores entries. They are shared with Raft and its cache, so sealed copies are stored.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	sealed := make([]raft.Log, len(logs))
	refs := make([]*raft.Log, len(logs))
	size := 0
	for i, l := range logs {
		sealed[i] = *l
		sealed[i].Extensions = seal(l)
		refs[i] = &sealed[i]
		size += entrySize(l)
	}
	err := s.guard.write("append to the log", func() error { return s.inner.StoreLogs(refs) })
	if err == nil {
		s.appended.Add(int64(size))
	}
	return err
}

func entrySize(l *raft.Log) int { return len(l.Data) + entryOverheadBytes }

// DeleteRange deletes the entries from … to, both included. What is left at any moment has no gap: a prefix goes oldest first, a suffix newest first.
func (s *logStore) DeleteRange(from, to uint64) error {
	if s.IsMonotonic() { // it deletes whole files, at once
		return s.guard.write("truncate the log", func() error { return s.inner.DeleteRange(from, to) })
	}
	first, err := s.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.LastIndex()
	if err != nil || first == 0 || from > to {
		return err
	}
	lo, hi := max(from, first), min(to, last)
	if hi < last {
		return s.deleteUp(lo, hi)
	}
	return s.deleteDown(lo, hi)
}

func (s *logStore) deleteUp(lo, hi uint64) error {
	for ; lo <= hi; lo += deleteChunk {
		if err := s.deleteSome(lo, min(hi, lo+deleteChunk-1)); err != nil {
			return err
		}
	}
	return nil
}

func (s *logStore) deleteDown(lo, hi uint64) error {
	for hi >= lo && hi > 0 {
		from := lo
		if hi-lo >= deleteChunk {
			from = hi - deleteChunk + 1
		}
		if err := s.deleteSome(from, hi); err != nil {
			return err
		}
		hi = from - 1
	}
	return nil
}

func (s *logStore) deleteSome(lo, hi uint64) error {
	return s.guard.write("truncate the log", func() error { return s.inner.DeleteRange(lo, hi) })
}

// seal is the Extensions to store with an entry.
func seal(l *raft.Log) []byte {
	b := make([]byte, sealBytes, sealBytes+len(l.Extensions))
	b[0] = sealVersion
	binary.BigEndian.PutUint32(b[1:], checksum(l, l.Extensions))
	return append(b, l.Extensions...)
}

// unseal checks what was read for index and gives it its own Extensions back.
func unseal(index uint64, l *raft.Log) error {
	switch {
	case l.Index != index:
		return fmt.Errorf("%w at index %d: it says it is entry %d", ErrCorruptEntry, index, l.Index)
	case len(l.Extensions) < sealBytes:
		return fmt.Errorf("%w at index %d: it has no checksum", ErrCorruptEntry, index)
	case l.Extensions[0] != sealVersion:
		return fmt.Errorf("%w at index %d: checksum of version %d, this muster knows %d", ErrCorruptEntry, index, l.Extensions[0], sealVersion)
	}
	want, ext := binary.BigEndian.Uint32(l.Extensions[1:]), l.Extensions[sealBytes:]
	if len(ext) == 0 {
		ext = nil
	}
	if got := checksum(l, ext); got != want {
		return fmt.Errorf("%w at index %d: checksum %08x, stored %08x", ErrCorruptEntry, index, got, want)
	}
	l.Extensions = ext
	return nil
}

func checksum(l *raft.Log, extensions []byte) uint32 {
	var head [25]byte
	binary.BigEndian.PutUint64(head[0:], l.Index)
	binary.BigEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	binary.BigEndian.PutUint64(head[17:], uint64(len(l.Data)))
	sum := crc32.Update(0, castagnoli, head[:])
	sum = crc32.Update(sum, castagnoli, l.Data)
	return crc32.Update(sum, castagnoli, extensions)
}
