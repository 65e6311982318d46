package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/musterhq/muster/rpc/pack"
)

// Kind is what a frame is for.
type Kind uint8

// The kinds of frames. Either side may send any of them.
const (
	KindRequest  Kind = iota + 1 // a call; its id is the caller's, and answered by one response or error of that id
	KindResponse                 // answers a request
	KindError                    // refuses a request; the body is an Error. With id 0 it is the last word before the end
	KindCancel                   // nobody waits for the answer any more
	KindPush                     // one way
	KindPing                     // answered by a pong
	KindPong
	KindPart // the next bytes of a request's body; the request of that id brings the last
	kindEnd
)

// Frame is one frame as it is read. Body is a view of the reader's buffer: the next frame overwrites it.
type Frame struct {
	Kind     Kind
	ID       uint64
	Method   Method
	Deadline time.Duration // that is left for the call; 0: none
	Body     []byte
}

// ErrFrameTooLarge is returned when a frame is larger than its limit.
var ErrFrameTooLarge = errors.New("frame too large")

// AppendFrame writes a whole frame into an empty w: with body, or f.Body when that is nil. It returns where in w the
// body begins.
func AppendFrame(w *pack.Writer, f Frame, body Message) int {
	w.Raw([]byte{0, 0, 0, 0})
	w.Uint(uint64(f.Kind))
	w.Uint(f.ID)
	w.Uint(uint64(f.Method))
	w.Uint(deadlineMillis(f.Deadline))
	header := w.Len()
	if body != nil {
		body.Append(w)
	} else {
		w.Raw(f.Body)
	}
	data := w.Data()
	binary.BigEndian.PutUint32(data, uint32(len(data)-lengthBytes))
	return header
}

// deadlineMillis rounds up, so that a deadline never becomes none.
func deadlineMillis(d time.Duration) uint64 {
	return uint64(max(0, (d+time.Millisecond-1)/time.Millisecond))
}

// FrameReader reads frames off a connection into one buffer.
type FrameReader struct {
	src    *bufio.Reader
	max    int
	buf    []byte
	header pack.Reader
}

// bufferBytes is what is read from, and written to, a connection at once; keepBytes is the largest frame buffer that
// is kept for the next frame.
const (
	bufferBytes = 64 << 10
	keepBytes   = 1 << 20
)

// NewFrameReader reads frames of at most max bytes from src.
func NewFrameReader(src io.Reader, max int) *FrameReader {
	return &FrameReader{src: bufio.NewReaderSize(src, bufferBytes), max: max}
}

// SetMax changes the limit for the frames to come.
func (fr *FrameReader) SetMax(max int) { fr.max = max }

// Next reads the next frame. It returns io.EOF when the connection ended between two frames.
func (fr *FrameReader) Next() (Frame, error) {
	size, err := fr.src.Peek(lengthBytes)
	if err != nil {
		if len(size) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	n := int64(binary.BigEndian.Uint32(size))
	if n > int64(fr.max) {
		return Frame{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrFrameTooLarge, n, fr.max)
	}
	if n < frameBytesMin {
		return Frame{}, fmt.Errorf("%w: frame of %d bytes", pack.ErrMalformed, n)
	}
	_, _ = fr.src.Discard(lengthBytes) // cannot fail: it was peeked
	data, err := fr.read(int(n))
	if err != nil {
		return Frame{}, err
	}
	return fr.parse(data)
}

// read reads n bytes. Memory grows with what has arrived, not with what was announced.
func (fr *FrameReader) read(n int) ([]byte, error) {
	if cap(fr.buf) > keepBytes && n <= keepBytes {
		fr.buf = nil
	}
	for have := 0; have < n; {
		want := n
		if cap(fr.buf) < n {
			want = min(n, max(2*have, bufferBytes))
		}
		if cap(fr.buf) < want {
			grown := make([]byte, want)
			copy(grown, fr.buf[:have])
			fr.buf = grown
		}
		fr.buf = fr.buf[:want]
		if _, err := io.ReadFull(fr.src, fr.buf[have:want]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		have = want
	}
	return fr.buf[:n], nil
}

func (fr *FrameReader) parse(data []byte) (Frame, error) {
	r := &fr.header
	r.Reset(data)
	f := Frame{Kind: Kind(r.Uint8()), ID: r.Uint(), Method: Method(r.Uint8())}
	millis := r.Uint()
	if err := r.Err(); err != nil {
		return Frame{}, fmt.Errorf("read frame header: %w", err)
	}
	if f.Kind == 0 || f.Kind >= kindEnd {
		return Frame{}, fmt.Errorf("%w: frame of unknown kind %d", pack.ErrMalformed, f.Kind)
	}
	f.Deadline = time.Duration(min(millis, uint64(deadlineMax/time.Millisecond))) * time.Millisecond
	f.Body = r.Rest()
	return f, nil
}

// deadlineMax is the longest deadline that a frame carries; nobody waits longer for one call.
const deadlineMax = 365 * 24 * time.Hour

// Decode reads one message that fills all of r. It returns an error wrapping pack.ErrMalformed otherwise.
func Decode(r *pack.Reader, m Message) error {
	m.Read(r)
	if err := r.Done(); err != nil {
		return err
	}
	if c, ok := m.(interface{ check() error }); ok {
		return c.check()
	}
	return nil
}
