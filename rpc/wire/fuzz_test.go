package wire_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/wiretest"
)

// What a message may take in memory for each of its bytes, and besides: see the …BytesMin of codec.go.
const (
	memoryPerByte = 64
	memoryBase    = 1 << 20
)

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzMessages(f *testing.F) {
	for i, m := range messages() {
		f.Add(uint8(i), encode(m))
		wiretest.Fill(m)
		f.Add(uint8(i), encode(m))
		f.Add(uint8(i), []byte{0xdd, 0xff, 0xff, 0xff, 0xff})
		f.Add(uint8(i), []byte{0x91, 0xdd, 0x00, 0x10, 0x00, 0x00, 0x90, 0x90, 0x90, 0x90})
		f.Add(uint8(i), []byte{0x92, 0xc6, 0x7f, 0xff, 0xff, 0xff, 0x00})
		f.Add(uint8(i), bytes.Repeat([]byte{0x91}, 100))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		m := messages()[int(which)%len(messages())]
		var err error
		if n := allocated(func() { err = wire.Decode(pack.NewReader(data), m) }); n > uint64(memoryBase+memoryPerByte*len(data)) {
			t.Errorf("%s: %d bytes of input took %d bytes of memory", name(m), len(data), n)
		}
		if err != nil {
			return
		}
		again := fresh(m)
		if err := wire.Decode(pack.NewReader(encode(m)), again); err != nil {
			t.Fatalf("%s: written anew, it cannot be read: %v", name(m), err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("%s changes when it is written anew:\n%s", name(m), diff)
		}
	})
}

func FuzzFrame(f *testing.F) {
	w := pack.NewWriter()
	wire.AppendFrame(w, wire.Frame{Kind: wire.KindRequest, ID: 300, Method: wire.MethodPick, Deadline: 1 << 30}, &wire.Pick{Worker: 1, Max: 5})
	f.Add(w.Copy())
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3})
	f.Add([]byte{0, 0, 0, 4, 9, 9, 9, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		var err error
		n := allocated(func() {
			fr := wire.NewFrameReader(bytes.NewReader(data), wire.FrameBytesMax)
			for err == nil {
				_, err = fr.Next()
			}
		})
		if n > uint64(memoryBase+memoryPerByte*len(data)) {
			t.Errorf("%d bytes of input took %d bytes of memory", len(data), n)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, pack.ErrMalformed), errors.Is(err, wire.ErrFrameTooLarge):
		default:
			t.Errorf("unexpected error %v", err)
		}
	})
}
