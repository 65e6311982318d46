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
	limits     queueLimits
	took       func(commands, bytes int, took time.Duration)

	mu     sync.Mutex
	queue  []proposal
	bytes  int
	pace   time.Duration // that the last entry took from its proposal to its answers
	last   int           // bytes of the last entry proposed
	fill   int           // so many bytes need not wait for more, see gather
	until  time.Time     // nothing waits for longer
	closed error
	wake   chan struct{} // capacity 1: a pending signal stands for all that has changed since

	slots   chan struct{} // one taken for each entry in flight
	flights chan flight   // in the order of the log; room for all that may be in flight
}

const (
	// gatherBytes is the size of an entry, some 25 jobs started and done, from which on there is something to gather.
	gatherBytes = 512
	// gatherGrowth is how many times larger than the one under way another entry must be.
	gatherGrowth = 2
	// gatherMax bounds the wait for those whom the last entry answered.
	gatherMax = 2 * time.Millisecond
)

// queueLimits bound what waits to be proposed, in bytes and in time. New work is refused as overloaded at the first
// limit; words on work that was accepted, and the leader's own decisions, may take as much again, so that a flood of
// submits does not keep jobs from ending.
type queueLimits struct {
	bytes int
	wait  time.Duration // new work that has waited longer is refused
}

type proposal struct {
	command []byte
	ctx     context.Context // of who waits for the answer; nil: nobody does, and it is wanted all the same
	work    bool            // new work: refused first
	since   time.Time
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

func newCommitter(apply func([]byte) raft.ApplyFuture, now func() int64, entryBytes int, limits queueLimits, inFlight int, took func(int, int, time.Duration)) *committer {
	return &committer{
		apply: apply, now: now, entryBytes: entryBytes, limits: limits, took: took,
		wake: make(chan struct{}, 1), slots: make(chan struct{}, max(inFlight, 1)), flights: make(chan flight, max(inFlight, 1)),
	}
}

// propose queues a command and waits for its answer, or for ctx: the command may then still take effect, unless it was
// not proposed yet.
func (c *committer) propose(ctx context.Context, command []byte, work bool) (fsm.Answer, error) {
	p := proposal{command: command, ctx: ctx, work: work, since: time.Now(), answer: make(chan outcome, 1)}
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
	if c.full(p) {
		return errQueueFull
	}
	c.queue = append(c.queue, p)
	c.bytes += len(p.command)
	c.signal()
	return nil
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// full says whether there is no room for a proposal. One that is larger than the queue is let into an empty one.
func (c *committer) full(p proposal) bool {
	if c.bytes == 0 {
		return false
	}
	room := c.limits.bytes - c.bytes
	if !p.work {
		return len(p.command) > room+c.limits.bytes
	}
	// What comes will wait about as long as the oldest has.
	wait := p.since.Sub(c.queue[0].since)
	return len(p.command) > room || wait > c.limits.wait || c.hopeless(p, p.since.Add(wait))
}

// hopeless says whether who waits for new work will have given up by the time that it is committed, if it is proposed
// at the given time. Whatever is committed in vain takes the place of what is still wanted: without this, a queue that
// is as long as its clients are patient serves nobody, and stays so long.
func (c *committer) hopeless(p proposal, at time.Time) bool {
	end, ok := p.ctx.Deadline()
	return ok && at.Add(2*c.pace).After(end)
}

// endOrder ends a worker's standing order. Nobody waits for the answer: when it is refused, the lease will do.
func (c *committer) endOrder(id fsm.WorkerID, incarnation uint32) {
	_ = c.enqueue(proposal{command: fsm.Encode(fsm.PickJobs{Worker: id, Incarnation: incarnation}),
		since: time.Now(), answer: make(chan outcome, 1)})
}

// drop forgets what comes in parts. Nobody waits for the answer: when it is refused, time will do.
func (c *committer) drop(cmd fsm.Command) {
	_ = c.enqueue(proposal{command: fsm.Encode(cmd),
		ctx: context.Background(), since: time.Now(), answer: make(chan outcome, 1)})
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
			for c.gather(ctx) && c.launch(ctx) {
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

// take removes one entry's worth of commands from the queue. It passes over those that nobody waits for any more, and
// refuses new work that has waited too long: of a load beyond what can be committed, what is still wanted is committed.
func (c *committer) take() (batch []proposal, bytes int) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, n := c.queue[:0], 0
	for ; n < len(c.queue); n++ {
		p := c.queue[n]
		size := len(p.command)
		switch {
		case p.ctx != nil && p.ctx.Err() != nil:
		case p.work && (now.Sub(p.since) > c.limits.wait || c.hopeless(p, now)):
			p.answer <- outcome{err: errQueueFull}
		case bytes > 0 && bytes+size > c.entryBytes:
			c.leave(n)
			return kept, bytes
		default:
			kept = append(kept, p)
			bytes += size
		}
		c.bytes -= size
	}
	c.leave(n)
	return kept, bytes
}

// leave forgets the first n that wait; they stay where they are, for who took them.
func (c *committer) leave(n int) {
	if n == len(c.queue) {
		c.queue = nil
		return
	}
	c.queue = c.queue[n:]
}

// gather lets the next entry fill, and says whether there is one to propose. What an entry costs hardly depends on what it carries, so
// under load few large ones are wanted: while one is under way another is only begun if it would be larger by far; after
// one has landed, those whom it answered are waited for. With little to do nothing is waited for.
func (c *committer) gather(ctx context.Context) bool {
	for {
		wait, held := c.holdBack()
		if !held {
			return c.waiting() > 0
		}
		var late <-chan time.Time
		if wait > 0 {
			late = time.After(wait)
		}
		select {
		case <-c.wake:
		case <-late:
		case <-ctx.Done():
			return false
		}
	}
}

// holdBack says whether the next entry is to wait, and how long at most; 0: until one lands.
func (c *committer) holdBack() (wait time.Duration, held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.queue) == 0, c.bytes >= c.entryBytes:
		return 0, false
	case len(c.slots) > 0:
		return 0, c.last >= gatherBytes && c.bytes < gatherGrowth*c.last
	case c.bytes >= c.fill:
		return 0, false
	}
	wait = time.Until(c.until)
	return wait, wait > 0
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
	c.mu.Lock()
	c.last = bytes
	c.mu.Unlock()
	c.flights <- f
	return true
}

// land waits for an entry's outcome and hands each proposer its own.
func (c *committer) land(f flight) {
	err := f.future.Error()
	c.landed(f)
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

// landed makes room for another entry, and says for how much the next one waits.
func (c *committer) landed(f flight) {
	now := time.Now()
	c.mu.Lock()
	c.pace = now.Sub(f.since)
	c.fill = 0
	if f.bytes >= gatherBytes {
		c.fill, c.until = c.bytes+f.bytes, now.Add(min(c.pace/2, gatherMax))
	}
	<-c.slots
	c.mu.Unlock()
	c.signal()
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
