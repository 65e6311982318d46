package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/musterhq/muster/testing/harness"
	"github.com/musterhq/muster/testing/history"
)

const (
	// petitioners submit requests for the hands, read, cancel and retry; each has one request at a time.
	petitioners = 3
	// hands are workers that are nothing but HTTP calls.
	hands = 2
	// callBound is how long one recorded call may take before its outcome counts as unknown.
	callBound = 5 * time.Second
	// callPause is the time between two tries of one call.
	callPause = 100 * time.Millisecond
	// handQueue is the queue that only hands work on, so that whatever is said of its jobs is recorded.
	handQueue = "byhand"
	// handKeys begins the idempotency keys of the requests for hands.
	handKeys = "hand-"
	// streamWitness is the first stream of chance of petitioners and hands.
	streamWitness = 1 << 20
)

// witness records what petitioners and hands ask through any coordinator, and what they are told.
type witness struct {
	c      *harness.Cluster
	ops    *history.Recorder
	others func() []accepted // the loaders' requests, which workers run that are not recorded

	more, run   context.Context // further requests; anything at all
	stop, quit  context.CancelFunc
	petitioning sync.WaitGroup
	working     sync.WaitGroup

	mu       sync.Mutex        // guards what is below
	requests map[string]string // acknowledged, by key
	wrong    []string
}

// startWitness starts petitioners and hands; end ends them.
func startWitness(ctx context.Context, c *harness.Cluster, seed uint64, others func() []accepted) *witness {
	w := &witness{c: c, others: others, ops: history.NewRecorder(), requests: map[string]string{}}
	w.run, w.quit = context.WithCancel(ctx)
	w.more, w.stop = context.WithCancel(w.run)
	for i := range petitioners {
		p := &petitioner{caller{w, fmt.Sprint("m", i+1), stream(seed, streamWitness+uint64(i))}}
		w.petitioning.Go(p.live)
	}
	for i := range hands {
		name := fmt.Sprint("h", i+1)
		h := &hand{caller: caller{w, name, stream(seed, streamWitness+100+uint64(i))}, held: map[attempt]bool{}}
		w.working.Go(h.live)
	}
	return w
}

// cut ends everybody wherever they are, and waits for them.
func (w *witness) cut() {
	w.quit()
	w.petitioning.Wait()
	w.working.Wait()
}

// end lets the requests under way end, within patience, and notes how everything stands then.
func (w *witness) end(patience time.Duration) {
	w.stop()
	late := time.AfterFunc(patience, w.quit)
	w.petitioning.Wait()
	for key, id := range w.acknowledged() {
		w.last(key, id)
	}
	late.Stop()
	w.cut()
}

// last reads a request and its jobs once more: it is the word that all others must agree with.
func (w *witness) last(key, id string) {
	c := caller{w, "the end", stream(0, 0)}
	if state, ok := c.readRequest(w.run, key, id); !ok || !over(state) {
		w.accuse("request %s (%s) has not ended: it is %q", id, key, state)
	}
	c.readJobs(w.run, id)
}

func over(state string) bool { return harness.Request{State: state}.Over() }

func (w *witness) acknowledged() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make(map[string]string, len(w.requests))
	for key, id := range w.requests {
		all[key] = id
	}
	return all
}

// accuse notes something wrong that needs no search.
func (w *witness) accuse(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// judge fails tb for whatever the history shows to be wrong.
func (w *witness) judge(tb harness.TB, seed uint64) history.Verdict {
	tb.Helper()
	dir := filepath.Join(cmp.Or(os.Getenv("MUSTER_TEST_LOGS"), os.TempDir()), fmt.Sprint("muster-soak-seed-", seed))
	own := map[string]bool{}
	for _, id := range w.acknowledged() {
		own[id] = true
	}
	v := history.Check(w.ops.Ops(), history.Options{Dir: dir, Strangers: func(request string) bool { return !own[request] }})
	w.mu.Lock()
	wrong := w.wrong
	w.mu.Unlock()
	for _, list := range [][]string{wrong, v.Failures, history.CheckReads(w.ops.Reads())} {
		for _, f := range list {
			tb.Errorf("%s", f)
		}
	}
	for key, id := range w.acknowledged() {
		w.checkHistories(tb, key, id)
	}
	return v
}

// checkHistories checks the steps that each job went through.
func (w *witness) checkHistories(tb harness.TB, key, id string) {
	tb.Helper()
	if r := w.c.Request(id); r.Name != key {
		tb.Errorf("request %s is called %q, and was submitted as %q", id, r.Name, key)
	}
	for _, j := range w.c.Jobs(id) {
		steps := w.c.History(j.ID)
		// A request that was retried has jobs that ended more than once.
		if n := ends(steps); n == 1 {
			if err := harness.CheckSteps(j, steps); err != nil {
				tb.Errorf("job %s: %v:\n%s", j.ID, err, tell(steps))
			}
		} else if n == 0 {
			tb.Errorf("job %s is %s without a step that ended it:\n%s", j.ID, j.State, tell(steps))
		}
	}
}

// caller makes recorded calls.
type caller struct {
	w      *witness
	name   string
	random *rand.Rand
}

func (c *caller) chance(p float64) bool { return c.random.Float64() < p }

// effect is what is known of a call.
type effect uint8

const (
	told    effect = iota // there is an answer that says so
	nothing               // it was certainly not done
	unknown               // it may have been done
)

// effectOf reads an answer, or what came instead of one, as the documented codes say.
func effectOf(a harness.Answer, err error) effect {
	var op *net.OpError
	var problem struct{ Code string }
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return nothing
	case err != nil:
		return unknown
	case a.Status == http.StatusTooManyRequests || a.Status == http.StatusInsufficientStorage:
		return nothing
	case a.Status == http.StatusServiceUnavailable && a.Decode(&problem) == nil && problem.Code == "no_leader":
		return nothing
	case a.Status >= 500:
		return unknown
	}
	return told
}

