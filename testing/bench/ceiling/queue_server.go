package ceiling

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/hashicorp/raft"
)

// QueueServer is one node of the bare queue.
//
// A connection begins with a byte: 'c' a client, 'w' a worker, 's' asks whether this node leads ('y' or 'n'). Then come frames, a
// uint32 with the length and that many bytes, each one command. Each frame of a client is answered with a byte once its command
// is committed and applied. A worker gets its grants as frames of ids, 8 bytes each, and, once an ack is committed and applied, a frame
// of 4 bytes: how many jobs it ended.
type QueueServer struct {
	ID, LogStore, Data string
	Queue              string // address for clients and workers
	Raft               string // address
	Peers              string // Raft addresses of all nodes, with commas; the first bootstraps

	node    *node
	propose chan proposal
	mu      sync.Mutex
	workers map[uint32]chan []byte
}

// proposal is a command that waits to be committed.
type proposal struct {
	command []byte
	done    func(error)
}

const (
	proposalsMax = 4096
	frameMax     = 4 << 20
)

// Run serves until ctx ends.
func (s *QueueServer) Run(ctx context.Context) (err error) {
	s.propose, s.workers = make(chan proposal, proposalsMax), map[uint32]chan []byte{}
	if s.node, err = openNode(s.ID, s.Raft, s.Data, s.LogStore, newQueue(s.deliver)); err != nil {
		return err
	}
	defer s.node.close()
	if s.ID == nodeID(0) {
		if err := s.node.raft.BootstrapCluster(servers(strings.Split(s.Peers, ","))).Error(); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	l, err := net.Listen("tcp", s.Queue)
	if err != nil {
		return err
	}
	go func() { <-ctx.Done(); l.Close() }()
	go s.commit() // ends with the process, as all that follows
	for {
		c, err := l.Accept()
		if err != nil {
			return nil
		}
		go s.serve(c)
	}
}

// commit is the group commit: while entries are in flight it gathers what comes, and the next entry carries it all.
func (s *QueueServer) commit() {
	type flight struct {
		future raft.ApplyFuture
		group  []proposal
	}
	free := make(chan struct{}, inFlight)
	flights := make(chan flight, inFlight)
	go func() {
		for f := range flights {
			err := f.future.Error()
			if e, ok := f.future.Response().(error); ok && err == nil {
				err = e
			}
			<-free
			for _, p := range f.group {
				p.done(err)
			}
		}
	}()
	var held *proposal
	for {
		free <- struct{}{}
		var first proposal
		if held != nil {
			first, held = *held, nil
		} else {
			first = <-s.propose
		}
		group, data := []proposal{first}, append(make([]byte, 0, entryBytes), first.command...)
		for more := true; more; {
			select {
			case p := <-s.propose:
				if len(data)+len(p.command) > entryBytes {
					held, more = &p, false
					break
				}
				group, data = append(group, p), append(data, p.command...)
			default:
				more = false
			}
		}
		flights <- flight{s.node.raft.Apply(data, 0), group}
	}
}

// deliver sends what an entry granted to the workers that are connected here: those of the leader.
func (s *QueueServer) deliver(grants []grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range grants {
		out, ok := s.workers[g.worker]
		if !ok {
			continue
		}
		frame := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+8*len(g.ids)), uint32(8*len(g.ids)))
		for _, id := range g.ids {
			frame = binary.LittleEndian.AppendUint64(frame, id)
		}
		out <- frame // its capacity is more than the slots of a worker can fill
	}
}

func (s *QueueServer) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	kind, err := r.ReadByte()
	if err != nil {
		return
	}
	switch kind {
	case 's':
		answer := []byte{'n'}
		if s.node.raft.State() == raft.Leader {
			answer[0] = 'y'
		}
		_, _ = c.Write(answer)
	case 'c':
		s.client(c, r)
	case 'w':
		s.worker(c, r)
	}
}

// client proposes what comes, and answers in the order of the commits.
func (s *QueueServer) client(c net.Conn, r *bufio.Reader) {
	w := bufio.NewWriter(c)
	answers := make(chan byte, proposalsMax)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		writeAll(w, answers, func(b byte) error { return w.WriteByte(b) })
	}()
	var waiting sync.WaitGroup
	for {
		command, err := readFrame(r)
		if err != nil {
			break
		}
		waiting.Add(1)
		s.propose <- proposal{command, func(err error) {
			defer waiting.Done()
			answer := byte(1)
			if err != nil {
				answer = 0
			}
			answers <- answer
		}}
	}
	waiting.Wait()
	close(answers)
	<-ended
}

// worker sends grants and proposes acks, the first of which is the order that names it.
func (s *QueueServer) worker(c net.Conn, r *bufio.Reader) {
	first, err := readFrame(r)
	if err != nil || len(first) < 9 {
		return
	}
	id := binary.LittleEndian.Uint32(first[1:])
	grants := make(chan []byte, proposalsMax)
	s.mu.Lock()
	s.workers[id] = grants
	s.mu.Unlock()
	go func() {
		w := bufio.NewWriterSize(c, 64<<10)
		writeAll(w, grants, func(b []byte) error { _, err := w.Write(b); return err })
	}()
	var waiting sync.WaitGroup
	for command := first; err == nil; command, err = readFrame(r) {
		if len(command) < 9 {
			break
		}
		waiting.Add(1)
		s.propose <- proposal{command, func(err error) {
			defer waiting.Done()
			if err == nil && command[0] == kindAck {
				grants <- append([]byte{4, 0, 0, 0}, command[5:9]...)
			}
		}}
	}
	waiting.Wait()
	s.mu.Lock()
	delete(s.workers, id)
	s.mu.Unlock()
	close(grants)
}

// writeAll writes what comes, and flushes when nothing more is there. After an error it only empties the channel.
func writeAll[T any](w *bufio.Writer, in <-chan T, write func(T) error) {
	var err error
	for v := range in {
		if err == nil {
			err = write(v)
		}
		if err == nil && len(in) == 0 {
			err = w.Flush()
		}
	}
}

func readFrame(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || n > frameMax {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}
