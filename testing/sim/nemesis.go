package sim

import (
	"context"
	"sync"
	"time"
)

// nemesis brings the faults, one after the other and some at once, and heals each after a while.
type nemesis struct {
	s      *Sim
	d      dice
	heals  sync.WaitGroup
	faults []fault
}

// fault is one kind of trouble. It returns how to end it, or nil.
type fault struct {
	name string
	odds int
	do   func() func()
}

func newNemesis(s *Sim) *nemesis {
	n := &nemesis{s: s, d: newDice(s.opt.Seed, "nemesis")}
	n.faults = []fault{
		{"crash one", 6, n.crashOne},
		{"crash the leader", 6, n.crashLeader},
		{"crash the leader at a step", 10, n.crashAtStep},
		{"crash a majority", 2, n.crashMajority},
		{"crash all", 1, n.crashAll},
		{"power fails", 4, n.powerFails},
		{"stop one cleanly", 2, n.stopOne},
		{"hand leadership over", 4, n.transfer},
		{"hand leadership over and cut off", 4, n.transferAndCut},
		{"cut one off", 6, n.cutOff},
		{"cut one direction", 6, n.cutOneWay},
		{"cut a pair", 3, n.cutPair},
		{"swizzle", 2, n.swizzle},
		{"bad weather", 8, n.badWeather},
		{"slow disk", 4, n.slowDisk},
		{"hanging disk", 2, n.hangingDisk},
		{"full disk", 2, n.fullDisk},
		{"wall clock jumps", 5, n.jumpClock},
		{"worker crashes", 6, func() func() { n.worker().crash(); return nil }},
		{"worker cut off", 6, n.cutWorker},
		{"worker stalls", 4, n.stallWorker},
		{"worker leaves", 2, func() func() { n.worker().leave(); return nil }},
	}
	// Each seed has its own mood: some faults often, others never.
	for i := range n.faults {
		n.faults[i].odds *= n.d.IntN(4)
	}
	n.faults[0].odds++
	return n
}

// run starts the coordinators and lasts for d; when it returns every fault is healed.
func (n *nemesis) run(ctx context.Context, d time.Duration) {
	end := time.Now().Add(d)
	mean := n.d.between(300*time.Millisecond, 20*time.Second)
	healing, heal := context.WithCancel(ctx)
	n.bring(healing, fault{name: "the first start", do: n.powerOn}, n.d.around(5*time.Second))
	for {
		wait := n.d.around(mean)
		if time.Now().Add(wait).After(end) {
			time.Sleep(time.Until(end))
			break
		}
		time.Sleep(wait)
		f := n.pick()
		lasts := n.d.around(n.d.between(50*time.Millisecond, 10*time.Second))
		n.s.mu.Lock()
		n.s.faults++
		n.s.mu.Unlock()
		n.s.logf("nemesis: %s, for %s", f.name, lasts)
		n.bring(healing, f, lasts)
	}
	heal()
	n.heals.Wait()
	n.s.steps.set("", 0, nil)
	n.s.net.setWeather(fair)
	for _, h := range n.s.hosts {
		h.start()
	}
}

// bring does a fault, and ends it after a time, or when healing ends.
func (n *nemesis) bring(healing context.Context, f fault, lasts time.Duration) {
	undo := f.do()
	if undo == nil {
		return
	}
	n.heals.Go(func() {
		sleep(healing, lasts)
		n.s.logf("nemesis: %s is over", f.name)
		undo()
	})
}

func (n *nemesis) pick() fault {
	total := 0
	for _, f := range n.faults {
		total += f.odds
	}
	at := n.d.IntN(total)
	for _, f := range n.faults {
		if at -= f.odds; at < 0 {
			return f
		}
	}
	return n.faults[0]
}

func (n *nemesis) one() *host      { return n.s.hosts[n.d.IntN(len(n.s.hosts))] }
func (n *nemesis) worker() *worker { return n.s.workers[n.d.IntN(len(n.s.workers))] }

// theLeader is the leader's host, or any.
func (n *nemesis) theLeader() *host {
	other := n.one()
	if h := n.s.leader(); h != nil {
		return h
	}
	return other
}

