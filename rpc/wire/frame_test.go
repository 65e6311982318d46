package wire_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

func frame(f wire.Frame, m wire.Message) []byte {
	w := pack.NewWriter()
	defer w.Free()
	wire.AppendFrame(w, f, m)
	return w.Copy()
}

func TestFramesCrossInAnyPieces(t *testing.T) {
	want := []wire.Frame{
		{Kind: wire.KindRequest, ID: 1, Method: wire.MethodReport, Deadline: 1500 * time.Millisecond, Body: []byte("body")},
		{Kind: wire.KindPing, Body: []byte{}},
		{Kind: wire.KindPart, ID: 1 << 40, Method: wire.MethodSubmit, Body: bytes.Repeat([]byte("large"), 300_000)},
		{Kind: wire.KindPush, Method: wire.MethodStop, Body: []byte("small again")},
	}
	var sent []byte
	for _, f := range want {
		sent = append(sent, frame(f, nil)...)
	}
	fr := wire.NewFrameReader(&dribble{data: sent, size: 7777}, wire.FrameBytesMax)
	for _, w := range want {
		got, err := fr.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got.Kind != w.Kind || got.ID != w.ID || got.Method != w.Method || got.Deadline != w.Deadline || !bytes.Equal(got.Body, w.Body) {
			t.Errorf("got kind %d id %d method %s deadline %s and %d bytes", got.Kind, got.ID, got.Method, got.Deadline, len(got.Body))
		}
	}
	if _, err := fr.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// dribble gives its data in small pieces.
type dribble struct {
	data []byte
	size int
}

func (d *dribble) Read(b []byte) (int, error) {
	if len(d.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), d.size)], d.data)
	d.data = d.data[n:]
	return n, nil
}

func TestBadFramesAreRefused(t *testing.T) {
	whole := frame(wire.Frame{Kind: wire.KindRequest, ID: 5, Method: wire.MethodPick}, &wire.Pick{})
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"too large", []byte{0, 0, 4, 1, 1, 1, 1, 1}, wire.ErrFrameTooLarge},
		{"huge", []byte{0xff, 0xff, 0xff, 0xff}, wire.ErrFrameTooLarge},
		{"empty", []byte{0, 0, 0, 0}, pack.ErrMalformed},
		{"without header", []byte{0, 0, 0, 3, 1, 1, 1}, pack.ErrMalformed},
		{"unknown kind", []byte{0, 0, 0, 4, 99, 0, 0, 0}, pack.ErrMalformed},
		{"kind 0", []byte{0, 0, 0, 4, 0, 0, 0, 0}, pack.ErrMalformed},
		{"text for an id", []byte{0, 0, 0, 5, 1, 0xa1, 'x', 0, 0}, pack.ErrMalformed},
		{"cut in the length", whole[:2], io.ErrUnexpectedEOF},
		{"cut in the body", whole[:len(whole)-1], io.ErrUnexpectedEOF},
		{"nothing", nil, io.EOF},
	} {
		if _, err := wire.NewFrameReader(bytes.NewReader(c.data), 1024).Next(); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

// A frame that is announced and never comes must not cost its memory.
func TestAnAnnouncedFrameTakesNoMemoryBeforeItComes(t *testing.T) {
	data := append([]byte{0, 0x7f, 0xff, 0xff}, bytes.Repeat([]byte{1}, 1000)...)
	var err error
	n := allocated(func() { _, err = wire.NewFrameReader(bytes.NewReader(data), wire.FrameBytesMax).Next() })
	if !errors.Is(err, io.ErrUnexpectedEOF) || n > memoryBase {
		t.Errorf("%d bytes allocated, error %v", n, err)
	}
}

func TestADeadlineIsNeverRoundedToNone(t *testing.T) {
	f, err := wire.NewFrameReader(bytes.NewReader(frame(wire.Frame{Kind: wire.KindRequest, Deadline: 1}, nil)), 100).Next()
	if err != nil || f.Deadline != time.Millisecond {
		t.Errorf("got %s, %v", f.Deadline, err)
	}
}
