package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// ErrCorruptValue is returned when a term or a vote is not what was written. A node that believed it could vote twice in
// a term.
var ErrCorruptValue = errors.New("corrupt value")

// Keys under which Raft keeps its term and its vote; it does not export them.
var (
	termKey      = []byte("CurrentTerm")
	stableValues = [][]byte{termKey, []byte("LastVoteTerm"), []byte("LastVoteCand")}
)

// stableStore is Raft's stable store with a checksum behind each value, of its key, too, and a guard on each write. Bolt
// has checksums on its two first pages only.
type stableStore struct {
	inner raft.StableStore
	guard *diskGuard
}

// Set stores a value durably.
func (s *stableStore) Set(key, value []byte) error {
	return s.guard.write("store a vote", func() error { return s.inner.Set(key, sealValue(key, value)) })
}

// Get reads a value. A key that was never set is an error of the text that Raft knows it by.
func (s *stableStore) Get(key []byte) ([]byte, error) {
	stored, err := s.inner.Get(key)
	if err != nil {
		return nil, err
	}
	value, err := unsealValue(key, stored)
	if err != nil {
		err = fmt.Errorf("%w in %s", err, s.guard.path)
		if !s.guard.quiet.Load() {
			s.guard.fatal(fmt.Sprintf("%v: %s", err, rejoin))
		}
	}
	return value, err
}

// SetUint64 stores a number durably.
func (s *stableStore) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 reads a number. A key that was never set is an error of the text that Raft knows it by.
func (s *stableStore) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("%w of %s: %d bytes, not a number", ErrCorruptValue, key, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// check reads every value. last is the term of the newest entry or snapshot here: Raft stores a term before anything
// that is of it, so an older one, or none, has been lost.
func (s *stableStore) check(last uint64) error {
	for _, key := range stableValues {
		if _, err := s.Get(key); err != nil && !unset(err) {
			return fmt.Errorf("read %s: %w: %s", s.guard.path, err, rejoin)
		}
	}
	term, err := s.GetUint64(termKey)
	if err != nil && !unset(err) {
		return fmt.Errorf("read %s: %w: %s", s.guard.path, err, rejoin)
	}
	if term < last {
		return fmt.Errorf("%s is of term %d, but entries of term %d are there beside it: restore it, or %s", s.guard.path, term, last, rejoin)
	}
	return nil
}

// unset says whether a key was never set. Raft's stores have only this text in common.
func unset(err error) bool { return err.Error() == "not found" }

func sealValue(key, value []byte) []byte {
	b := append(make([]byte, 0, len(value)+sealBytes), value...)
	b = append(b, sealVersion)
	return binary.BigEndian.AppendUint32(b, valueSum(key, value))
}

func unsealValue(key, stored []byte) ([]byte, error) {
	n := len(stored) - sealBytes
	switch {
	case n < 0:
		return nil, fmt.Errorf("%w of %s: it has no checksum", ErrCorruptValue, key)
	case stored[n] != sealVersion:
		return nil, fmt.Errorf("%w of %s: checksum of version %d, this muster knows %d", ErrCorruptValue, key, stored[n], sealVersion)
	}
	value := stored[:n:n]
	if got, want := valueSum(key, value), binary.BigEndian.Uint32(stored[n+1:]); got != want {
		return nil, fmt.Errorf("%w of %s: checksum %08x, stored %08x", ErrCorruptValue, key, got, want)
	}
	return value, nil
}

func valueSum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}
