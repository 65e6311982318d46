package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/vmihailenco/msgpack/v5"
)

// DepthMax is how deep records may nest.
const DepthMax = 32

// ErrMalformed is returned when bytes are not the msgpack that was asked for, or break a bound.
var ErrMalformed = errors.New("malformed msgpack")

// Reader reads msgpack values from a byte slice that must not change meanwhile.
type Reader struct {
	data  []byte
	src   bytes.Reader
	dec   *msgpack.Decoder
	err   error
	left  [DepthMax]int // values left in each open record
	depth int
}

// NewReader reads data.
func NewReader(data []byte) *Reader {
	r := new(Reader)
	r.Reset(data)
	return r
}

// Reset makes r read data from its start.
func (r *Reader) Reset(data []byte) {
	r.data, r.err, r.depth = data, nil, 0
	r.src.Reset(data)
	if r.dec == nil {
		r.dec = msgpack.NewDecoder(&r.src)
	} else {
		r.dec.ResetReader(&r.src)
	}
}

// Err is the first error, or nil.
func (r *Reader) Err() error { return r.err }

// Done is Err, or ErrMalformed when bytes are left over.
func (r *Reader) Done() error {
	if r.err == nil && r.src.Len() > 0 {
		r.fail("%d bytes after the end", r.src.Len())
	}
	return r.err
}

// Remaining is the number of bytes not yet read.
func (r *Reader) Remaining() int { return r.src.Len() }

// Rest is a view of the bytes not yet read.
func (r *Reader) Rest() []byte { return r.data[r.pos():] }

func (r *Reader) pos() int { return len(r.data) - r.src.Len() }

func (r *Reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w at byte %d: %s", ErrMalformed, r.pos(), fmt.Sprintf(format, args...))
	}
}

// next says whether there is a value to read here: not after an error, nor past the end of the open record.
func (r *Reader) next() bool {
	if r.err != nil {
		return false
	}
	if r.depth > 0 {
		if r.left[r.depth-1] == 0 {
			return false
		}
		r.left[r.depth-1]--
	}
	if r.src.Len() == 0 {
		r.fail("unexpected end")
		return false
	}
	return true
}

// Begin opens a record and returns the number of its fields. End closes it.
func (r *Reader) Begin() int { return r.List(int(^uint(0) >> 1)) }

// List opens a list of at most max values and returns their number. End closes it. A missing or nil list has none.
func (r *Reader) List(max int) int {
	if !r.next() {
		r.open(0)
		return 0
	}
	n, err := r.dec.DecodeArrayLen()
	switch {
	case err != nil:
		r.fail("no array: %v", err)
	case n > r.src.Len(): // each value takes at least a byte
		r.fail("array of %d values in %d bytes", n, r.src.Len())
	case n > max:
		r.fail("list of %d values, at most %d are allowed", n, max)
	}
	if r.err != nil || n < 0 {
		n = 0
	}
	r.open(n)
	return n
}

func (r *Reader) open(n int) {
	if r.depth == DepthMax {
		r.fail("nested deeper than %d", DepthMax)
		return
	}
	r.left[r.depth] = n
	r.depth++
}

// End closes the innermost record, passing over fields that nobody asked for.
func (r *Reader) End() {
	if r.depth == 0 {
		return
	}
	for r.err == nil && r.left[r.depth-1] > 0 {
		r.left[r.depth-1]--
		r.skip()
	}
	r.depth--
}

// More says whether the innermost record has another value.
func (r *Reader) More() bool { return r.err == nil && r.depth > 0 && r.left[r.depth-1] > 0 }

// Skip passes over one value.
func (r *Reader) Skip() {
	if r.next() {
		r.skip()
	}
}