func (n *nemesis) crash(list ...*host) func() {
	for _, h := range list {
		h.crash()
	}
	return func() {
		for _, h := range list {
			h.start()
		}
	}
}

func (n *nemesis) crashOne() func()    { return n.crash(n.one()) }
func (n *nemesis) crashLeader() func() { return n.crash(n.theLeader()) }
func (n *nemesis) crashAll() func()    { return n.crash(n.s.hosts...) }

// powerFails takes all at once. The machines are not back at the same time.
func (n *nemesis) powerFails() func() {
	for _, h := range n.s.hosts {
		h.crash()
	}
	return n.powerOn()
}

// powerOn starts all, one after the other, at times a minority much later. Until somebody sets it, the clock of one may show
// anything: so the leader may be the one that is wrong, and nobody else's clock, or one that differs, all that it knows.
func (n *nemesis) powerOn() (undo func()) {
	if n.d.chance(0.5) {
		undo = n.jumpClock()
	}
	mean, tardy := n.d.between(100*time.Millisecond, 2*time.Second), len(n.s.hosts)
	if n.d.chance(0.5) {
		tardy = len(n.s.hosts)/2 + 1
	}
	first := n.d.chance(0.5) // the one whose clock may be wrong
	for i, h := range n.s.hosts {
		late := n.d.around(mean)
		switch {
		case i == 0 && first:
			late = 0
		case i >= tardy:
			late += n.d.between(time.Second, 8*time.Second)
		}
		n.heals.Go(func() {
			time.Sleep(late)
			h.start()
		})
	}
	return undo
}

func (n *nemesis) crashMajority() func() {
	var list []*host
	for _, i := range n.d.Perm(len(n.s.hosts))[:len(n.s.hosts)/2+1] {
		list = append(list, n.s.hosts[i])
	}
	return n.crash(list...)
}

// crashAtStep crashes the leader, or another, after a number of messages and writes: between any two of them.
func (n *nemesis) crashAtStep() func() {
	h := n.theLeader()
	if n.d.chance(0.2) {
		h = n.one()
	}
	steps := 1 + n.d.IntN(60)
	n.s.steps.set(h.name, steps, func() { h.crash() })
	return h.start
}

func (n *nemesis) stopOne() func() {
	h := n.one()
	n.heals.Go(h.stop)
	return h.start
}

func (n *nemesis) transfer() func() {
	if h := n.s.leader(); h != nil {
		if l := h.now(); l != nil {
			n.heals.Go(func() {
				ctx, cancel := context.WithTimeout(n.s.ctx, 5*time.Second)
				defer cancel()
				_ = l.coord.Tasker().TransferLeadership(ctx, "")
			})
		}
	}
	return nil
}

// transferAndCut cuts the old leader off while it hands over: for a while it does not know that another leads. Everyone
// reads meanwhile, of it and of the others.
func (n *nemesis) transferAndCut() func() {
	h := n.s.leader()
	n.transfer()
	time.Sleep(n.d.between(0, 15*time.Millisecond))
	if h == nil {
		return nil
	}
	var links []link
	for _, o := range n.everyone(h.name) {
		links = append(links, link{h.name, o}, link{o, h.name})
	}
	undo := n.cut(links...)
	for _, o := range n.s.hosts {
		c := &caller{s: n.s, from: "r" + o.name, d: newDice(n.d.Uint64(), o.name)}
		n.heals.Go(func() { c.readOften(o, time.Second) })
	}
	return undo
}

// everyone is the names of all that a host talks with.
func (n *nemesis) everyone(but string) (list []string) {
	for _, h := range n.s.hosts {
		if h.name != but {
			list = append(list, h.name)
		}
	}
	return list
}

// cut cuts links, given as pairs of from and to.
func (n *nemesis) cut(links ...link) func() {
	for _, l := range links {
		n.s.net.cut(l.from, l.to)
	}
	return func() {
		for _, l := range links {
			n.s.net.mend(l.from, l.to)
		}
	}
}

func (n *nemesis) victim() *host {
	if n.d.chance(0.6) {
		return n.theLeader()
	}
	return n.one()
}

