package fsm

import (
	"container/heap"
	"slices"
	"strings"
)

// JobBoard holds the jobs that are ready, grouped by class: what a worker must have to run them. Within a class the
// order is priority, then first come first served. Taking the next job of a class costs O(log n) at worst and O(1)
// when jobs arrive in order.
//
// It is derived state: rebuilt from the jobs on restore, never persisted. Removing a job leaves its entry behind; an
// entry counts only while the job is ready, on the board and has the same order (see Machine.onBoard).
//
// Every job that becomes ready goes on the board. One that comes up first in its class while its request runs as many
// as max_running allows is parked: it leaves the board until its request has room again (see Machine.firstOf), so that
// what cannot run yet is passed by once, not at every grant.
type JobBoard struct {
	classes map[string]*class     // by key; looked up, never ranged over
	list    []*class              // the same in the order in which they came up
	sweepAt int                   // length of list at which its empty classes are forgotten
	held    map[RequestID]*parked // jobs that max_running keeps off the board; looked up, never ranged over
	ready   int                   // jobs on the board
	surplus int                   // of them, those that max_running would bar if the others were granted
	stirred bool                  // something was added since the last match
}

// parked is the jobs of one request that max_running keeps off the board, by class.
type parked struct {
	classes map[string]*class // by key; looked up, never ranged over
	list    []*class          // the same in the order in which they came up; empty ones too
	n       int               // jobs
}

// class is the jobs that the same workers can run.
type class struct {
	key     string
	queue   string
	labels  []Pair
	slots   uint32
	n       int // valid entries
	fresh   bool
	buckets []*bucket // by priority, highest first
}

// bucket is the jobs of one class and one priority, by order.
type bucket struct {
	priority int8
	fifo     []ticket // in order from head on
	head     int
	late     lateHeap // those that came out of order: put back after a lost worker
	n        int      // valid entries
}

// ticket is a job's entry on the board.
type ticket struct {
	order uint64
	job   JobID
}

// emptyClassesMax is the number of classes up to which empty ones are kept unconditionally.
const emptyClassesMax = 256

// compactMin is the number of dead entries that a bucket may carry unconditionally.
const compactMin = 1024

func classKey(s *JobSpec) string {
	var b strings.Builder
	number := func(n uint32) { b.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}) }
	text := func(s string) { // with its length: a text may hold any byte
		number(uint32(len(s)))
		b.WriteString(s)
	}
	number(s.Slots)
	text(s.Queue)
	for _, l := range s.Labels {
		text(l.Key)
		text(l.Value)
	}
	return b.String()
}

// classOf finds or makes the class of a spec.
func (b *JobBoard) classOf(s *JobSpec) *class {
	c := b.classes[s.class]
	if c == nil {
		if b.classes == nil {
			b.classes = make(map[string]*class)
		}
		if len(b.list) >= max(b.sweepAt, emptyClassesMax) {
			b.sweep()
		}
		c = &class{key: s.class, queue: s.Queue, labels: s.Labels, slots: s.Slots}
		b.classes[s.class] = c
		b.list = append(b.list, c)
	}
	return c
}

// sweep forgets the empty classes. The next one is due when the list has doubled, so that a class costs O(1) of it.
func (b *JobBoard) sweep() {
	b.list = slices.DeleteFunc(b.list, func(c *class) bool {
		if c.n == 0 {
			delete(b.classes, c.key)
		}
		return c.n == 0
	})
	b.sweepAt = 2 * len(b.list)
}

// Add puts a job on the board.
func (b *JobBoard) Add(s *JobSpec, t ticket) {
	c := b.classOf(s)
	c.push(s.Priority, t)
	c.fresh = true
	b.ready++
	b.stirred = true
}

// stir makes the next match look at a class again: what came first in it is gone.
func (b *JobBoard) stir(s *JobSpec) {
	b.classOf(s).fresh = true
	b.stirred = true
}

// stirAll makes the next match look at every class again.
func (b *JobBoard) stirAll() {
	for _, c := range b.list {
		c.fresh = true
	}
	b.stirred = true
}

// Remove takes a job that was added off the board.
func (b *JobBoard) Remove(s *JobSpec, t ticket, valid func(ticket) bool) {
	b.classOf(s).drop(s.Priority, t, valid)
	b.ready--
}