// skip is iterative: msgpack/v5's Skip recurses without limit.
func (r *Reader) skip() {
	for pending := 1; pending > 0 && r.err == nil; pending-- {
		if r.src.Len() == 0 {
			r.fail("unexpected end")
			return
		}
		code := r.data[r.pos()]
		var n int
		var err error
		switch {
		case code&0xf0 == 0x90 || code == 0xdc || code == 0xdd:
			n, err = r.dec.DecodeArrayLen()
		case code&0xf0 == 0x80 || code == 0xde || code == 0xdf:
			n, err = r.dec.DecodeMapLen()
			n *= 2
		case code&0xe0 == 0xa0 || code >= 0xd9 && code <= 0xdb || code >= 0xc4 && code <= 0xc6:
			r.view()
		case code >= 0xc7 && code <= 0xc9 || code >= 0xd4 && code <= 0xd8:
			_, length, e := r.dec.DecodeExtHeader()
			err = e
			if err == nil {
				r.take(length)
			}
		default: // numbers, nil, booleans: of fixed size
			err = r.dec.Skip()
		}
		if err != nil {
			r.fail("%v", err)
			return
		}
		if n > r.src.Len() {
			r.fail("%d values in %d bytes", n, r.src.Len())
			return
		}
		pending += n
	}
}

// view reads a string or byte string as a view of the data; nil yields nil.
func (r *Reader) view() []byte {
	n, err := r.dec.DecodeBytesLen()
	if err != nil {
		r.fail("no string: %v", err)
		return nil
	}
	if n < 0 {
		return nil
	}
	return r.take(n)
}

func (r *Reader) take(n int) []byte {
	if n > r.src.Len() {
		r.fail("string of %d bytes in %d", n, r.src.Len())
		return nil
	}
	at := r.pos()
	_, _ = r.src.Seek(int64(n), io.SeekCurrent) // in range: checked above
	return r.data[at : at+n : at+n]
}

// integer says whether the next value is an integer: floats would be converted, differently on each architecture.
func (r *Reader) integer() bool {
	code := r.data[r.pos()]
	if code < 0x80 || code >= 0xe0 || code >= 0xcc && code <= 0xd3 {
		return true
	}
	r.fail("no integer: code %#x", code)
	return false
}

// Uint reads an unsigned integer.
func (r *Reader) Uint() uint64 {
	if !r.next() {
		return 0
	}
	if code := r.data[r.pos()]; code < 0x80 {
		_, _ = r.src.ReadByte() // cannot fail: next saw a byte
		return uint64(code)
	}
	if !r.integer() {
		return 0
	}
	n, err := r.dec.DecodeUint64()
	if err != nil {
		r.fail("%v", err)
		return 0
	}
	return n
}

// Uint32 reads an unsigned integer that must fit 32 bits.
func (r *Reader) Uint32() uint32 {
	n := r.Uint()
	if n > 1<<32-1 {
		r.fail("%d does not fit 32 bits", n)
		return 0
	}
	return uint32(n)
}

// Uint8 reads an unsigned integer that must fit 8 bits.
func (r *Reader) Uint8() uint8 {
	n := r.Uint()
	if n > 255 {
		r.fail("%d does not fit 8 bits", n)
		return 0
	}
	return uint8(n)
}

// Int reads a signed integer.
func (r *Reader) Int() int64 {
	if !r.next() || !r.integer() {
		return 0
	}
	n, err := r.dec.DecodeInt64()
	if err != nil {
		r.fail("%v", err)
		return 0
	}
	return n
}

// Bool reads a boolean.
func (r *Reader) Bool() bool {
	if !r.next() {
		return false
	}
	if code := r.data[r.pos()]; code != 0xc2 && code != 0xc3 && code != 0xc0 {
		r.fail("no boolean: code %#x", code)
		return false
	}
	b, err := r.dec.DecodeBool()
	if err != nil {
		r.fail("%v", err)
	}
	return b
}

// View reads a string or byte string of at most max bytes as a view of the data.
func (r *Reader) View(max int) []byte {
	if !r.next() {
		return nil
	}
	b := r.view()
	if len(b) > max {
		r.fail("string of %d bytes, at most %d are allowed", len(b), max)
		return nil
	}
	return b
}

// Bytes reads a byte string of at most max bytes into memory of its own; nil stays nil.
func (r *Reader) Bytes(max int) []byte { return bytes.Clone(r.View(max)) }

// String reads a string of at most max bytes.
func (r *Reader) String(max int) string { return string(r.View(max)) }

// Strings reads a list of at most max strings of at most bytesMax bytes each.
func (r *Reader) Strings(max, bytesMax int) []string {
	n := r.List(max)
	defer r.End()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.String(bytesMax)
	}
	return list
}