// call tries one coordinator after the other until one tells, and records each try; read makes an output of an answer.
// It returns false when ctx ended before.
func (c *caller) call(ctx context.Context, in history.Input, method, path, body string, read func(harness.Answer) history.Output, header ...string) (harness.Answer, bool) {
	for ctx.Err() == nil {
		nodes := c.w.c.Coordinators()
		node := nodes[c.random.IntN(len(nodes))]
		pending := c.w.ops.Begin(c.name, in)
		call := c.w.ops.Now()
		a, err := node.Try(ctx, callBound, method, path, body, header...)
		switch effectOf(a, err) {
		case told:
			if in.Kind != "" {
				pending.Return(read(a))
			}
			if index, err := strconv.ParseUint(a.Header.Get("Muster-Index"), 10, 64); err == nil {
				c.w.ops.Saw(history.Seen{Client: c.name, Node: node.Name(), Call: call, Index: index})
			}
			return a, true
		case unknown:
			if in.Kind != "" {
				pending.Unknown()
			}
		}
		pass(ctx, callPause)
	}
	return harness.Answer{}, false
}

// plain reads the answer to a call whose answer is yes or a code.
func plain(a harness.Answer) history.Output {
	switch a.Status {
	case http.StatusOK, http.StatusCreated:
		return history.Output{Code: history.OK}
	case http.StatusConflict:
		return history.Output{Code: history.Conflict}
	case http.StatusNotFound:
		return history.Output{Code: history.NotFound}
	}
	return history.Output{Code: history.Code(a.String())} // no model knows it
}

// readRequest reads a request for certain.
func (c *caller) readRequest(ctx context.Context, key, id string) (state string, ok bool) {
	_, ok = c.call(ctx, history.Input{Kind: history.Read, Request: key}, "GET", "/v1/requests/"+id, "", func(a harness.Answer) history.Output {
		out := plain(a)
		var r harness.Request
		if out.Code == history.OK && a.Decode(&r) == nil {
			out.ID, out.State = r.ID, r.State
			state = r.State
		}
		return out
	})
	return state, ok
}

// readJobs reads the jobs of a request, all at one instant.
func (c *caller) readJobs(ctx context.Context, id string) {
	began := c.w.ops.Now()
	a, ok := c.call(ctx, history.Input{}, "GET", "/v1/requests/"+id+"/jobs?limit=1000", "", nil)
	var page struct {
		Jobs []harness.Job `json:"jobs"`
	}
	if !ok {
		return
	}
	if err := a.Decode(&page); err != nil || a.Status != http.StatusOK {
		c.w.accuse("the jobs of request %s, which was acknowledged: %v", id, a)
		return
	}
	for _, j := range page.Jobs {
		c.w.ops.BeginAt(began, c.name, history.Input{Kind: history.ReadJob, Request: id, Job: j.ID}).Return(history.Output{
			Code: history.OK, State: j.State, Attempt: uint32(j.Attempt), Worker: j.Worker, Result: string(j.Result),
		})
	}
}

// readStale reads whatever one coordinator has: it must say how old that may be, and never show less than it did before.
func (c *caller) readStale(ctx context.Context, id string) {
	nodes := c.w.c.Coordinators()
	node := nodes[c.random.IntN(len(nodes))]
	pid := node.PID()
	call := c.w.ops.Now()
	a, err := node.Try(ctx, callBound, "GET", "/v1/requests/"+id+"?consistency=stale", "")
	if err != nil || a.Status != http.StatusOK || node.PID() != pid {
		return // down, behind, or another process by now
	}
	index, err := strconv.ParseUint(a.Header.Get("Muster-Index"), 10, 64)
	age := a.Header.Get("Muster-Age")
	if _, bad := time.ParseDuration(age); err != nil || bad != nil && age != "unknown" {
		c.w.accuse("a stale read of %s says index %q and age %q", node.Name(), a.Header.Get("Muster-Index"), age)
		return
	}
	c.w.ops.Saw(history.Seen{Client: c.name, Node: fmt.Sprint(node.Name(), "/", pid), Call: call, Index: index, Stale: true})
}
