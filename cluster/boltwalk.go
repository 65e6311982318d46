package cluster

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// The tree of a Bolt file. A page has a header (its own number, kind, count of elements, how many pages follow that belong
// to it) and elements, which say where behind them their keys and values are.
const (
	boltBranch      = 0x01
	boltLeaf        = 0x02
	boltElement     = 16 // bytes of one, of either kind
	boltIsBucket    = 0x01
	boltBucketBytes = 16 // of a bucket's value: its root page, 0 when it follows at once, and a number
	boltDepthMax    = 64
)

// boltWalk goes through the pages in use. Bolt does so when it opens a file to write to it, but in a goroutine of its own:
// a page that makes no sense would end the process without a word on which file it is, or lead it out of the file.
type boltWalk struct {
	file io.ReaderAt
	meta boltMeta
	seen map[uint64]bool // pages that were reached: none is twice
}

// walkBolt checks that every page in use is the one that it should be, and that nothing in it leads elsewhere. What the
// values are is not looked at: log entries and votes have checksums.
func walkBolt(path string, meta boltMeta) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := boltWalk{f, meta, make(map[uint64]bool)}
	if err := w.page(meta.root, 0, span{}); err != nil {
		return fmt.Errorf("%s is damaged: %w: %s", path, err, rejoin)
	}
	return nil
}

// span is the keys that may be in a page: from min, which is nil for the first one, up to max, which is nil for the last.
type span struct{ min, max []byte }

// page checks a page and those beneath it.
func (w *boltWalk) page(n uint64, depth int, keys span) error {
	head := make([]byte, boltHeader)
	if n < 2 || n >= w.meta.end || depth > boltDepthMax {
		return fmt.Errorf("a page leads to page %d of %d, %d deep", n, w.meta.end, depth)
	}
	if _, err := w.file.ReadAt(head, int64(n)*w.meta.pageSize); err != nil {
		return fmt.Errorf("read page %d: %w", n, err)
	}
	overflow := uint64(binary.NativeEndian.Uint32(head[12:]))
	if id := binary.NativeEndian.Uint64(head); id != n || n+overflow >= w.meta.end {
		return fmt.Errorf("page %d says that it is page %d and %d more, of %d", n, id, overflow, w.meta.end)
	}
	for i := n; i <= n+overflow; i++ {
		if w.seen[i] {
			return fmt.Errorf("page %d is reached twice", i)
		}
		w.seen[i] = true
	}
	body := make([]byte, (int64(overflow)+1)*w.meta.pageSize)
	if _, err := w.file.ReadAt(body, int64(n)*w.meta.pageSize); err != nil {
		return fmt.Errorf("read page %d: %w", n, err)
	}
	return w.elements(n, body, depth, keys)
}

// elements checks what is in a page, or in a bucket that is part of one.
func (w *boltWalk) elements(n uint64, page []byte, depth int, keys span) error {
	kind, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	if kind != boltBranch && kind != boltLeaf || boltHeader+count*boltElement > len(page) || kind == boltBranch && count == 0 {
		return fmt.Errorf("page %d is of kind %#x with %d elements in %d bytes", n, kind, count, len(page))
	}
	var last element
	for i := range count {
		e, ok := elementAt(page, boltHeader+i*boltElement, kind)
		if !ok {
			return fmt.Errorf("element %d of page %d leads out of it", i, n)
		}
		if i == 0 && keys.min != nil && bytes.Compare(e.key, keys.min) < 0 || i > 0 && bytes.Compare(e.key, last.key) <= 0 ||
			keys.max != nil && bytes.Compare(e.key, keys.max) >= 0 {
			return fmt.Errorf("the key of element %d of page %d is out of order", i, n)
		}
		if i > 0 {
			if err := w.beneath(n, last, depth, span{last.key, e.key}); err != nil {
				return err
			}
		}
		last = e
	}
	if count == 0 {
		return nil
	}
	return w.beneath(n, last, depth, span{last.key, keys.max})
}

// element is one of a page: a key with the page that it leads to, or with a value.
type element struct {
	key    []byte
	page   uint64 // 0: it is in a leaf
	bucket bool
	value  []byte
}

// elementAt reads the element at a place of a page. It says whether all of it is in the page.
func elementAt(page []byte, at int, kind uint16) (e element, ok bool) {
	word := func(i int) uint64 { return uint64(binary.NativeEndian.Uint32(page[at+4*i:])) }
	if kind == boltBranch { // place and size of the key, page
		key := uint64(at) + word(0)
		if key+word(1) > uint64(len(page)) {
			return e, false
		}
		return element{key: page[key : key+word(1)], page: binary.NativeEndian.Uint64(page[at+8:])}, true
	}
	key := uint64(at) + word(1) // flags, place, size of the key, size of the value
	value := key + word(2)
	end := value + word(3)
	if end > uint64(len(page)) {
		return e, false
	}
	return element{key: page[key:value], bucket: word(0)&boltIsBucket != 0, value: page[value:end]}, true
}

// beneath checks what an element of page n leads to.
func (w *boltWalk) beneath(n uint64, e element, depth int, keys span) error {
	switch {
	case !e.bucket && e.value == nil:
		return w.page(e.page, depth+1, keys)
	case !e.bucket:
		return nil
	case len(e.value) < boltBucketBytes:
		return fmt.Errorf("a bucket in page %d has %d bytes", n, len(e.value))
	}
	if root := binary.NativeEndian.Uint64(e.value); root != 0 {
		return w.page(root, depth+1, span{})
	}
	inline := e.value[boltBucketBytes:]
	if len(inline) < boltHeader || depth >= boltDepthMax {
		return fmt.Errorf("a bucket in page %d has %d bytes, %d deep", n, len(e.value), depth)
	}
	return w.elements(n, inline, depth+1, span{})
}
