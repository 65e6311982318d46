//go:build linux

package hard

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/testing/harness"
)

// million is how many jobs the request has; MUSTER_HARD_JOBS says otherwise.
const million = 1_000_000

// TestMillionJobsCancelledMidway: a request of a million jobs is handed in while a worker serves another one, runs for a
// while, and is cancelled. No worker is lost, everybody goes on being served, the coordinators end in the same state, and
// one that restarts reads it back.
func TestMillionJobsCancelledMidway(t *testing.T) {
	jobs := manyJobs()
	c := start(t, harness.Options{Workers: 2, Slots: 8})
	leader := c.Leader()
	first, err := leader.Status()
	if err != nil {
		t.Fatal(err)
	}
	cl := dial(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 5*harness.BoundDefault)
	defer cancel()
	runner, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	q := &quick{}
	q.wake.L = &q.mu
	q.link = cl.WorkerLink(wire.Join{Name: "quick", Process: 1, Queues: []string{"bulk"}, Slots: 256}, q)
	running.Go(func() { _ = q.link.Run(runner) })
	running.Go(func() { q.run(runner) })

	small := named(t, "beside", object{"name": "a", "shell": "true"})
	gap := &pauses{}
	running.Go(func() { gap.watch(runner, c, small) })

	begun := time.Now()
	r, err := cl.Submit(ctx, many("million", jobs))
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	t.Logf("submitted %d jobs in %v, longest pause for others %v", jobs, time.Since(begun).Round(time.Millisecond), gap.take())
	harness.Until(t, 2*harness.BoundDefault, "a part of the jobs to be done", func() error {
		info, err := cl.Request(ctx, r.ID)
		if err == nil && info.Counts[wire.Done] < uint64(jobs)/50 {
			err = fmt.Errorf("%d are", info.Counts[wire.Done])
		}
		return err
	})
	t.Logf("a fiftieth done after %v, longest pause for others %v", time.Since(begun).Round(time.Millisecond), gap.take())
	begun = time.Now()
	if err := cl.Cancel(ctx, r.ID); err != nil {
		t.Fatalf("cancel: %v", err)
	}
	info, err := cl.Wait(ctx, r.ID)
	if err != nil || info.State != wire.Cancelled {
		t.Fatalf("the request is %v, %v", info.State, err)
	}
	if n := info.Counts[wire.Done] + info.Counts[wire.Cancelled]; n != uint64(jobs) {
		t.Errorf("counts %v", info.Counts)
	}
	after := c.Submit(small)
	c.WaitRequest(after.ID, "done")
	t.Logf("cancelled in %v, longest pause for others %v", time.Since(begun).Round(time.Millisecond), gap.take())
	stop()
	running.Wait()
	for _, n := range c.Coordinators() {
		t.Logf("%s: memory %d MiB", n.Name(), memory(t, n)>>20)
	}
	if s, err := c.Leader().Status(); err != nil || s.Raft.Term != first.Raft.Term {
		t.Logf("there was an election meanwhile, as there may be on a machine with more to do than it can: term %d, was %d, %v",
			s.Raft.Term, first.Raft.Term, err)
	}
	if n := lostLines(leader.Log()); n != 0 {
		t.Errorf("%d workers were taken for lost", n)
	}
	c.CheckHashes()
	leader.Kill()
	next := c.Submit(small)
	c.WaitRequest(next.ID, "done")
	leader.Restart(t)
	healthy(t, c)
	c.CheckHashes()
}

// manyJobs is how many jobs the large requests have.
func manyJobs() int {
	if n, err := strconv.Atoi(os.Getenv("MUSTER_HARD_JOBS")); err == nil {
		return n
	}
	return million
}

// many is a request of that many jobs, the second half of which needs the first.
func many(name string, jobs int) client.Request {
	r := client.Request{Name: name, IdempotencyKey: name, Jobs: make([]client.Job, jobs)}
	for i := range r.Jobs {
		r.Jobs[i] = client.Job{Name: "job-" + strconv.Itoa(i), Handler: "none", Queue: "bulk"}
		if i >= jobs/2 {
			r.Jobs[i].Needs = []string{"job-" + strconv.Itoa(i-jobs/2)}
		}
	}
	return r
}

