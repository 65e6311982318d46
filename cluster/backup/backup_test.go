package backup

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/fsm"
)

// sample is a small cluster's state in a file.
func sample(t testing.TB) ([]byte, Header, *fsm.View) {
	t.Helper()
	m := fsm.New()
	now := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	for n, cmd := range []fsm.Command{
		&fsm.OpenSession{Name: "nightly"}, &fsm.OpenSession{Name: "daily"}, &fsm.JoinWorker{Name: "w", Identity: "i", Slots: 1, Queues: []string{"default"}},
	} {
		answers, err := m.Apply(uint64(n+2), 1, fsm.NewEntry(now.UnixNano(), fsm.Encode(cmd)))
		if err != nil || answers[0].Refusal != nil {
			t.Fatal(err, answers)
		}
	}
	h := Header{Cluster: "c", ClusterID: "0011223344556677", Node: "n1", Version: "v1", Term: 7, Time: now.Add(time.Second)}
	var b bytes.Buffer
	if err := Write(&b, h, m.View()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), h, m.View()
}

func TestReadGivesWhatWasWritten(t *testing.T) {
	data, want, v := sample(t)
	want.Index, want.Hash, want.LogTime = v.Index(), HashText(v.Hash()), v.Time()
	got, m, err := Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("header %+v, want %+v", got, want)
	}
	if m.Hash() != v.Hash() || m.Index() != v.Index() || m.View().Totals() != v.Totals() {
		t.Errorf("another state: %+v at %d, want %+v at %d", m.View().Totals(), m.Index(), v.Totals(), v.Index())
	}
	if n := v.Totals(); n.Sessions != 2 || n.Workers != 1 {
		t.Errorf("totals %+v", n)
	}
}

// bad expects that neither the reader nor the checker believes the file.
func bad(t *testing.T, what string, data []byte) {
	t.Helper()
	if _, _, err := Read(bytes.NewReader(data), int64(len(data))); !errors.Is(err, ErrBad) {
		t.Errorf("%s: read with error %v", what, err)
	}
}

func TestEachFlippedByteIsSeen(t *testing.T) {
	data, _, _ := sample(t)
	for at := range data {
		for _, bit := range []byte{1, 0x80} {
			flipped := slices.Clone(data)
			flipped[at] ^= bit
			bad(t, fmt.Sprintf("byte %d ^ %02x", at, bit), flipped)
		}
	}
}

func TestEachLengthButTheWholeIsRefused(t *testing.T) {
	data, _, _ := sample(t)
	for n := range data {
		bad(t, fmt.Sprintf("first %d of %d bytes", n, len(data)), data[:n])
		bad(t, fmt.Sprintf("without the first %d bytes", n+1), data[n+1:])
	}
	bad(t, "a byte more", append(slices.Clone(data), 0))
	bad(t, "twice", slices.Concat(data, data))
}

// TestCheckerTakesPiecesOfAnySize writes the file as a network may deliver it.
func TestCheckerTakesPiecesOfAnySize(t *testing.T) {
	data, _, _ := sample(t)
	for size := 1; size <= 2*trailerSize; size++ {
		c := NewChecker()
		for piece := range slices.Chunk(data, size) {
			c.Write(piece)
		}
		if err := c.Check(); err != nil {
			t.Errorf("in pieces of %d: %v", size, err)
		}
		c.Write([]byte{0})
		if err := c.Check(); !errors.Is(err, ErrBad) {
			t.Errorf("in pieces of %d and one byte more: %v", size, err)
		}
	}
}

func TestWriteTellsOfAnOutputThatFails(t *testing.T) {
	data, h, v := sample(t)
	for n := range len(data) {
		if err := Write(&limited{left: n}, h, v); !errors.Is(err, errFull) {
			t.Fatalf("an output that fails after %d bytes: %v", n, err)
		}
	}
}

var errFull = errors.New("full")

type limited struct{ left int }

func (l *limited) Write(b []byte) (int, error) {
	if len(b) > l.left {
		n := l.left
		l.left = 0
		return n, errFull
	}
	l.left -= len(b)
	return len(b), nil
}
