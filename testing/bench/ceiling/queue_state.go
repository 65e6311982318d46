package ceiling

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// What an entry holds, one command after the other: a byte for the kind, then
//
//	submit   count uint32, then the jobs, jobBytes each
//	order    worker uint32, slots uint32: from now on it wants so many jobs
//	ack      worker uint32, count uint32, then the ids, 8 bytes each: they are done, their slots free again
const (
	kindSubmit = iota + 1
	kindOrder
	kindAck
)

const (
	jobBytes  = 80 // of one job: about what a small spec and a name take
	grantsMax = 200
)

// grant is jobs for a worker.
type grant struct {
	worker uint32
	ids    []uint64
}

// queue is the state machine: jobs in the order in which they came, and workers that wait for some. There is no DAG, no state of
// a job, no attempt, no fence, no deadline, no snapshot and no query: it is the least that a queue over Raft can be.
type queue struct {
	next    uint64
	ready   []uint64 // ids from head on
	head    int
	bodies  map[uint64][]byte
	free    []uint32 // slots of each worker
	turn    int
	granted func([]grant) // called with what an entry granted, on every node
}

func newQueue(granted func([]grant)) *queue {
	return &queue{bodies: map[uint64][]byte{}, granted: granted}
}

var errEntry = errors.New("an entry makes no sense")

// Apply carries out an entry, and grants what it can as its last step.
func (q *queue) Apply(l *raft.Log) any {
	b := l.Data
	for len(b) > 0 {
		var err error
		if b, err = q.command(b); err != nil {
			return err
		}
	}
	if g := q.match(); len(g) > 0 {
		q.granted(g)
	}
	return nil
}

func (q *queue) command(b []byte) (rest []byte, err error) {
	kind := b[0]
	b = b[1:]
	if kind == kindSubmit {
		return q.submit(b)
	}
	if len(b) < 8 {
		return nil, errEntry
	}
	w, n := binary.LittleEndian.Uint32(b), int(binary.LittleEndian.Uint32(b[4:]))
	b = b[8:]
	for int(w) >= len(q.free) {
		q.free = append(q.free, 0)
	}
	switch kind {
	case kindOrder:
		q.free[w] += uint32(n)
		return b, nil
	case kindAck:
		if len(b) < 8*n {
			return nil, errEntry
		}
		for i := range n {
			delete(q.bodies, binary.LittleEndian.Uint64(b[8*i:]))
		}
		q.free[w] += uint32(n)
		return b[8*n:], nil
	default:
		return nil, fmt.Errorf("%w: kind %d", errEntry, kind)
	}
}

func (q *queue) submit(b []byte) (rest []byte, err error) {
	if len(b) < 4 {
		return nil, errEntry
	}
	n := int(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if len(b) < n*jobBytes {
		return nil, errEntry
	}
	for i := range n {
		q.next++
		q.bodies[q.next] = b[i*jobBytes : (i+1)*jobBytes]
		q.ready = append(q.ready, q.next)
	}
	return b[n*jobBytes:], nil
}

// match gives the ready jobs to the workers that wait, in turn.
func (q *queue) match() (grants []grant) {
	for range q.free {
		if q.head == len(q.ready) {
			q.ready, q.head = q.ready[:0], 0
			return grants
		}
		w := q.turn % len(q.free)
		q.turn++
		n := min(int(q.free[w]), len(q.ready)-q.head)
		for n > 0 {
			part := min(n, grantsMax)
			grants = append(grants, grant{uint32(w), append([]uint64(nil), q.ready[q.head:q.head+part]...)})
			q.head += part
			q.free[w] -= uint32(part)
			n -= part
		}
	}
	return grants
}

// Snapshot is refused.
func (q *queue) Snapshot() (raft.FSMSnapshot, error) { return nil, raft.ErrNothingNewToSnapshot }

// Restore has nothing to read.
func (q *queue) Restore(r io.ReadCloser) error { return r.Close() }
