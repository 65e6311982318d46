package chaos

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/testing/harness"
	"github.com/musterhq/muster/testing/history"
	"github.com/musterhq/muster/testing/lazydisk"
)

const (
	// loadersDefault is how many requests are under way at once.
	loadersDefault = 6
	// endBound is how long the work may take to end once nothing is broken any more: the longest lease, the longest
	// delay and what is left of the requests, on a machine that does other things too.
	endBound = 3 * time.Minute
)

// Options say how long and how hard.
type Options struct {
	Seed     uint64        // decides the schedule and the work
	Faults   int           // stop after so many; 0: no such limit
	For      time.Duration // stop after that long; 0: no such limit; one of the two must be set
	Loaders  int           // requests under way at once; 0: loadersDefault
	Patience time.Duration // how long the work may take to end once all is healed; 0: endBound
	Cluster  harness.Options
	Only     *regexp.Regexp // the kinds of faults that come; nil: all that the machine allows
}

// Report is what a soak has done.
type Report struct {
	Seed     uint64
	Faults   map[Kind]int
	Requests int
	Jobs     int
	Runs     int // attempts that ran
	Term     uint64
	History  history.Verdict // of petitioners and hands
	First    footprint       // the most that a coordinator took before the faults
	Last     footprint       // and after them
	Took     time.Duration
}

func (r Report) String() string {
	faults := 0
	for _, n := range r.Faults {
		faults += n
	}
	var kinds strings.Builder
	for _, s := range shapes {
		if n := r.Faults[s.kind]; n > 0 {
			fmt.Fprintf(&kinds, "\n%6d %s", n, s.kind)
		}
	}
	return fmt.Sprintf("seed %d: %d faults in %v, %d requests of %d jobs ended right in %d runs, last term %d; %v; a coordinator had %v at first, %v at the end%s",
		r.Seed, faults, r.Took.Round(time.Second), r.Requests, r.Jobs, r.Runs, r.Term, r.History, r.First, r.Last, &kinds)
}

// Soak starts a cluster, loads and breaks it, and fails tb for anything that is not as promised. ctx ends it early,
// with the same checks.
func Soak(ctx context.Context, tb harness.TB, o Options) Report {
	tb.Helper()
	if o.Faults <= 0 && o.For <= 0 {
		tb.Fatalf("chaos: say how many faults, or for how long")
	}
	if o.Loaders == 0 {
		o.Loaders = loadersDefault
	}
	o.allow(tb)
	c := harness.Start(tb, o.Cluster)
	ran := harness.NewLines(tb)
	begun := time.Now()
	_, first, err := footprints(c)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	load := startLoad(tb.Context(), c, o, ran)
	tb.Cleanup(load.cut)
	witness := startWitness(tb.Context(), c, o.Seed, load.soFar)
	tb.Cleanup(witness.cut)
	faults := breakThings(ctx, tb, c, o)
	stage{tb, c}.heal()
	tb.Logf("everything is healed after %v; waiting for the work to end", time.Since(begun).Round(time.Second))
	accepted, err := load.end(cmp.Or(o.Patience, endBound))
	if err != nil {
		tb.Errorf("load: %v", err)
	}
	r := Report{Seed: o.Seed, Faults: faults, Requests: len(accepted)}
	witness.end(cmp.Or(o.Patience, endBound))
	r.Jobs, r.Runs = check(tb, c, accepted, ran)
	r.History = witness.judge(tb, o.Seed)
	r.First, r.Last = first, checkLeaks(tb, c, first, r.Jobs+r.History.Jobs)
	if s, err := c.Leader().Status(); err == nil {
		r.Term = s.Raft.Term
	}
	r.Took = time.Since(begun)
	return r
}

// allow takes what the machine allows, and says what is left out.
func (o *Options) allow(tb harness.TB) {
	if err := harness.NetworkAllowed(); err != nil {
		tb.Logf("no faults of the network: %v", err)
	} else {
		o.Cluster.Network = true
	}
	if err := lazydisk.Allowed(); err != nil {
		tb.Logf("no faults of disks: %v", err)
	} else {
		o.Cluster.Disks = true
	}
}

// allowed is what allow took.
func (o *Options) allowed() (has need) {
	if o.Cluster.Network {
		has |= network
	}
	if o.Cluster.Disks {
		has |= disks
	}
	return has
}

// breakThings runs the plan until its end.
func breakThings(ctx context.Context, tb harness.TB, c *harness.Cluster, o Options) map[Kind]int {
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	plan, done := newPlan(o.Seed, o.allowed(), o.Only), map[Kind]int{}
	if len(plan.shapes) == 0 {
		tb.Fatalf("chaos: there is no such fault as %q, or this machine does not allow it", o.Only)
	}
	stage := stage{tb, c}
	for n := 1; (o.Faults == 0 || n <= o.Faults) && ctx.Err() == nil && !tb.Failed(); n++ {
		f := plan.Next()
		tb.Logf("fault %d: %v", n, f)
		heal := stage.strike(f)
		pass(ctx, f.Hold)
		heal()
		done[f.Kind]++
		pass(ctx, f.Gap)
	}
	return done
}

// pass lets time go by: it is part of the schedule, nothing is assumed to have happened after it.
func pass(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// load is the requests under way.
type load struct {
	stop context.CancelFunc // no further request
	quit context.CancelFunc // and no further wait
	wait sync.WaitGroup

	mu       sync.Mutex // guards what is below
	accepted []accepted
	err      error
}

// accepted is a request that the cluster has acknowledged.
type accepted struct {
	work
	harness.Submitted
}

// startLoad starts the loaders; end ends them.
func startLoad(ctx context.Context, c *harness.Cluster, o Options, ran *harness.Lines) *load {
	l := &load{}
	ctx, l.quit = context.WithCancel(ctx)
	more, stop := context.WithCancel(ctx)
	l.stop = stop
	for i := range o.Loaders {
		l.wait.Go(func() {
			if err := l.run(ctx, more, c, o.Seed, uint64(i+1), ran.Add("$MUSTER_JOB_ID $MUSTER_ATTEMPT")); err != nil {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.err = err
			}
		})
	}
	return l
}

// run is one loader: a request, its end, the next.
func (l *load) run(ctx, more context.Context, c *harness.Cluster, seed, loader uint64, note string) error {
	random := stream(seed, loader)
	for n := 0; more.Err() == nil; n++ {
		w := generate(random, loader, n)
		spec, err := marshal(w.spec(note))
		if err != nil {
			return err
		}
		s, err := c.TrySubmit(ctx, w.key, spec)
		if err != nil {
			return fmt.Errorf("loader %d, request %d: %w", loader, n, err)
		}
		l.mu.Lock()
		l.accepted = append(l.accepted, accepted{w, s})
		l.mu.Unlock()
		if err := waitOver(ctx, c, s.ID); err != nil {
			return fmt.Errorf("loader %d, request %d: %w", loader, n, err)
		}
	}
	return nil
}

// cut ends the loaders wherever they are, and waits for them.
func (l *load) cut() {
	l.quit()
	l.wait.Wait()
}

// soFar is all that was acknowledged until now.
func (l *load) soFar() []accepted {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted // only appended to
}

// end lets what is under way end, within patience, and returns all that was acknowledged.
func (l *load) end(patience time.Duration) ([]accepted, error) {
	l.stop()
	late := time.AfterFunc(patience, l.quit)
	l.wait.Wait()
	late.Stop()
	l.cut()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted, l.err
}