// Hold parks a job that has left the board because its request is full.
func (b *JobBoard) Hold(s *JobSpec, t ticket) {
	p := b.held[t.job.Request]
	if p == nil {
		if b.held == nil {
			b.held = make(map[RequestID]*parked)
		}
		p = &parked{classes: make(map[string]*class)}
		b.held[t.job.Request] = p
	}
	c := p.classes[s.class]
	if c == nil {
		c = &class{key: s.class}
		p.classes[s.class] = c
		p.list = append(p.list, c)
	}
	c.push(s.Priority, t)
	p.n++
}

// Unhold forgets a job that was parked.
func (b *JobBoard) Unhold(s *JobSpec, t ticket, valid func(ticket) bool) {
	p := b.held[t.job.Request]
	p.classes[s.class].drop(s.Priority, t, valid)
	if p.n--; p.n == 0 {
		delete(b.held, t.job.Request)
	}
}

// FirstHeld appends to list the best of a request's parked jobs in each of its classes.
func (b *JobBoard) FirstHeld(list []ticket, r RequestID, valid func(ticket) bool) []ticket {
	p := b.held[r]
	if p == nil {
		return list
	}
	for _, c := range p.list {
		if t, _, ok := c.first(valid); ok {
			list = append(list, t)
		}
	}
	return list
}

func (c *class) push(priority int8, t ticket) {
	at, found := slices.BinarySearchFunc(c.buckets, priority, func(k *bucket, p int8) int { return int(p) - int(k.priority) })
	if !found {
		c.buckets = slices.Insert(c.buckets, at, &bucket{priority: priority})
	}
	c.buckets[at].push(t)
	c.n++
}

func (c *class) drop(priority int8, t ticket, valid func(ticket) bool) {
	c.n--
	for _, k := range c.buckets {
		if k.priority == priority {
			k.drop(t, valid)
		}
	}
}

// first is the class's next job.
func (c *class) first(valid func(ticket) bool) (t ticket, priority int8, ok bool) {
	for _, k := range c.buckets {
		if t, ok := k.first(valid); ok {
			return t, k.priority, true
		}
	}
	return ticket{}, 0, false
}

func (k *bucket) size() int { return len(k.fifo) - k.head + len(k.late) }

func (k *bucket) push(t ticket) {
	k.n++
	if n := len(k.fifo); n > k.head && k.fifo[n-1].order > t.order {
		heap.Push(&k.late, t)
		return
	}
	if k.head == len(k.fifo) {
		k.fifo, k.head = k.fifo[:0], 0
	}
	k.fifo = append(k.fifo, t)
}

// drop counts one entry as dead. The first entry is forgotten at once: it may be put back with the same order, and
// must not find itself there already.
func (k *bucket) drop(t ticket, valid func(ticket) bool) {
	k.n--
	switch {
	case k.n == 0:
		k.fifo, k.head, k.late = k.fifo[:0], 0, nil
	case len(k.late) > 0 && k.late[0] == t:
		heap.Pop(&k.late)
	case k.head < len(k.fifo) && k.fifo[k.head] == t:
		k.head++
	case k.size() > 2*k.n+compactMin:
		k.compact(valid)
	}
}

// first is the bucket's next job; dead entries before it are dropped.
func (k *bucket) first(valid func(ticket) bool) (ticket, bool) {
	if k.n == 0 {
		return ticket{}, false
	}
	for len(k.late) > 0 && !valid(k.late[0]) {
		heap.Pop(&k.late)
	}
	for k.head < len(k.fifo) && !valid(k.fifo[k.head]) {
		k.head++
	}
	if k.head > len(k.fifo)/2 && k.head > compactMin {
		n := copy(k.fifo, k.fifo[k.head:])
		k.fifo, k.head = k.fifo[:n], 0
	}
	switch {
	case k.head == len(k.fifo) && len(k.late) == 0:
		return ticket{}, false
	case k.head == len(k.fifo) || len(k.late) > 0 && k.late[0].order < k.fifo[k.head].order:
		return k.late[0], true
	}
	return k.fifo[k.head], true
}

func (k *bucket) compact(valid func(ticket) bool) {
	dead := func(t ticket) bool { return !valid(t) }
	k.fifo = slices.DeleteFunc(k.fifo[k.head:], dead)
	k.head = 0
	k.late = slices.DeleteFunc(k.late, dead)
	heap.Init(&k.late)
}

// lateHeap is a container/heap by order.
type lateHeap []ticket

func (h lateHeap) Len() int           { return len(h) }
func (h lateHeap) Less(i, j int) bool { return h[i].order < h[j].order }
func (h lateHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lateHeap) Push(x any)        { *h = append(*h, x.(ticket)) }
func (h *lateHeap) Pop() any {
	t := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return t
}
