package pack

import (
	"errors"
	"testing"
)

// FuzzReader reads bytes by a program of readings: the first half of the input is the program, the second the data.
// Whatever they are, there is no panic, no allocation out of proportion, and an error once is an error for good.
func FuzzReader(f *testing.F) {
	for _, data := range hostile {
		f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"), data)
	}
	f.Add([]byte{0, 0, 0, 1, 1, 1}, []byte{0x91, 0x91, 0x91, 0x01})
	w := NewWriter()
	writeRecord(w, full, 2)
	f.Add([]byte{0, 3, 6, 7, 10, 9, 11, 1}, w.Copy())
	w.Free()

	steps := []func(*Reader){
		func(r *Reader) { r.Begin() },
		(*Reader).End,
		(*Reader).Skip,
		func(r *Reader) { r.Uint() },
		func(r *Reader) { r.Uint32() },
		func(r *Reader) { r.Uint8() },
		func(r *Reader) { r.Int() },
		func(r *Reader) { r.Bool() },
		func(r *Reader) { r.View(64) },
		func(r *Reader) { r.Bytes(1 << 30) },
		func(r *Reader) { _ = r.String(1 << 30) },
		func(r *Reader) { r.Strings(1<<30, 1<<30) },
		func(r *Reader) { r.List(16) },
	}
	f.Fuzz(func(t *testing.T, program, data []byte) {
		if len(program) > 256 || len(data) > 1<<16 {
			return
		}
		// A list of n strings costs 16 n bytes and a step reads no byte twice; errors and the decoder cost a constant.
		budget := uint64(1<<20 + 64*len(data))
		spent := allocated(func() {
			r := NewReader(data)
			var first error
			left := len(data)
			for _, step := range program {
				steps[int(step)%len(steps)](r)
				if r.Remaining() > left {
					t.Fatal("a step went back")
				}
				left = r.Remaining()
				if len(r.Rest()) != left {
					t.Fatal("Rest and Remaining disagree")
				}
				if first != nil && r.Err() != first {
					t.Fatalf("error %v became %v", first, r.Err())
				}
				first = r.Err()
			}
			if err := r.Done(); err != nil && !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
		})
		if spent > budget {
			t.Fatalf("%d bytes of data cost %d bytes", len(data), spent)
		}
	})
}
