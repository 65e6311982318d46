package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/fsm"
)

// committer is group commit: while entries are in flight it gathers the commands that arrive, and the next entry
// carries them all. A log entry costs two fsyncs in series and a round trip whatever it carries, so the rate comes from
// what it carries.
//
// It lives as long as one leadership. Invariant: each proposal is answered exactly once.
type committer struct {
	apply      func(entry []byte) raft.ApplyFuture
	now        func() int64
	entryBytes int // an entry is closed when it has reached this size
	queueBytes int // proposals beyond it are refused as overloaded
	took       func(commands, bytes int, took time.Duration)

	mu     sync.Mutex
	queue  []proposal
	bytes  int
	closed error
	wake   chan struct{} // capacity 1: a pending signal stands for all proposals since

	slots   chan struct{} // one taken for each entry in flight
	flights chan flight   // in the order of the log; room for all that may be in flight
}

type proposal struct {
	command []byte
	answer  chan outcome // capacity 1: the committer never waits for a proposer
}

type outcome struct {
	value fsm.Answer
	err   error
}

// flight is an entry that was proposed and is not yet answered.
type flight struct {
	future raft.ApplyFuture
	batch  []proposal
	bytes  int
	since  time.Time
}

func newCommitter(apply func([]byte) raft.ApplyFuture, now func() int64, entryBytes, queueBytes, inFlight int, took func(int, int, time.Duration)) *committer {
	return &committer{
		apply: apply, now: now, entryBytes: entryBytes, queueBytes: queueBytes, took: took,
		wake: make(chan struct{}, 1), slots: make(chan struct{}, max(inFlight, 1)), flights: make(chan flight, max(inFlight, 1)),
	}
}

// propose queues a command and waits for its answer, or for ctx: the command may then still take effect.
func (c *committer) propose(ctx context.Context, command []byte) (fsm.Answer, error) {
	p := proposal{command: command, answer: make(chan outcome, 1)}
	if err := c.enqueue(p); err != nil {
		return fsm.Answer{}, err
	}
	select {
	case o := <-p.answer:
		return o.value, o.err
	case <-ctx.Done():
		return fsm.Answer{}, ctx.Err()
	}
}

func (c *committer) enqueue(p proposal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return c.closed
	}
	if c.bytes > 0 && c.bytes+len(p.command) > c.queueBytes {
		return ErrOverloaded
	}
	c.queue = append(c.queue, p)
	c.bytes += len(p.command)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// endOrder ends a worker's standing order. Nobody waits for the answer: when it is refused, the lease will do.
func (c *committer) endOrder(id fsm.WorkerID, incarnation uint32) {
	_ = c.enqueue(proposal{command: fsm.Encode(fsm.PickJobs{Worker: id, Incarnation: incarnation}), answer: make(chan outcome, 1)})
}

// run proposes entries until ctx ends; then it refuses what waits with refusal, and waits for what is in flight.
func (c *committer) run(ctx context.Context, refusal error) {
	var answering sync.WaitGroup
	answering.Go(func() {
		for f := range c.flights {
			c.land(f)
		}
	})
	for {
		select {
		case <-c.wake:
			for c.launch(ctx) {
			}
			continue
		case <-ctx.Done():
		}
		break
	}
	c.close(refusal)
	close(c.flights)
	answering.Wait()
}

// close refuses what waits and what comes.
func (c *committer) close(refusal error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = refusal
	for _, p := range c.queue {
		p.answer <- outcome{err: refusal}
	}
	c.queue, c.bytes = nil, 0
}

// take removes one entry's worth of commands from the queue.
func (c *committer) take() (batch []proposal, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(batch) < len(c.queue) && (bytes == 0 || bytes+len(c.queue[len(batch)].command) <= c.entryBytes) {
		bytes += len(c.queue[len(batch)].command)
		batch = c.queue[:len(batch)+1]
	}
	if len(batch) == len(c.queue) {
		c.queue = nil
	} else {
		c.queue = c.queue[len(batch):]
	}
	c.bytes -= bytes
	return batch, bytes
}

// launch proposes an entry of what waits by the time there is room in flight. It says whether there was anything.
func (c *committer) launch(ctx context.Context) bool {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	batch, bytes := c.take()
	if len(batch) == 0 {
		<-c.slots
		return false
	}
	commands := make([][]byte, len(batch))
	for i, p := range batch {
		commands[i] = p.command
	}
	f := flight{batch: batch, bytes: bytes, since: time.Now()}
	f.future = c.apply(fsm.NewEntry(c.now(), commands...))
	c.flights <- f
	return true
}

// land waits for an entry's outcome and hands each proposer its own.
func (c *committer) land(f flight) {
	err := f.future.Error()
	<-c.slots
	if err == nil {
		if failed, ok := f.future.Response().(error); ok {
			err = failed
		}
	}
	if err != nil {
		err = proposalError(err)
		for _, p := range f.batch {
			p.answer <- outcome{err: err}
		}
		return
	}
	c.took(len(f.batch), f.bytes, time.Since(f.since))
	for i, answer := range f.future.Response().([]fsm.Answer) {
		f.batch[i].answer <- outcome{value: answer}
	}
}

// proposalError tells what certainly did not happen from what may have (hashicorp/raft's Apply).
func proposalError(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		return &NotLeaderError{}
	default:
		return errors.Join(ErrUnknownOutcome, err)
	}
}

// waiting is the bytes that wait to be proposed.
func (c *committer) waiting() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(c.bytes)
}
