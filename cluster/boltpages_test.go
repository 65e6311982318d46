package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		if err := checkBolt(path); err != nil {
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
