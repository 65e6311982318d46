package sim

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

var (
	errLost    = errors.New("no answer: the message or its answer was lost")
	errRefused = fmt.Errorf("the process is down: %w", syscall.ECONNREFUSED)
)

// weather is how the network treats messages.
type weather struct {
	loss, twice, overtake, late float64       // probabilities of each message
	delay                       time.Duration // mean, one way
	lateBy                      time.Duration // mean, of those that are late
}

var fair = weather{delay: 300 * time.Microsecond}

// network decides the fate of each message between two names.
type network struct {
	seed  uint64
	steps *stepTrap

	mu      sync.Mutex
	weather weather
	links   map[link]*linkState
	cuts    map[link]int // how many faults cut it
	sent    uint64
	lost    uint64
}

// link is one direction.
type link struct{ from, to string }

type linkState struct {
	dice dice
	last time.Time // arrival of the newest that was not overtaken
}

// fate is what becomes of a message.
type fate struct {
	lost  bool
	after time.Duration
	again time.Duration // a copy arrives so much later; 0: none
}

func newNetwork(seed uint64, steps *stepTrap) *network {
	return &network{seed: seed, steps: steps, weather: fair, links: make(map[link]*linkState), cuts: make(map[link]int)}
}

// send decides about one message. In order: it does not overtake what was sent in order before it, but for bad weather.
func (n *network) send(from, to string, inOrder bool) fate {
	n.steps.step(from)
	n.mu.Lock()
	defer n.mu.Unlock()
	l := link{from, to}
	s := n.links[l]
	if s == nil {
		s = &linkState{dice: newDice(n.seed, "link "+from+" "+to)}
		n.links[l] = s
	}
	// The same number of rolls for every message, so that weather does not shift the rolls of later ones.
	lost, twice, overtake, late := s.dice.Float64(), s.dice.Float64(), s.dice.Float64(), s.dice.Float64()
	delay, lateBy, again := s.dice.ExpFloat64(), s.dice.ExpFloat64(), s.dice.ExpFloat64()
	n.sent++
	w := n.weather
	if n.cuts[l] > 0 || lost < w.loss {
		n.lost++
		return fate{lost: true}
	}
	f := fate{after: 20*time.Microsecond + time.Duration(delay*float64(w.delay))}
	if late < w.late {
		f.after += time.Duration(lateBy * float64(w.lateBy))
	}
	if twice < w.twice {
		f.again = 1 + time.Duration(again*float64(50*time.Millisecond))
	}
	if inOrder && overtake >= w.overtake {
		now := time.Now()
		arrival := now.Add(f.after)
		if !arrival.After(s.last) {
			arrival = s.last.Add(1)
		}
		s.last = arrival
		f.after = arrival.Sub(now)
	}
	return f
}

func (n *network) setWeather(w weather) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.weather = w
}

// cut stops one direction; mend undoes one cut.
func (n *network) cut(from, to string)  { n.addCut(link{from, to}, 1) }
func (n *network) mend(from, to string) { n.addCut(link{from, to}, -1) }

func (n *network) addCut(l link, by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts[l] += by
}

func (n *network) isCut(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cuts[link{from, to}] > 0
}

// stepTrap springs when a name has made a number of steps (messages sent, writes begun): it is how a crash is put between
// any two of them.
type stepTrap struct {
	mu     sync.Mutex
	name   string
	left   int
	spring func()
}

func (t *stepTrap) set(name string, steps int, spring func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.name, t.left, t.spring = name, steps, spring
}

func (t *stepTrap) step(name string) {
	t.mu.Lock()
	if t.spring == nil || t.name != name {
		t.mu.Unlock()
		return
	}
	if t.left--; t.left > 0 {
		t.mu.Unlock()
		return
	}
	spring := t.spring
	t.spring = nil
	t.mu.Unlock()
	spring()
}
