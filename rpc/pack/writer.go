package pack

import (
	"bytes"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// Writer appends msgpack values to a buffer of its own. The zero value is not usable: take one with NewWriter.
type Writer struct {
	buf bytes.Buffer
	enc *msgpack.Encoder
}

// keepBytesMax is the largest buffer that Free keeps for reuse.
const keepBytesMax = 1 << 20

var writers = sync.Pool{New: func() any {
	w := new(Writer)
	w.enc = msgpack.NewEncoder(&w.buf)
	w.enc.UseCompactInts(true)
	return w
}}

// NewWriter takes an empty Writer from a pool. Give it back with Free, or keep it.
func NewWriter() *Writer { return writers.Get().(*Writer) }

// Free gives w and its bytes back to the pool.
func (w *Writer) Free() {
	if w.buf.Cap() <= keepBytesMax {
		w.buf.Reset()
		writers.Put(w)
	}
}

// Data is what was written: a view that the next write or Free invalidates.
func (w *Writer) Data() []byte { return w.buf.Bytes() }

// Copy is what was written, in memory of its own.
func (w *Writer) Copy() []byte { return bytes.Clone(w.buf.Bytes()) }

// Len is the number of bytes written.
func (w *Writer) Len() int { return w.buf.Len() }

// Reset drops what was written.
func (w *Writer) Reset() { w.buf.Reset() }

// Writing into memory does not fail, so the encoder's errors are never other than nil.

// Array begins a record or list of n values.
func (w *Writer) Array(n int) { _ = w.enc.EncodeArrayLen(n) }

// Uint writes an unsigned integer in its shortest form.
func (w *Writer) Uint(v uint64) {
	if v < 0x80 {
		w.buf.WriteByte(byte(v)) // positive fixint
		return
	}
	_ = w.enc.EncodeUint(v)
}

// Int writes a signed integer in its shortest form.
func (w *Writer) Int(v int64) { _ = w.enc.EncodeInt(v) }

// Bool writes a boolean.
func (w *Writer) Bool(v bool) { _ = w.enc.EncodeBool(v) }

// String writes a string.
func (w *Writer) String(s string) { _ = w.enc.EncodeString(s) }

// Bytes writes a byte string; nil becomes nil.
func (w *Writer) Bytes(b []byte) { _ = w.enc.EncodeBytes(b) }

// Strings writes a list of strings.
func (w *Writer) Strings(list []string) {
	w.Array(len(list))
	for _, s := range list {
		w.String(s)
	}
}

// Raw appends bytes that are already msgpack.
func (w *Writer) Raw(b []byte) { w.buf.Write(b) }
