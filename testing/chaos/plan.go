package chaos

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults. "Kill" is SIGKILL, "stop" SIGTERM, "pause" SIGSTOP, "cut" a network that drops what goes over it.
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
	Herd             Kind = "a herd of workers leaves and rejoins at once"
	RollingRestart   Kind = "restart one coordinator after the other"
	HandOver         Kind = "hand over the leadership"
	Damage           Kind = "damage a file of a stopped follower"

	CutLeader     Kind = "cut off the leader"
	CutFollower   Kind = "cut off a follower"
	CutPair       Kind = "cut two coordinators from each other"
	CutOneWay     Kind = "cut one direction between two coordinators"
	Flap          Kind = "a flapping link of the leader"
	CutWorker     Kind = "cut off a worker"
	CutWorkers    Kind = "cut off all workers"
	SilenceWorker Kind = "a worker's connections go dead"

	SlowDisk  Kind = "slow fsyncs of a coordinator"
	SlowDisks Kind = "slow fsyncs of two coordinators"
	HangDisk  Kind = "the leader's disk hangs"
	FillDisk  Kind = "a coordinator's disk is full"
	FailSync  Kind = "an fsync of a coordinator fails"
	LosePower Kind = "a coordinator loses its power"
	Blackout  Kind = "all coordinators lose their power"
)

// need is what a fault takes of the machine.
type need uint8

const (
	network need = 1 << iota // network namespaces and packet filters
	disks                    // FUSE
)

// shape is how often a kind of fault comes, how long it lasts and what it needs.
type shape struct {
	kind   Kind
	weight int
	least  time.Duration
	most   time.Duration
	needs  need
}

// shapes: pauses and cuts of coordinators lie on both sides of the election time-out; LoseWorker's and CutWorker's are
// below and above the default lease of 10 s; HangDisk's above the default limit of 5 s; a killed node stays away for a
// moment or long enough to be missed.
var shapes = []shape{
	{KillLeader, 20, 0, 3 * time.Second, 0},
	{KillFollower, 10, 0, 3 * time.Second, 0},
	{KillMajority, 4, 0, 3 * time.Second, 0},
	{KillCoordinators, 4, 0, 2 * time.Second, 0},
	{StopLeader, 8, 0, 2 * time.Second, 0},
	{PauseLeader, 12, 100 * time.Millisecond, 4 * time.Second, 0},
	{PauseFollower, 6, 100 * time.Millisecond, 4 * time.Second, 0},
	{KillWorker, 14, 0, 3 * time.Second, 0},
	{KillWorkers, 4, 0, 2 * time.Second, 0},
	{StopWorker, 6, 0, time.Second, 0},
	{PauseWorker, 8, 100 * time.Millisecond, 4 * time.Second, 0},
	{LoseWorker, 4, 11 * time.Second, 13 * time.Second, 0},
	{Herd, 3, 0, 2 * time.Second, 0},
	{RollingRestart, 3, 0, time.Second, 0},
	{HandOver, 8, 0, time.Second, 0},
	{Damage, 4, 0, time.Second, 0},

	{CutLeader, 14, 100 * time.Millisecond, 6 * time.Second, network},
	{CutFollower, 6, 100 * time.Millisecond, 6 * time.Second, network},
	{CutPair, 6, 100 * time.Millisecond, 6 * time.Second, network},
	{CutOneWay, 10, 100 * time.Millisecond, 6 * time.Second, network},
	{Flap, 6, 2 * time.Second, 6 * time.Second, network},
	{CutWorker, 6, time.Second, 12 * time.Second, network},
	{CutWorkers, 3, time.Second, 5 * time.Second, network},
	{SilenceWorker, 6, 2 * time.Second, 6 * time.Second, network},

	{SlowDisk, 6, time.Second, 5 * time.Second, disks},
	{SlowDisks, 4, time.Second, 5 * time.Second, disks},
	{HangDisk, 3, 5 * time.Second, 8 * time.Second, disks},
	{FillDisk, 5, 100 * time.Millisecond, 4 * time.Second, disks},
	{FailSync, 5, 0, 2 * time.Second, disks},
	{LosePower, 8, 0, 2 * time.Second, disks},
	{Blackout, 6, 0, time.Second, disks},
}

// gapMost is the longest time between two faults. Some come at once, while the cluster has not got over the last.
const gapMost = 2 * time.Second

// Fault is one thing that goes wrong.
type Fault struct {
	Kind   Kind
	Victim uint32        // which of those that fit, and how: taken modulo the number of choices
	Hold   time.Duration // until it is healed
	Gap    time.Duration // after that, before the next
}

func (f Fault) String() string {
	return fmt.Sprintf("%s for %v, then %v of peace", f.Kind, f.Hold.Round(time.Millisecond), f.Gap.Round(time.Millisecond))
}

// Plan is the endless schedule of a seed, of the faults that the machine allows.
type Plan struct {
	random *rand.Rand
	shapes []shape
	sum    int
}

// newPlan begins the schedule of a seed on a machine that has what is given. only, unless it is nil, says which kinds come.
func newPlan(seed uint64, has need, only *regexp.Regexp) *Plan {
	p := &Plan{random: stream(seed, streamFaults)}
	for _, s := range shapes {
		if s.needs&^has == 0 && (only == nil || only.MatchString(string(s.kind))) {
			p.shapes = append(p.shapes, s)
			p.sum += s.weight
		}
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
	for _, s := range p.shapes {
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
