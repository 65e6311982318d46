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
	boltRoot     = 16 // where the first page of the list of buckets is
	boltEnd      = 40 // where the number of pages that were ever used is
	boltTxID     = 48 // where the transaction's number is
	boltMetaSum  = 56 // where its checksum is, of all that is before it
	boltMetaEnd  = boltMetaSum + 8
)

// checkBolt looks at the meta pages and the tree of a Bolt file that may be there.
func checkBolt(path string) error {
	newest, err := checkBoltMeta(path)
	if err == nil && newest.pageSize != 0 {
		err = walkBolt(path, newest)
	}
	return err
}

// boltMeta is what the newest transaction says of the file.
type boltMeta struct {
	pageSize  int64
	root, end uint64 // pages: of the list of buckets; the first one that was never used
	txid      uint64
}

// checkBoltMeta looks at both meta pages. Bolt itself makes do with one: when the newer is damaged it opens
// the file as it was before the last transaction, and an entry or a vote that others rely on is gone. A crash leaves
// both whole: the meta data fits into one sector of a disk.
func checkBoltMeta(path string) (newest boltMeta, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newest, nil
	}
	if err != nil {
		return newest, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() == 0 {
		return newest, err
	}
	meta := make([]byte, boltHeader+boltMetaEnd)
	size := int64(os.Getpagesize())
	for page := range int64(2) {
		if _, err := f.ReadAt(meta, page*size); err != nil {
			return boltMeta{}, fmt.Errorf("read page %d of %s: %w: %s", page, path, err, rejoin)
		}
		m := meta[boltHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:boltMetaSum])
		if binary.NativeEndian.Uint32(m) != boltMagic || binary.NativeEndian.Uint64(m[boltMetaSum:]) != sum.Sum64() {
			return boltMeta{}, fmt.Errorf("page %d of %s is damaged, so that its last write may be missing: %s", page, path, rejoin)
		}
		size = int64(binary.NativeEndian.Uint32(m[boltPageSize:]))
		if txid := binary.NativeEndian.Uint64(m[boltTxID:]); page == 0 || txid > newest.txid {
			newest = boltMeta{size, binary.NativeEndian.Uint64(m[boltRoot:]), binary.NativeEndian.Uint64(m[boltEnd:]), txid}
		}
	}
	return newest, nil
}
