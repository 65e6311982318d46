package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/musterhq/muster/fsm"
)

const (
	magic          = "muster-backup-1\n"
	headerBytesMax = 64 << 10
	lengthSize     = 8
	trailerSize    = lengthSize + sha256.Size
	sizeMin        = int64(len(magic)+4+2) + trailerSize
)

// Header says whose state a file holds, and as of when.
type Header struct {
	Cluster   string    `json:"cluster"`    // its name
	ClusterID string    `json:"cluster_id"` // made at random when it was formed
	Node      string    `json:"node"`       // name of the leader that wrote it
	Version   string    `json:"version"`    // of the program that wrote it
	Index     uint64    `json:"index"`      // of the last log entry in the state
	Term      uint64    `json:"term"`       // of the leader that wrote it
	Hash      string    `json:"hash"`       // of the state, as status shows it
	Time      time.Time `json:"time"`       // when it was written, by the leader's clock
	LogTime   time.Time `json:"log_time"`   // of the last log entry
}

// HashText is how a state's hash is written.
func HashText(h uint64) string { return fmt.Sprintf("%016x", h) }

// Write writes the view with the header, whose Index, Hash and LogTime it fills in.
func Write(out io.Writer, h Header, v *fsm.View) error {
	h.Index, h.Hash, h.LogTime = v.Index(), HashText(v.Hash()), v.Time()
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if len(head) > headerBytesMax {
		return errors.New("the header is too large")
	}
	s := &summer{out: out, sum: sha256.New()}
	first := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(head)))
	if _, err := s.Write(append(first, head...)); err != nil {
		return err
	}
	if _, err := v.WriteTo(s); err != nil {
		return err
	}
	if _, err := s.Write(binary.BigEndian.AppendUint64(nil, uint64(s.n))); err != nil {
		return err
	}
	_, err = out.Write(s.sum.Sum(nil))
	return err
}

// summer counts and sums what passes.
type summer struct {
	out io.Writer
	sum hash.Hash
	n   int64
}

func (s *summer) Write(b []byte) (int, error) {
	n, err := s.out.Write(b)
	s.n += int64(n)
	s.sum.Write(b[:n])
	return n, err
}
