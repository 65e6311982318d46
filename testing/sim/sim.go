package sim

import (
	"context"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/config"
	"github.com/musterhq/muster/testing/history"
)

// Options are one run.
type Options struct {
	Seed     uint64
	For      time.Duration // of faults, in the cluster's time
	SyncLag  time.Duration // planted bug: a crash loses what was written within this time
	Verbose  bool          // keep the coordinators' own logs, too
	KeepLogs int           // lines of the run's log that a failure shows
}

// Report is what a run came to.
type Report struct {
	Simulated                     time.Duration
	Messages, Lost, Writes        uint64
	Requests, Jobs, Events, Reads int
	Faults, Leaders, Lives        int
	InParts, Broken               int  // requests that came in parts; tries of such ones that ended with their leader
	Ending, Busy                  int  // requests read while they were about to end; states with work left for later entries
	Steps                         bool // what changes many jobs is done in steps
	Failures                      []string
	Log                           []string          // the newest lines
	Trail                         []string          // the lines up to the first failure, with the coordinators' own
	History                       *history.Recorder // to be judged; nil afterwards
	Operations, Unknown           int               // judged, and those of them whose outcome nobody knows
	Judging                       time.Duration     // real time
}

// settleMax is how long after the last fault everything must have come right.
const settleMax = 3 * time.Minute

// Sim is a running simulation.
type Sim struct {
	opt     Options
	cfg     config.Coordinator
	grain   grain
	net     *network
	steps   *stepTrap
	hosts   []*host
	clients []*client
	workers []*worker
	history *annals
	began   time.Time

	ctx    context.Context
	ending sync.WaitGroup

	mu       sync.Mutex
	failures []string
	log      []string
	trail    []string // like log, with the coordinators' lines; it ends with the first failure
	faults   int
}

// Run simulates one cluster. Call it in a bubble of testing/synctest.
func Run(opt Options) Report {
	// Raft draws its time-outs from the global source and knows no other.
	//lint:ignore SA1019 there is no other way to reach that source
	rand.Seed(int64(opt.Seed))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &Sim{opt: opt, steps: new(stepTrap), ctx: ctx, began: time.Now()}
	s.net = newNetwork(opt.Seed, s.steps)
	s.history = newAnnals(s)
	d := newDice(opt.Seed, "shape")
	s.cfg = shape(d)
	s.grain = drawGrain(newDice(opt.Seed, "grain"))
	for i := range 3 + 2*d.IntN(5)/4 {
		s.hosts = append(s.hosts, &host{s: s, name: fmt.Sprintf("c%d", i+1), img: newImage(), offset: d.between(-50*time.Millisecond, 50*time.Millisecond), slow: d.between(200*time.Microsecond, 5*time.Millisecond)})
	}
	for i := range 2 + d.IntN(4) {
		s.clients = append(s.clients, newClient(s, fmt.Sprintf("m%d", i+1)))
	}
	for i := range 2 + d.IntN(5) {
		s.workers = append(s.workers, newWorker(s, fmt.Sprintf("w%d", i+1)))
	}
	s.ending.Go(func() { s.history.watch(ctx) })
	load, stopLoad := context.WithCancel(ctx)
	var clients sync.WaitGroup
	if s.grain.small() {
		clients.Go(func() { s.grain.limit(ctx, s) })
	}
	for _, c := range s.clients {
		clients.Go(func() { c.run(load) })
	}
	for _, w := range s.workers {
		s.ending.Go(func() { w.run(ctx) })
	}
	newNemesis(s).run(ctx, opt.For)
	healed := time.Now()
	s.logf("all faults are over")
	stopLoad()
	clients.Wait() // each ends what it has begun, or says that it cannot
	s.settle(healed)
	s.history.finish()
	cancel()
	for _, h := range s.hosts {
		h.crash()
	}
	s.ending.Wait()
	return s.report()
}

