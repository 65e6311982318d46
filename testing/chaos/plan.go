package chaos

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults. "Kill" is SIGKILL, "stop" SIGTERM, "pause" SIGSTOP.
const (
	KillLeader       Kind = "kill the leader"
	KillFollower     Kind = "kill a follower"
	KillMajority     Kind = "kill all coordinators but one"
	KillCoordinators Kind = "kill all coordinators"
	StopLeader       Kind = "stop the leader"
	PauseLeader      Kind = "pause the leader"
	PauseFollower    Kind = "pause a follower"
	KillWorker       Kind = "kill a worker"
	KillWorkers      Kind = "kill all workers"
	StopWorker       Kind = "stop a worker"
	PauseWorker      Kind = "pause a worker"
	LoseWorker       Kind = "pause a worker for longer than its lease"
)

// shape is how often a kind of fault comes and how long it lasts.
type shape struct {
	kind   Kind
	weight int
	least  time.Duration
	most   time.Duration
}

// shapes: pauses of coordinators lie on both sides of the election time-out; LoseWorker's is above the default lease
// of 10 s; a killed node stays away for a moment or long enough to be missed.
var shapes = []shape{
	{KillLeader, 20, 0, 3 * time.Second},
	{KillFollower, 10, 0, 3 * time.Second},
	{KillMajority, 4, 0, 3 * time.Second},
	{KillCoordinators, 4, 0, 2 * time.Second},
	{StopLeader, 8, 0, 2 * time.Second},
	{PauseLeader, 12, 100 * time.Millisecond, 4 * time.Second},
	{PauseFollower, 6, 100 * time.Millisecond, 4 * time.Second},
	{KillWorker, 14, 0, 3 * time.Second},
	{KillWorkers, 4, 0, 2 * time.Second},
	{StopWorker, 6, 0, time.Second},
	{PauseWorker, 8, 100 * time.Millisecond, 4 * time.Second},
	{LoseWorker, 4, 11 * time.Second, 13 * time.Second},
}

// gapMost is the longest time between two faults. Some come at once, while the cluster has not got over the last.
const gapMost = 2 * time.Second

// Fault is one thing that goes wrong.
type Fault struct {
	Kind   Kind
	Victim uint32        // which of those that fit: taken modulo their number
	Hold   time.Duration // until it is healed
	Gap    time.Duration // after that, before the next
}

func (f Fault) String() string {
	return fmt.Sprintf("%s for %v, then %v of peace", f.Kind, f.Hold.Round(time.Millisecond), f.Gap.Round(time.Millisecond))
}

// Plan is the endless schedule of a seed.
type Plan struct {
	random *rand.Rand
	sum    int
}

// NewPlan begins the schedule of a seed.
func NewPlan(seed uint64) *Plan {
	p := &Plan{random: stream(seed, streamFaults)}
	for _, s := range shapes {
		p.sum += s.weight
	}
	return p
}

// Next is the next fault.
func (p *Plan) Next() Fault {
	s := p.pick()
	return Fault{
		Kind:   s.kind,
		Victim: p.random.Uint32(),
		Hold:   s.least + time.Duration(p.random.Int64N(int64(s.most-s.least)+1)),
		Gap:    time.Duration(p.random.Int64N(int64(gapMost))),
	}
}

func (p *Plan) pick() shape {
	n := p.random.IntN(p.sum)
	for _, s := range shapes {
		if n -= s.weight; n < 0 {
			return s
		}
	}
	panic("chaos: weights do not add up")
}

// streamFaults is the stream of chance that the plan takes; loaders take those from 1.
const streamFaults = 0

// stream is one of a seed's independent streams of chance.
func stream(seed, n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