// TestLeaderKilledInALargeSubmit: the leader dies as soon as a follower has the first part of a request of many jobs.
// The client's own retry ends in the one request, whole, on all coordinators.
func TestLeaderKilledInALargeSubmit(t *testing.T) {
	jobs := manyJobs() / 4
	c := start(t, harness.Options{Workers: -1})
	leader, follower := c.Leader(), c.Followers()[0]
	cl := dial(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 3*harness.BoundDefault)
	defer cancel()
	before, err := follower.Status()
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		s   wire.Submitted
		err error
	}
	answer := make(chan result, 1)
	go func() {
		s, err := cl.Submit(ctx, many("large", jobs))
		answer <- result{s, err}
	}()
	harness.Until(t, harness.BoundDefault, "the entry to reach a follower", func() error {
		s, err := follower.Status()
		if err == nil && s.Raft.Last <= before.Raft.Last {
			err = fmt.Errorf("its log ends at %d", s.Raft.Last)
		}
		return err
	})
	leader.Kill()
	r := <-answer
	if r.err != nil || int(r.s.Jobs) != jobs {
		t.Fatalf("submit: %+v, %v", r.s, r.err)
	}
	if n := requestNames(c)["large"]; n != 1 {
		t.Errorf("the request is there %d times", n)
	}
	harness.Until(t, harness.BoundDefault, "half of the jobs to be ready and half to wait", func() error {
		info, err := cl.Request(ctx, r.s.ID)
		if err == nil && (info.Counts[wire.Ready] != uint64(jobs/2) || info.Counts[wire.Waiting] != uint64(jobs-jobs/2)) {
			err = fmt.Errorf("counts %v", info.Counts)
		}
		return err
	})
	leader.Restart(t)
	healthy(t, c)
	c.CheckHashes()
}

// quick is a worker in this process that reports each job done as soon as it has it.
type quick struct {
	link *client.Link

	mu    sync.Mutex
	queue []wire.JobReport
	wake  sync.Cond
	ended bool
}

func (q *quick) Granted(g wire.Granted) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range g.Jobs {
		q.queue = append(q.queue, wire.JobReport{Job: j.Job, Attempt: j.Attempt, Kind: wire.ReportDone})
	}
	q.wake.Signal()
}

// run reports until ctx ends.
func (q *quick) run(ctx context.Context) {
	defer context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.ended = true
		q.wake.Broadcast()
	})()
	for {
		q.mu.Lock()
		for len(q.queue) == 0 && !q.ended {
			q.wake.Wait()
		}
		batch := q.queue
		q.queue = nil
		ended := q.ended
		q.mu.Unlock()
		if ended {
			return
		}
		_, _ = q.link.Report(ctx, batch) // some are stale once the request is cancelled
	}
}

func (q *quick) Stop([]wire.Attempt) {}
func (q *quick) Held() []wire.Attempt {
	q.mu.Lock()
	defer q.mu.Unlock()
	var held []wire.Attempt
	for _, r := range q.queue {
		held = append(held, wire.Attempt{Job: r.Job, Attempt: r.Attempt})
	}
	return held
}
func (q *quick) Accepting() bool { return true }
func (q *quick) ReadLog(context.Context, wire.ReadLog) (wire.LogChunk, error) {
	return wire.LogChunk{EOF: true}, nil
}
func (q *quick) Connected(wire.Joined, string) {}
func (q *quick) Disconnected(error)            {}

// pauses notes how long others wait for a small request to be taken in.
type pauses struct {
	mu      sync.Mutex
	longest time.Duration
}

func (p *pauses) watch(ctx context.Context, c *harness.Cluster, spec string) {
	for i := 0; ctx.Err() == nil; i++ {
		begun := time.Now()
		if _, err := c.TrySubmit(ctx, fmt.Sprint("beside-", i), spec); err != nil {
			return
		}
		p.mu.Lock()
		p.longest = max(p.longest, time.Since(begun))
		p.mu.Unlock()
	}
}

// take is the longest pause since the last call.
func (p *pauses) take() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.longest
	p.longest = 0
	return d.Round(time.Millisecond)
}
