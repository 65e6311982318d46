package pack

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// hostile are bytes that promise more than they hold. Each is refused by whichever method meets it first.
var hostile = map[string][]byte{
	"empty":                  {},
	"array of 2^32-1":        {0xdd, 0xff, 0xff, 0xff, 0xff},
	"array of 65535":         {0xdc, 0xff, 0xff},
	"array of 15":            {0x9f},
	"array length torn":      {0xdd, 0xff, 0xff},
	"map of 2^32-1":          {0xdf, 0xff, 0xff, 0xff, 0xff},
	"map of 65535":           {0xde, 0xff, 0xff},
	"string of 4 GiB":        {0xdb, 0xff, 0xff, 0xff, 0xff},
	"string of 31":           {0xbf},
	"string length torn":     {0xda, 0xff},
	"bytes of 4 GiB":         {0xc6, 0xff, 0xff, 0xff, 0xff},
	"bytes of 65535":         {0xc5, 0xff, 0xff},
	"extension of 4 GiB":     {0xc9, 0xff, 0xff, 0xff, 0xff, 0x01},
	"extension of 255":       {0xc7, 0xff, 0x01},
	"extension without type": {0xd8},
	"uint64 torn":            {0xcf, 1, 2, 3},
	"int64 torn":             {0xd3, 1, 2, 3},
	"float64 torn":           {0xcb, 1, 2, 3},
	"the code never used":    {0xc1},
	"array in an array":      {0x91, 0xdd, 0xff, 0xff, 0xff, 0xff},
	"an array that is short": {0x93, 1, 2},
}

// readings are the ways to read one value.
var readings = map[string]func(*Reader){
	"Begin":   func(r *Reader) { r.Begin(); r.End() },
	"List":    func(r *Reader) { r.List(math.MaxInt); r.End() },
	"Skip":    (*Reader).Skip,
	"Uint":    func(r *Reader) { r.Uint() },
	"Uint32":  func(r *Reader) { r.Uint32() },
	"Uint8":   func(r *Reader) { r.Uint8() },
	"Int":     func(r *Reader) { r.Int() },
	"Bool":    func(r *Reader) { r.Bool() },
	"View":    func(r *Reader) { r.View(math.MaxInt) },
	"Bytes":   func(r *Reader) { r.Bytes(math.MaxInt) },
	"String":  func(r *Reader) { _ = r.String(math.MaxInt) },
	"Strings": func(r *Reader) { r.Strings(math.MaxInt, math.MaxInt) },
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHostileBytesAreRefusedWithinBounds(t *testing.T) {
	// A bomb of five bytes asks for gigabytes; an error and a Reader need a few kilobytes.
	const enough = 1 << 20
	for name, data := range hostile {
		for how, read := range readings {
			t.Run(name+"/"+how, func(t *testing.T) {
				var err error
				got := allocated(func() {
					r := NewReader(data)
					read(r)
					err = r.Done()
				})
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("%x: %v, want ErrMalformed", data, err)
				}
				if got > enough {
					t.Fatalf("%x: %d bytes were allocated", data, got)
				}
			})
		}
	}
}

func TestEachReadingRefusesOtherKinds(t *testing.T) {
	encode := func(v any) []byte {
		b, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	values := map[string][]byte{
		"float32": encode(float32(1)), "float64": encode(1.0), "bool": encode(true), "string": encode("x"),
		"bytes": encode([]byte("x")), "uint": encode(uint64(7)), "negative": encode(int64(-7)), "array": {0x91, 0x01},
		"map": {0x81, 0x01, 0x02}, "extension": {0xd4, 0x01, 0x02}, "nil": {0xc0},
	}
	accepts := map[string]string{ // a reading: the kinds of value that it takes
		"Begin": "array nil", "List": "array nil", "Uint": "uint negative", "Uint32": "uint", "Uint8": "uint", "Int": "uint negative",
		"Bool": "bool nil", "View": "string bytes nil", "Bytes": "string bytes nil", "String": "string bytes nil",
		"Strings": "nil", // the array at hand holds a number
		"Skip":    "float32 float64 bool string bytes uint negative array map extension nil",
	}
	for how, kinds := range accepts {
		for kind, data := range values {
			t.Run(how+"/"+kind, func(t *testing.T) {
				r := NewReader(data)
				readings[how](r)
				err := r.Done()
				if wanted := strings.Contains(" "+kinds+" ", " "+kind+" "); wanted != (err == nil) {
					t.Fatalf("%x: error %v, accepted should be %v", data, err, wanted)
				}
				if err != nil && !errors.Is(err, ErrMalformed) {
					t.Fatalf("%v is not ErrMalformed", err)
				}
			})
		}
	}
}

func TestNumbersThatDoNotFit(t *testing.T) {
	tests := []struct {
		name string
		v    uint64
		read func(*Reader) uint64
		ok   bool
	}{
		{"8 bits", 255, func(r *Reader) uint64 { return uint64(r.Uint8()) }, true},
		{"9 bits in 8", 256, func(r *Reader) uint64 { return uint64(r.Uint8()) }, false},
		{"32 bits", math.MaxUint32, func(r *Reader) uint64 { return uint64(r.Uint32()) }, true},
		{"33 bits in 32", math.MaxUint32 + 1, func(r *Reader) uint64 { return uint64(r.Uint32()) }, false},
		{"64 bits", math.MaxUint64, (*Reader).Uint, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := NewWriter()
			defer w.Free()
			w.Uint(tt.v)
			r := NewReader(w.Data())
			got := tt.read(r)
			if err := r.Done(); (err == nil) != tt.ok {
				t.Fatalf("error %v", err)
			}
			if want := tt.v; tt.ok && got != want || !tt.ok && got != 0 {
				t.Fatalf("read %d of %d", got, want)
			}
		})
	}
}

