package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/musterhq/muster/fsm"
)

// ErrBad is returned for what is not a whole snapshot file, with what is wrong.
var ErrBad = errors.New("not a whole snapshot file")

// File is a snapshot file of which the sum is right.
type File struct {
	Header
	state *io.SectionReader
}

// Open checks the file from end to end. Nothing is believed before the sum is right.
func Open(in io.ReaderAt, size int64) (*File, error) {
	c := NewChecker()
	if _, err := io.Copy(c, io.NewSectionReader(in, 0, size)); err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	body := io.NewSectionReader(in, 0, size-trailerSize)
	h, err := readHeader(body)
	if err != nil {
		return nil, err
	}
	begin, err := body.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	return &File{Header: h, state: io.NewSectionReader(in, begin, size-trailerSize-begin)}, nil
}

// State is the state's bytes, as fsm.View.WriteTo wrote them.
func (f *File) State() *io.SectionReader { return io.NewSectionReader(f.state, 0, f.state.Size()) }

// Restore builds the state aside and checks that it is the one that the header tells of.
func (f *File) Restore() (*fsm.Machine, error) {
	m, err := fsm.Restore(f.State())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBad, err)
	}
	if h := f.Header; m.Index() != h.Index || HashText(m.Hash()) != h.Hash {
		return nil, fmt.Errorf("%w: its header tells of index %d with hash %s, its state is of index %d with hash %s",
			ErrBad, h.Index, h.Hash, m.Index(), HashText(m.Hash()))
	}
	return m, nil
}

// Read is Open and Restore.
func Read(in io.ReaderAt, size int64) (Header, *fsm.Machine, error) {
	f, err := Open(in, size)
	if err != nil {
		return Header{}, nil, err
	}
	m, err := f.Restore()
	return f.Header, m, err
}

func readHeader(in io.Reader) (h Header, err error) {
	first := make([]byte, len(magic)+4)
	if _, err := io.ReadFull(in, first); err != nil || string(first[:len(magic)]) != magic {
		return h, fmt.Errorf("%w: it does not begin as one", ErrBad)
	}
	n := binary.BigEndian.Uint32(first[len(magic):])
	if n > headerBytesMax {
		return h, fmt.Errorf("%w: a header of %d bytes", ErrBad, n)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(in, data); err != nil {
		return h, fmt.Errorf("%w: its header is cut short", ErrBad)
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return h, fmt.Errorf("%w: header: %w", ErrBad, err)
	}
	return h, nil
}

// Checker takes a file as it passes by, in pieces of any size, and says at the end whether it was whole.
type Checker struct {
	sum  hash.Hash
	n    int64
	head []byte // the first bytes
	held []byte // the last bytes: the trailer, if this is the end
}

// NewChecker makes a Checker that has seen nothing.
func NewChecker() *Checker { return &Checker{sum: sha256.New()} }

// Write never fails.
func (c *Checker) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	if need := len(magic) - len(c.head); need > 0 {
		c.head = append(c.head, b[:min(need, len(b))]...)
	}
	// The length is part of what is summed, the sum is not.
	if more := len(b) - sha256.Size; more >= 0 {
		c.sum.Write(c.held)
		c.sum.Write(b[:more])
		c.held = append(c.held[:0], b[more:]...)
	} else {
		c.held = append(c.held, b...)
		if over := len(c.held) - sha256.Size; over > 0 {
			c.sum.Write(c.held[:over])
			c.held = append(c.held[:0], c.held[over:]...)
		}
	}
	return len(b), nil
}

// Check returns ErrBad unless what was written is one whole file.
func (c *Checker) Check() error {
	switch {
	case !bytes.HasPrefix([]byte(magic), c.head):
		return fmt.Errorf("%w: it does not begin as one of this version", ErrBad)
	case c.n < sizeMin:
		return fmt.Errorf("%w: cut short after %d bytes", ErrBad, c.n)
	case !bytes.Equal(c.sum.Sum(nil), c.held):
		return fmt.Errorf("%w: cut short or changed: the checksum of its %d bytes is wrong", ErrBad, c.n)
	}
	return nil
}
