package cluster

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A frame is a length of two bytes, big-endian, and as many bytes of msgpack. Handshakes and the peer exchange use it.

// frameBytesMax bounds a frame: a handshake or a peer's answer with all the peers that it knows.
const frameBytesMax = 48 << 10

// writeFrame sends data in one write.
func writeFrame(w io.Writer, data []byte) error {
	if len(data) > frameBytesMax {
		return fmt.Errorf("frame of %d bytes, at most %d", len(data), frameBytesMax)
	}
	buf := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(data)), uint16(len(data)))
	_, err := w.Write(append(buf, data...))
	return err
}

// readFrame reads exactly one frame and nothing after it.
func readFrame(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n > frameBytesMax {
		return nil, fmt.Errorf("frame of %d bytes, at most %d", n, frameBytesMax)
	}
	data := make([]byte, n)
	_, err := io.ReadFull(r, data)
	return data, err
}
