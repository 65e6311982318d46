package cluster

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func TestStableStoreTellsADamagedValue(t *testing.T) {
	inner := raft.NewInmemStore()
	fatal := ""
	guard := &diskGuard{path: "stable.db", fatal: func(reason string) { fatal = reason }}
	guard.quiet.Store(true)
	s := &stableStore{inner, guard}
	if _, err := s.GetUint64(termKey); err == nil || err.Error() != "not found" {
		t.Fatalf("a key that was never set: %v; Raft knows it by its text", err)
	}
	if err := s.SetUint64(termKey, 7); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetUint64(termKey); got != 7 || err != nil {
		t.Fatalf("%d, %v", got, err)
	}
	whole, err := inner.Get(termKey)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		damaged := append([]byte(nil), whole...)
		damaged[i] ^= 1
		if err := inner.Set(termKey, damaged); err != nil {
			t.Fatal(err)
		}
		if got, err := s.GetUint64(termKey); !errors.Is(err, ErrCorruptValue) || !strings.Contains(err.Error(), "stable.db") {
			t.Errorf("byte %d flipped: %d, %v", i, got, err)
		}
	}
	if fatal != "" {
		t.Errorf("before Raft runs the error is for the caller alone: %s", fatal)
	}
	guard.quiet.Store(false)
	if _, err := s.Get(termKey); err == nil || fatal == "" {
		t.Errorf("while Raft runs a damaged term ends the node: %v", err)
	}
	// A value under another key is none of its own.
	if err := inner.Set([]byte("LastVoteTerm"), whole); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetUint64([]byte("LastVoteTerm")); !errors.Is(err, ErrCorruptValue) {
		t.Errorf("a value of another key: %v", err)
	}
}

func TestStableStoreTellsALostTerm(t *testing.T) {
	s := &stableStore{raft.NewInmemStore(), &diskGuard{path: "stable.db"}}
	if err := s.SetUint64(termKey, 3); err != nil {
		t.Fatal(err)
	}
	if err := s.SetUint64([]byte("LastVoteTerm"), 3); err != nil {
		t.Fatal(err)
	}
	if err := s.Set([]byte("LastVoteCand"), []byte("n")); err != nil {
		t.Fatal(err)
	}
	if err := s.check(3); err != nil {
		t.Error(err)
	}
	if err := s.check(4); err == nil || !strings.Contains(err.Error(), "term 3") {
		t.Errorf("entries of a later term: %v", err)
	}
}
