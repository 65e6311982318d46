package chaos

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/musterhq/muster/testing/harness"
	"github.com/musterhq/muster/testing/history"
)

const (
	// handSlots is how many jobs a hand does at once.
	handSlots = 4
	// handWork is the longest that a job in a hand takes.
	handWork = 600 * time.Millisecond
	// handSilence is the odds, at each pick, that a hand is not heard for longer than its lease. Its jobs go on.
	handSilence = 0.01
	// handDeaf is the odds that an attempt goes on when it is told to stop.
	handDeaf = 0.3
)

// hand is a worker that is nothing but HTTP calls to any coordinator.
type hand struct {
	caller
	id     string
	ttl    time.Duration
	joined int64 // when it began to be id, by the history's clock

	jobs sync.WaitGroup
	mu   sync.Mutex       // guards held
	held map[attempt]bool // value: whether it was told to stop
}

// attempt is a run of a job.
type attempt struct {
	ID      string `json:"id"`
	Attempt uint32 `json:"attempt"`
}

// assignment is a job that a hand is given.
type assignment struct {
	attempt
	Request string `json:"request"`
}

func (h *hand) live() {
	defer h.jobs.Wait()
	for h.w.run.Err() == nil {
		if h.id == "" && !h.join() {
			return
		}
		if h.chance(handSilence) {
			pass(h.w.run, h.ttl*13/10)
		}
		h.pick()
	}
}

func (h *hand) join() bool {
	h.joined = h.w.ops.Now()
	body := fmt.Sprintf(`{"name": %q, "queues": [%q], "slots": %d}`, h.name, handQueue, handSlots)
	a, ok := h.call(h.w.run, history.Input{}, "POST", "/v1/workers", body, nil)
	if !ok {
		return false
	}
	var doc struct{ ID, TTL string }
	err := a.Decode(&doc)
	if err == nil {
		h.ttl, err = time.ParseDuration(doc.TTL)
	}
	if err != nil || a.Status != http.StatusCreated {
		h.w.accuse("%s joins: %v", h.name, a)
		return false
	}
	h.id = doc.ID
	return true
}

// pick asks for jobs, or beats when it has no slot free. Whatever it is given it begins.
func (h *hand) pick() {
	h.mu.Lock()
	running := make([]attempt, 0, len(h.held))
	for a := range h.held {
		running = append(running, a)
	}
	h.mu.Unlock()
	doc := map[string]any{"worker": h.id, "running": running}
	path := "/v1/board/alive"
	if free := handSlots - len(running); free > 0 {
		path, doc["max"], doc["wait"] = "/v1/board/pick", free, "300ms"
	}
	body, err := marshal(doc)
	if err != nil {
		panic(err) // of strings and numbers
	}
	a, ok := h.call(h.w.run, history.Input{}, "POST", path, body, nil)
	if !ok {
		return
	}
	var got struct {
		Jobs, Missing []assignment
		Stop          []attempt
	}
	switch {
	case a.Status == http.StatusConflict || a.Status == http.StatusNotFound:
		h.id = "" // lost: it joins anew
		return
	case a.Status != http.StatusOK || a.Decode(&got) != nil:
		h.w.accuse("%s asks at %s: %v", h.name, path, a)
		return
	}
	h.mu.Lock()
	for _, s := range got.Stop {
		if _, has := h.held[s]; has {
			h.held[s] = true
		}
	}
	h.mu.Unlock()
	for _, j := range append(got.Jobs, got.Missing...) {
		h.begin(j)
	}
	if path == "/v1/board/alive" {
		pass(h.w.run, callPause)
	}
}

func (h *hand) begin(j assignment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, has := h.held[j.attempt]; has {
		return
	}
	h.held[j.attempt] = false
	in := history.Input{Kind: history.Pick, Request: j.Request, Job: j.ID, Worker: h.id, Attempt: j.Attempt}
	h.w.ops.BeginAt(h.joined, h.name, in).Return(history.Output{Code: history.OK})
	r := &handRun{caller: caller{h.w, h.name + "/" + j.ID, rand.New(rand.NewPCG(h.random.Uint64(), 0))}, h: h, worker: h.id, j: j}
	h.jobs.Go(r.run)
}

// handRun is one attempt in a hand.
type handRun struct {
	caller
	h      *hand
	worker string // as whom it was picked
	j      assignment
}

func (r *handRun) run() {
	defer func() {
		r.h.mu.Lock()
		delete(r.h.held, r.j.attempt)
		r.h.mu.Unlock()
	}()
	deaf := r.chance(handDeaf)
	if !r.report(history.Start) && !deaf {
		return
	}
	pass(r.w.run, time.Duration(r.random.Int64N(int64(handWork))))
	if r.told() && !deaf {
		return
	}
	switch d := r.random.IntN(100); {
	case d < 85:
		if ok := r.report(history.Done); ok && d < 10 {
			r.report(history.Done) // its answer might have been lost
		}
	case d < 95:
		r.report(history.Failed)
	default:
		r.report(history.Return)
	}
}

// told says whether the attempt was told to stop.
func (r *handRun) told() bool {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	return r.h.held[r.j.attempt]
}

// report says a word until there is an answer, and whether that was yes.
func (r *handRun) report(kind history.Kind) bool {
	in := history.Input{Kind: kind, Request: r.j.Request, Job: r.j.ID, Worker: r.worker, Attempt: r.j.Attempt}
	doc := map[string]any{"worker": r.worker, "attempt": r.j.Attempt, "state": string(kind)}
	if kind == history.Done {
		result := fmt.Sprint(r.worker, "/", r.j.Attempt)
		doc["result"], in.Result = result, fmt.Sprintf("%q", result)
	}
	body, err := marshal(doc)
	if err != nil {
		panic(err) // of strings and numbers
	}
	a, ok := r.call(r.w.run, in, "POST", "/v1/jobs/"+r.j.ID+"/state", body, func(a harness.Answer) history.Output {
		out := plain(a)
		if out.Code == history.Conflict {
			out.Code = history.Fenced // of the attempt or of the worker
		}
		return out
	})
	return ok && a.Status == http.StatusOK
}
