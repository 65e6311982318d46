package pack

import (
	"bytes"
	"math"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

// theirs drives vmihailenco's own encoder and decoder, to see that what we write is msgpack and that we read msgpack.
func theirs(t *rapid.T, encode func(*msgpack.Encoder) error) []byte {
	var buf bytes.Buffer
	if err := encode(msgpack.NewEncoder(&buf)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func ours(write func(*Writer)) []byte {
	w := NewWriter()
	defer w.Free()
	write(w)
	return w.Copy()
}

// borders are the numbers at which the encoding changes its width.
var borders = []int64{
	0, 1, -1, -31, -32, -33, 127, 128, -127, -128, -129, 255, 256, 32767, 32768, -32768, -32769, 65535, 65536,
	math.MaxInt32, math.MaxInt32 + 1, math.MinInt32, math.MinInt32 - 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64, math.MinInt64,
}

func anyInt() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.SampledFrom(borders), rapid.Int64())
}

func TestIntsMatchTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyInt().Draw(t, "v")
		mine := ours(func(w *Writer) { w.Int(v) })
		if got, err := msgpack.NewDecoder(bytes.NewReader(mine)).DecodeInt64(); err != nil || got != v {
			t.Fatalf("they read %x as %d: %v", mine, got, err)
		}
		for _, data := range [][]byte{
			mine,
			theirs(t, func(e *msgpack.Encoder) error { return e.EncodeInt(v) }),
			theirs(t, func(e *msgpack.Encoder) error { return e.EncodeInt64(v) }),
		} {
			r := NewReader(data)
			if got := r.Int(); got != v || r.Done() != nil {
				t.Fatalf("%x was read as %d: %v", data, got, r.Err())
			}
		}
	})
}

func TestUintsMatchTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := uint64(anyInt().Draw(t, "v"))
		mine := ours(func(w *Writer) { w.Uint(v) })
		if shortest := theirs(t, func(e *msgpack.Encoder) error { return e.EncodeUint(v) }); !bytes.Equal(mine, shortest) {
			t.Fatalf("%d: we write %x, they %x", v, mine, shortest)
		}
		for _, data := range [][]byte{mine, theirs(t, func(e *msgpack.Encoder) error { return e.EncodeUint64(v) })} {
			r := NewReader(data)
			if got := r.Uint(); got != v || r.Done() != nil {
				t.Fatalf("%x was read as %d: %v", data, got, r.Err())
			}
		}
	})
}

func TestStringsMatchTheLibrary(t *testing.T) {
	lengths := rapid.SampledFrom([]int{0, 1, 31, 32, 255, 256, 65535, 65536})
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if rapid.Bool().Draw(t, "long") {
			s = string(bytes.Repeat([]byte{'x'}, lengths.Draw(t, "length")))
		}
		text := ours(func(w *Writer) { w.String(s) })
		if !bytes.Equal(text, theirs(t, func(e *msgpack.Encoder) error { return e.EncodeString(s) })) {
			t.Fatalf("%q: written otherwise", s)
		}
		raw := ours(func(w *Writer) { w.Bytes([]byte(s)) })
		if !bytes.Equal(raw, theirs(t, func(e *msgpack.Encoder) error { return e.EncodeBytes([]byte(s)) })) {
			t.Fatalf("%q: written otherwise, as bytes", s)
		}
		for _, data := range [][]byte{text, raw} {
			r := NewReader(data)
			if got := r.String(len(s)); got != s || r.Done() != nil {
				t.Fatalf("%q was read as %q: %v", s, got, r.Err())
			}
			r.Reset(data)
			if got := r.Bytes(len(s)); string(got) != s || got == nil || r.Done() != nil {
				t.Fatalf("%q was read as bytes %q: %v", s, got, r.Err())
			}
		}
	})
}

func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := record{
			u: uint64(anyInt().Draw(t, "u")), i: anyInt().Draw(t, "i"), b: rapid.Bool().Draw(t, "b"), s: rapid.String().Draw(t, "s"),
			data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"), list: rapid.SliceOfN(rapid.String(), 0, 40).Draw(t, "list"),
		}
		data := ours(func(w *Writer) { writeRecord(w, want, rapid.IntRange(0, 3).Draw(t, "surplus")) })

		r := NewReader(data)
		got := readRecord(r)
		if err := r.Done(); err != nil {
			t.Fatal(err)
		}
		same := got.u == want.u && got.i == want.i && got.b == want.b && got.s == want.s && bytes.Equal(got.data, want.data) &&
			len(got.list) == len(want.list)
		for i := range want.list {
			same = same && got.list[i] == want.list[i]
		}
		if !same {
			t.Fatalf("%+v became %+v", want, got)
		}

		d := msgpack.NewDecoder(bytes.NewReader(data))
		if n, err := d.DecodeArrayLen(); err != nil || n < 6 {
			t.Fatalf("they read an array of %d: %v", n, err)
		}
		u, _ := d.DecodeUint64()
		i, _ := d.DecodeInt64()
		b, _ := d.DecodeBool()
		s, err := d.DecodeString()
		if err != nil || u != want.u || i != want.i || b != want.b || s != want.s {
			t.Fatalf("they read %d %d %v %q: %v", u, i, b, s, err)
		}

		r.Reset(data) // Skip finds the same end
		r.Skip()
		if err := r.Done(); err != nil {
			t.Fatalf("skip: %v", err)
		}
		for n := range data { // and a record cut anywhere is noticed
			r.Reset(data[:n])
			readRecord(r)
			if r.Done() == nil {
				t.Fatalf("cut at byte %d of %d: not noticed", n, len(data))
			}
		}
	})
}

func TestSkipPassesWhatTheLibraryPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "data")
		d := msgpack.NewDecoder(bytes.NewReader(data))
		theirErr := d.Skip()
		r := NewReader(data)
		r.Skip()
		if (theirErr == nil) != (r.Err() == nil) {
			t.Fatalf("%x: they say %v, we say %v", data, theirErr, r.Err())
		}
	})
}
