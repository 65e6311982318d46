package ceiling

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
)

func submitted(n int) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{kindSubmit}, uint32(n))
	return append(b, make([]byte, n*jobBytes)...)
}

func ordered(worker, slots uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32([]byte{kindOrder}, worker), slots)
}

func acked(worker uint32, ids ...uint64) []byte {
	b := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32([]byte{kindAck}, worker), uint32(len(ids)))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint64(b, id)
	}
	return b
}

func TestTheBareQueueGivesEachJobOnceInOrder(t *testing.T) {
	var got []uint64
	q := newQueue(func(grants []grant) {
		for _, g := range grants {
			got = append(got, g.ids...)
		}
	})
	apply := func(commands ...[]byte) {
		t.Helper()
		if r := q.Apply(&raft.Log{Data: slices.Concat(commands...)}); r != nil {
			t.Fatal(r)
		}
	}
	apply(submitted(3), ordered(0, 2))
	if want := []uint64{1, 2}; !slices.Equal(got, want) {
		t.Fatalf("granted %v, want %v", got, want)
	}
	apply(submitted(1))
	apply(acked(0, 1, 2))
	if want := []uint64{1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("granted %v, want %v", got, want)
	}
	if len(q.bodies) != 2 {
		t.Errorf("%d jobs are kept, want those two that are not acknowledged", len(q.bodies))
	}
}

func TestTheBareQueueRefusesWhatMakesNoSense(t *testing.T) {
	for _, bad := range [][]byte{{9}, {kindSubmit}, submitted(2)[:50], {kindOrder, 1}, acked(0, 1)[:12], append([]byte{7}, make([]byte, 8)...)} {
		if r := newQueue(func([]grant) {}).Apply(&raft.Log{Data: bad}); r == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}