// shape draws the cluster's settings. The defaults are among them.
func shape(d dice) config.Coordinator {
	cfg := config.DefaultCoordinator()
	if d.chance(0.5) {
		beat := d.between(150*time.Millisecond, time.Second)
		cfg.Raft.Heartbeat, cfg.Raft.Election, cfg.Raft.Lease = beat, beat, beat*4/5
	}
	cfg.Raft.SnapshotBytes = int64(32<<10) << d.IntN(6)
	cfg.Raft.TrailingLogs = uint64(4) << d.IntN(8)
	cfg.Raft.EntryBytes = 1 << 10 << d.IntN(9)
	cfg.Raft.InFlight = 1 + d.IntN(3)
	cfg.QueueBytes = 8 << 10 << d.IntN(12)
	cfg.Lease.TTL = d.between(3*time.Second, 15*time.Second)
	cfg.Lease.ReconnectGrace = d.between(500*time.Millisecond, 3*time.Second)
	return cfg
}

func (s *Sim) members() (list []cluster.Peer) {
	for _, h := range s.hosts {
		list = append(list, cluster.Peer{ID: h.name, RPC: addressOf(h.name)})
	}
	return list
}

func (s *Sim) host(name string) *host {
	for _, h := range s.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

func (s *Sim) transportOn(name string) *transport {
	if h := s.host(name); h != nil {
		if l := h.now(); l != nil {
			return l.net
		}
	}
	return nil
}

func (s *Sim) portOn(name string) *listener {
	if h := s.host(name); h != nil {
		if l := h.now(); l != nil {
			return l.port
		}
	}
	return nil
}

// leader is the host that leads and serves, if there is one.
func (s *Sim) leader() *host {
	for _, h := range s.hosts {
		if l := h.now(); l != nil && l.coord.Tasker().IsLeader() {
			return h
		}
	}
	return nil
}

// fail notes a broken promise.
func (s *Sim) fail(format string, args ...any) {
	text := fmt.Sprintf("%12s  ", time.Since(s.began).Round(time.Microsecond)) + fmt.Sprintf(format, args...)
	s.logf("FAILURE: "+format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failures) < 20 {
		s.failures = append(s.failures, text)
	}
}

func (s *Sim) logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := s.trace(fmt.Sprintf(format, args...))
	s.log = append(s.log, line)
	if n := max(s.opt.KeepLogs, 100); len(s.log) > 2*n {
		s.log = append(s.log[:0], s.log[len(s.log)-n:]...)
	}
}

// trailLines is how many lines of the trail are kept: some seconds.
const trailLines = 4000

// trace adds a line to the trail, until something fails. Call it with mu held.
func (s *Sim) trace(text string) (line string) {
	line = fmt.Sprintf("%12s  %s", time.Since(s.began).Round(time.Microsecond), text)
	if len(s.failures) > 0 {
		return line
	}
	s.trail = append(s.trail, line)
	if len(s.trail) > 2*trailLines {
		s.trail = append(s.trail[:0], s.trail[trailLines:]...)
	}
	return line
}

// logger is a coordinator's; its lines go into the run's log, or into the trail alone.
func (s *Sim) logger(name string) hclog.Logger {
	level := hclog.Info
	if s.opt.Verbose {
		level = hclog.Debug
	}
	return hclog.New(&hclog.LoggerOptions{Name: name, Level: level, DisableTime: true, Output: lines{s}})
}

type lines struct{ s *Sim }

func (l lines) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	if l.s.opt.Verbose {
		l.s.logf("%s", text)
		return len(p), nil
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.s.trace(text)
	return len(p), nil
}

func (s *Sim) report() Report {
	r := Report{Simulated: time.Since(s.began), Faults: s.faults, Steps: s.grain.small()}
	s.net.mu.Lock()
	r.Messages, r.Lost = s.net.sent, s.net.lost
	s.net.mu.Unlock()
	for _, h := range s.hosts {
		r.Lives += h.lives
	}
	s.history.report(&r)
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Failures, r.Log, r.Trail, r.History = s.failures, s.log, s.trail, s.history.ops
	return r
}