func TestNesting(t *testing.T) {
	nest := func(depth int) []byte { return append(bytes.Repeat([]byte{0x91}, depth), 0x07) }
	open := func(data []byte, depth int) error {
		r := NewReader(data)
		for range depth {
			r.Begin()
		}
		if v := r.Uint(); r.Err() == nil && v != 7 {
			t.Fatalf("the innermost is %d", v)
		}
		for range depth {
			r.End()
		}
		return r.Done()
	}
	if err := open(nest(DepthMax), DepthMax); err != nil {
		t.Fatalf("at DepthMax: %v", err)
	}
	if err := open(nest(DepthMax+1), DepthMax+1); !errors.Is(err, ErrMalformed) {
		t.Fatalf("beyond DepthMax: %v", err)
	}
	// Passing over needs no stack, whatever the depth.
	r := NewReader(nest(1 << 20))
	r.Skip()
	if err := r.Done(); err != nil {
		t.Fatalf("skip of a million arrays in each other: %v", err)
	}
	r = NewReader(bytes.Repeat([]byte{0x81, 0x01}, 1<<20))
	r.Skip()
	if err := r.Done(); !errors.Is(err, ErrMalformed) {
		t.Fatalf("skip of maps without an end: %v", err)
	}
}

func TestEndWithoutBegin(t *testing.T) {
	r := NewReader([]byte{0x01})
	r.End()
	if r.More() || r.Uint() != 1 || r.Done() != nil {
		t.Fatalf("an End too many disturbs: %v", r.Err())
	}
}

// record is what the tests below write and read: it has a field of every kind.
type record struct {
	u    uint64
	i    int64
	b    bool
	s    string
	data []byte
	list []string
}

func writeRecord(w *Writer, v record, surplus int) {
	w.Array(6 + surplus)
	w.Uint(v.u)
	w.Int(v.i)
	w.Bool(v.b)
	w.String(v.s)
	w.Bytes(v.data)
	w.Strings(v.list)
	for range surplus {
		w.Array(2)
		w.String("of a newer version")
		w.Array(1)
		w.Bytes([]byte{1, 2, 3})
	}
}

func readRecord(r *Reader) (v record) {
	r.Begin()
	v.u, v.i, v.b, v.s = r.Uint(), r.Int(), r.Bool(), r.String(1<<20)
	v.data, v.list = r.Bytes(1<<20), r.Strings(1<<20, 1<<20)
	r.End()
	return v
}

var full = record{u: 1 << 40, i: -(1 << 40), b: true, s: "é", data: []byte{0, 1}, list: []string{"a", ""}}

func TestSurplusFieldsArePassedOver(t *testing.T) {
	w := NewWriter()
	defer w.Free()
	w.Array(2)
	writeRecord(w, full, 3)
	w.Uint(42)
	r := NewReader(w.Data())
	r.Begin()
	v := readRecord(r)
	after := r.Uint()
	r.End()
	if err := r.Done(); err != nil || after != 42 || v.s != full.s || len(v.list) != 2 {
		t.Fatalf("%+v, then %d: %v", v, after, err)
	}
}