// cutOff takes one coordinator from the others; its clients may still reach it.
func (n *nemesis) cutOff() func() {
	h := n.victim()
	var links []link
	for _, o := range n.everyone(h.name) {
		links = append(links, link{h.name, o}, link{o, h.name})
	}
	if n.d.chance(0.3) {
		for _, w := range n.s.workers {
			links = append(links, link{h.name, w.name}, link{w.name, h.name})
		}
	}
	return n.cut(links...)
}

func (n *nemesis) cutOneWay() func() {
	h := n.victim()
	out := n.d.chance(0.5)
	var links []link
	for _, o := range n.everyone(h.name) {
		switch {
		case n.d.chance(0.3):
		case out:
			links = append(links, link{h.name, o})
		default:
			links = append(links, link{o, h.name})
		}
	}
	return n.cut(links...)
}

func (n *nemesis) cutPair() func() {
	p := n.d.Perm(len(n.s.hosts))
	a, b := n.s.hosts[p[0]].name, n.s.hosts[p[1]].name
	return n.cut(link{a, b}, link{b, a})
}

// swizzle cuts one after the other off and lets them back in another order (FoundationDB's swizzle-clog).
func (n *nemesis) swizzle() func() {
	order, back := n.d.Perm(len(n.s.hosts)), n.d.Perm(len(n.s.hosts))
	gap := n.d.between(10*time.Millisecond, 2*time.Second)
	n.heals.Go(func() {
		heals := make([]func(), len(order))
		for _, i := range order {
			h := n.s.hosts[i]
			var links []link
			for _, o := range n.everyone(h.name) {
				links = append(links, link{h.name, o}, link{o, h.name})
			}
			heals[i] = n.cut(links...)
			time.Sleep(gap)
		}
		for _, i := range back {
			heals[i]()
			time.Sleep(gap)
		}
	})
	return nil
}

func (n *nemesis) badWeather() func() {
	w := weather{delay: n.d.between(200*time.Microsecond, 40*time.Millisecond), lateBy: n.d.between(10*time.Millisecond, time.Second)}
	for _, p := range []*float64{&w.loss, &w.twice, &w.overtake, &w.late} {
		if n.d.chance(0.5) {
			*p = n.d.Float64() * n.d.Float64() * 0.4
		}
	}
	n.s.net.setWeather(w)
	return func() { n.s.net.setWeather(fair) }
}

func (n *nemesis) slowDisk() func() {
	h, was := n.victim(), n.d.between(200*time.Microsecond, 5*time.Millisecond)
	h.setSlow(n.d.between(5*time.Millisecond, 200*time.Millisecond), 0)
	return func() { h.setSlow(was, 0) }
}

// hangingDisk makes writes wait; beyond raft.disk_stall_limit the process ends itself.
func (n *nemesis) hangingDisk() func() {
	h := n.victim()
	h.setSlow(time.Millisecond, n.d.around(3*time.Second))
	return func() {
		h.setSlow(time.Millisecond, 0)
		h.start()
	}
}

func (n *nemesis) fullDisk() func() {
	h := n.victim()
	h.setFull(true)
	return func() { h.setFull(false) }
}

// jumpClock sets the wall clock of a minority: no more than a minority of them is ever wrong.
func (n *nemesis) jumpClock() func() {
	h := n.s.hosts[0]
	by := n.d.around(n.d.between(time.Second, 48*time.Hour))
	if n.d.chance(0.5) {
		by = -by
	}
	h.setWall(by)
	return func() { h.setWall(0) }
}

func (n *nemesis) cutWorker() func() {
	w := n.worker()
	var links []link
	both, toHim := n.d.chance(0.6), n.d.chance(0.5)
	for _, h := range n.s.hosts {
		if both || toHim {
			links = append(links, link{h.name, w.name})
		}
		if both || !toHim {
			links = append(links, link{w.name, h.name})
		}
	}
	return n.cut(links...)
}

func (n *nemesis) stallWorker() func() {
	w := n.worker()
	w.stall(true)
	return func() { w.stall(false) }
}
