package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
)

// How bbolt begins a file (its format is fixed as version 2): two pages of meta data, written in turn, one for each
// transaction. Numbers are in the order of the machine.
const (
	boltMagic    = 0xED0CDAED
	boltHeader   = 16 // of a page, before the meta data
	boltPageSize = 8  // where the size of a page is in the meta data
	boltMetaSum  = 56 // where its checksum is, of all that is before it
	boltMetaEnd  = boltMetaSum + 8
)

// checkBolt looks at both meta pages of a Bolt file. Bolt itself makes do with one: when the newer is damaged it opens
// the file as it was before the last transaction, and an entry or a vote that others rely on is gone. A crash leaves
// both whole: the meta data fits into one sector of a disk.
func checkBolt(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() == 0 {
		return err
	}
	meta := make([]byte, boltHeader+boltMetaEnd)
	size := int64(os.Getpagesize())
	for page := range int64(2) {
		if _, err := f.ReadAt(meta, page*size); err != nil {
			return fmt.Errorf("read page %d of %s: %w: %s", page, path, err, rejoin)
		}
		m := meta[boltHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:boltMetaSum])
		if binary.NativeEndian.Uint32(m) != boltMagic || binary.NativeEndian.Uint64(m[boltMetaSum:]) != sum.Sum64() {
			return fmt.Errorf("page %d of %s is damaged, so that its last write may be missing: %s", page, path, rejoin)
		}
		size = int64(binary.NativeEndian.Uint32(m[boltPageSize:]))
	}
	return nil
}
