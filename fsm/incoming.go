package fsm

import (
	"bytes"
	"io"

	"github.com/musterhq/muster/rpc/pack"
)

// incoming is a saved state that comes in parts and is not whole yet. It is never modified: each part makes a new one, which
// shares the earlier parts. So a View may hold one.
type incoming struct {
	id      uint64
	term    uint64 // in which it began
	size    uint64 // that it will have
	bytes   uint64 // that have come
	touched int64  // when the last came
	parts   [][]byte
	hash    uint64 // of the parts, in their order
}

// with is the same with one part more.
func (in *incoming) with(data []byte, now int64) *incoming {
	next := *in
	next.bytes += uint64(len(data))
	next.touched = now
	next.parts = append(in.parts, data)
	h := hasher(in.hash)
	h.bytes(data)
	next.hash = uint64(h)
	return &next
}

func (in *incoming) sum() uint64 {
	h := newHasher(hashIncoming)
	h.word(in.id)
	h.word(in.term)
	h.word(in.size)
	h.word(in.bytes)
	h.word(uint64(in.touched))
	h.word(in.hash)
	return uint64(h)
}

func (in *incoming) reader() io.Reader {
	readers := make([]io.Reader, len(in.parts))
	for i, p := range in.parts {
		readers[i] = bytes.NewReader(p)
	}
	return io.MultiReader(readers...)
}

// write writes it as records of a snapshot: its head, then its parts.
func (in *incoming) write(c *chunkWriter) {
	w := c.record()
	w.Array(5)
	w.Uint(uint64(recordIncoming))
	w.Uint(in.id)
	w.Uint(in.term)
	w.Uint(in.size)
	w.Int(in.touched)
	for _, p := range in.parts {
		w := c.record()
		w.Array(2)
		w.Uint(uint64(recordIncomingPart))
		w.Bytes(p)
	}
}

func readIncoming(r *pack.Reader) *incoming {
	return &incoming{id: r.Uint(), term: r.Uint(), size: r.Uint(), touched: r.Int()}
}
