package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func TestADamagedMetaPageIsNotPassedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	if err := checkBolt(path); err != nil {
		t.Fatalf("no file is none damaged: %v", err)
	}
	b, err := openBolt(path, stableMmapBytes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) { // the pages take turns
		if err := b.SetUint64([]byte("k"), i); err != nil {
			t.Fatal(err)
		}
		if _, err := checkBoltMeta(path); err != nil {
			t.Errorf("after write %d: %v", i, err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := range 2 {
		for at := range boltMetaEnd {
			damaged := append([]byte(nil), whole...)
			damaged[page*os.Getpagesize()+boltHeader+at] ^= 0x10
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := openBolt(path, stableMmapBytes); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("page %d, byte %d: %v", page, at, err)
			}
		}
	}
}

// Whatever bit of a page's header or of an element is wrong, the file is named and the process goes on.
func TestADamagedPageIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	b, err := openBolt(path, stableMmapBytes)
	if err != nil {
		t.Fatal(err)
	}
	var logs []*raft.Log
	for i := range uint64(30) {
		logs = append(logs, &raft.Log{Index: i + 1, Data: make([]byte, 300*(i%25))})
	}
	if err := errors.Join(b.StoreLogs(logs), b.SetUint64([]byte("k"), 1), b.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := checkBoltMeta(path)
	if err != nil {
		t.Fatal(err)
	}
	w := boltWalk{bytes.NewReader(whole), meta, make(map[uint64]bool)}
	if err := w.page(meta.root, 0, span{}); err != nil {
		t.Fatal(err)
	}
	found, missed := 0, 0
	for n := range w.seen {
		start := int(n) * int(meta.pageSize)
		if binary.NativeEndian.Uint64(whole[start:]) != n {
			continue // the rest of a page that is longer
		}
		for at := range boltHeader + 2*boltElement {
			damaged := bytes.Clone(whole)
			damaged[start+at] ^= 1 << (at % 8)
			path := fmt.Sprintf("%s-%d-%d", path, n, at) // Bolt leaves a file locked when it panics
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tryBolt(path); err == nil {
				missed++ // a shorter count or key: the entries' own checks are for that
			} else if found++; !strings.Contains(err.Error(), path) {
				t.Fatalf("page %d, byte %d: %v", n, at, err)
			}
		}
	}
	if found < missed {
		t.Errorf("of damaged pages %d were found and %d were not", found, missed)
	}
}

// tryBolt opens a file as openStores does, which takes a panic in its own goroutine for what it is.
func tryBolt(path string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("open %s: %v", path, p)
		}
	}()
	b, err := openBolt(path, stableMmapBytes)
	if err != nil {
		return err
	}
	return b.Close()
}