func TestMissingFieldsAreZero(t *testing.T) {
	// An older version's record has fewer fields: cut the record after each of them.
	fields := [][]byte{}
	for _, write := range []func(*Writer){
		func(w *Writer) { w.Uint(full.u) }, func(w *Writer) { w.Int(full.i) }, func(w *Writer) { w.Bool(full.b) },
		func(w *Writer) { w.String(full.s) }, func(w *Writer) { w.Bytes(full.data) }, func(w *Writer) { w.Strings(full.list) },
	} {
		w := NewWriter()
		write(w)
		fields = append(fields, w.Copy())
		w.Free()
	}
	for n := range len(fields) + 1 {
		w := NewWriter()
		w.Array(n)
		for _, f := range fields[:n] {
			w.Raw(f)
		}
		w.Uint(42) // behind the record, never part of it
		r := NewReader(w.Copy())
		w.Free()
		v := readRecord(r)
		if after := r.Uint(); r.Done() != nil || after != 42 {
			t.Fatalf("%d fields: then %d, %v", n, after, r.Err())
		}
		present := []bool{v.u != 0, v.i != 0, v.b, v.s != "", v.data != nil, v.list != nil}
		for i, p := range present {
			if p != (i < n) {
				t.Fatalf("%d fields: field %d present is %v: %+v", n, i, p, v)
			}
		}
	}
}

func TestMissingRecordHasNoFields(t *testing.T) {
	for name, data := range map[string][]byte{"nil": {0x91, 0xc0}, "missing": {0x90}, "empty": {0x91, 0x90}} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(data)
			r.Begin()
			v := readRecord(r)
			r.End()
			if err := r.Done(); err != nil || v.s != "" || v.u != 0 || v.list != nil {
				t.Fatalf("%+v, %v", v, err)
			}
		})
	}
}

func TestNilIsKeptApartFromEmpty(t *testing.T) {
	w := NewWriter()
	defer w.Free()
	w.Array(2)
	w.Bytes(nil)
	w.Bytes([]byte{})
	r := NewReader(w.Data())
	r.Begin()
	if b := r.Bytes(10); b != nil {
		t.Fatalf("nil became %v", b)
	}
	if b := r.Bytes(10); b == nil {
		t.Fatal("empty became nil")
	}
}

func TestBoundsOfTheCaller(t *testing.T) {
	w := NewWriter()
	defer w.Free()
	w.Strings([]string{"abc", "de"})
	data := w.Data()
	tests := []struct {
		name          string
		max, bytesMax int
		ok            bool
	}{
		{"fits", 2, 3, true}, {"too many", 1, 3, false}, {"too long", 2, 2, false}, {"none allowed", 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReader(data)
			r.Strings(tt.max, tt.bytesMax)
			if err := r.Done(); (err == nil) != tt.ok {
				t.Fatal(err)
			}
		})
	}
}

func TestFirstErrorSticks(t *testing.T) {
	r := NewReader([]byte{0xc1, 0x01, 0x02})
	r.Uint()
	first := r.Err()
	for _, read := range readings {
		read(r)
	}
	if r.Uint() != 0 || r.Int() != 0 || r.Bool() || r.Bytes(9) != nil || r.String(9) != "" || r.Strings(9, 9) != nil || r.More() {
		t.Fatal("something was read after the error")
	}
	if r.Err() != first || r.Done() != first || !errors.Is(first, ErrMalformed) {
		t.Fatalf("%v, then %v", first, r.Err())
	}
}

func TestBytesLeftOverAreAnError(t *testing.T) {
	r := NewReader([]byte{0x01, 0x02})
	r.Uint()
	if r.Err() != nil || r.Remaining() != 1 || !bytes.Equal(r.Rest(), []byte{0x02}) {
		t.Fatalf("rest %x, error %v", r.Rest(), r.Err())
	}
	if !errors.Is(r.Done(), ErrMalformed) {
		t.Fatal("left over bytes were passed over in silence")
	}
}

func TestResetForgetsTheError(t *testing.T) {
	r := NewReader([]byte{0x92, 0xc1})
	r.Begin()
	r.Uint()
	r.Reset([]byte{0x05})
	if v := r.Uint(); v != 5 || r.Done() != nil {
		t.Fatalf("%d, %v", v, r.Err())
	}
}

func TestViewsAndCopies(t *testing.T) {
	data := []byte{0x92, 0xa1, 'x', 0xa1, 'y'}
	r := NewReader(data)
	r.Begin()
	view, own := r.View(9), r.Bytes(9)
	if cap(view) != len(view) {
		t.Fatal("an append to a view would write into the data")
	}
	data[2], data[4] = '?', '?'
	if string(view) != "?" || string(own) != "y" {
		t.Fatalf("view %q, own %q", view, own)
	}
}
