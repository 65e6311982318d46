package duplex

import (
	"bufio"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

// Stream is a connection during its handshake: single frames, in turn. New takes it over.
type Stream struct {
	net.Conn
	frames *wire.FrameReader
	body   pack.Reader
	heard  *atomic.Int64 // where a Conn keeps when its peer was last heard
}

// NewStream prepares conn for a handshake.
func NewStream(conn net.Conn) *Stream {
	s := &Stream{Conn: conn}
	s.frames = wire.NewFrameReader(s, wire.HelloBytesMax)
	return s
}

// Read notes that the peer was heard, be it in the middle of a long frame.
func (s *Stream) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if n > 0 && s.heard != nil {
		s.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// Send writes one frame, after the bytes of prefix.
func (s *Stream) Send(prefix []byte, f wire.Frame, m wire.Message) error {
	w := pack.NewWriter()
	defer w.Free()
	wire.AppendFrame(w, f, m)
	out := bufio.NewWriter(s.Conn)
	_, _ = out.Write(prefix) // its error comes again with Flush
	_, _ = out.Write(w.Data())
	return out.Flush()
}

// Receive reads one frame of the kind, with m as its body. A frame of KindError is returned as its *wire.Error.
func (s *Stream) Receive(kind wire.Kind, method wire.Method, m wire.Message) (id uint64, err error) {
	f, err := s.frames.Next()
	if err != nil {
		return 0, err
	}
	s.body.Reset(f.Body)
	if f.Kind == wire.KindError {
		refusal := new(wire.Error)
		if err := wire.Decode(&s.body, refusal); err != nil {
			return 0, err
		}
		return f.ID, refusal
	}
	if f.Kind != kind || f.Method != method {
		return 0, fmt.Errorf("%w: a frame of kind %d for %s where %s was expected", pack.ErrMalformed, f.Kind, f.Method, method)
	}
	return f.ID, wire.Decode(&s.body, m)
}

// Established lifts the limits of the handshake: frames may be of frameMax bytes, and take their time.
func (s *Stream) Established(frameMax int) error {
	s.frames.SetMax(frameMax)
	return s.SetDeadline(time.Time{})
}
