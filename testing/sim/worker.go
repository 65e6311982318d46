package sim

import (
	"context"
	"sync"
	"time"

	"github.com/musterhq/muster/fsm"
)

// worker is a machine that runs one worker process after another.
type worker struct {
	s        *Sim
	name     string
	d        dice
	slots    uint32
	identity string // empty: each process is a new worker
	labels   []fsm.Pair
	standing bool // an order for good, else one for each free slot

	mu      sync.Mutex
	process *process
	stalls  int
	resumed chan struct{} // closed while it is not stalled
}

func newWorker(s *Sim, name string) *worker {
	d := newDice(s.opt.Seed, "worker "+name)
	w := &worker{s: s, name: name, d: d, slots: 2 + d.Uint32N(3), identity: name, standing: d.chance(0.7), resumed: make(chan struct{})}
	close(w.resumed)
	if d.chance(0.2) && name != "w1" {
		w.identity = ""
	}
	if name == "w1" || d.chance(0.5) {
		w.labels = []fsm.Pair{{Key: labelKey, Value: "gpu"}}
	}
	return w
}

func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		life, end := context.WithCancel(ctx)
		p := &process{
			caller: &caller{s: w.s, from: w.name, d: dice{newDice(w.d.Uint64(), w.name).Rand}}, w: w, number: w.d.Uint64(),
			ctx: life, end: end, runs: make(map[fsm.Grant]*run), poke: make(chan struct{}, 1),
		}
		w.mu.Lock()
		w.process = p
		w.mu.Unlock()
		p.run()
		end()
		p.running.Wait()
		sleep(ctx, w.d.around(2*time.Second))
	}
}

func (w *worker) now() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process
}

// crash ends the process and all that it runs.
func (w *worker) crash() {
	if p := w.now(); p != nil {
		w.s.logf("%s crashes", w.name)
		p.end()
	}
}

// leave makes it say good-bye.
func (w *worker) leave() {
	if p := w.now(); p != nil {
		p.leave()
	}
}

// stall keeps it from sending and hearing anything; what it runs goes on.
func (w *worker) stall(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.stalls > 0
	if on {
		w.stalls++
	} else {
		w.stalls--
	}
	switch is := w.stalls > 0; {
	case is && !was:
		w.resumed = make(chan struct{})
	case was && !is:
		close(w.resumed)
	}
}

// awake returns once the worker is not stalled, or says false when ctx ended.
func (w *worker) awake(ctx context.Context) bool {
	w.mu.Lock()
	resumed := w.resumed
	w.mu.Unlock()
	select {
	case <-resumed:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
