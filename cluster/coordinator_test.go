package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/musterhq/muster/config"
	"github.com/musterhq/muster/fsm"
)

// running is a coordinator that runs in the test's process.
type running struct {
	*Coordinator
	stop func()
}

func runCoordinator(t *testing.T, cfg config.Coordinator) running {
	t.Helper()
	cfg.HTTP = "127.0.0.1:0"
	c, err := New(cfg, testLog(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("coordinator ended: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return running{c, stop}
}

// runCluster is three coordinators that found each other by gossip.
func runCluster(t *testing.T) []running {
	t.Helper()
	var all []running
	for i := range 3 {
		cfg := testConfig(t, 3)
		cfg.Name = fmt.Sprintf("c%d", i+1)
		if i > 0 {
			cfg.Join = []string{all[0].Addresses().Gossip}
		}
		all = append(all, runCoordinator(t, cfg))
	}
	return all
}

func theLeader(t *testing.T, all ...running) *Tasker {
	t.Helper()
	var leader *Tasker
	eventually(t, "a leader that serves", func() bool {
		for _, c := range all {
			if c.Tasker().IsLeader() {
				leader = c.Tasker()
			}
		}
		return leader != nil
	})
	return leader
}

func oneJob(key string) fsm.SubmitRequest {
	return fsm.SubmitRequest{
		Session: "s", Name: "n", Key: key,
		Specs: []fsm.JobSpec{{Kind: fsm.WorkHandler, Args: []string{"noop"}, Queue: "default", Slots: 1}},
		Jobs:  []fsm.JobEntry{{Name: "a"}},
	}
}

// recordedLink is a worker's connection that remembers what it was told.
type recordedLink struct {
	mu      sync.Mutex
	granted []fsm.Grant
	stopped []fsm.Grant
}

func (l *recordedLink) Grant(_ *fsm.View, g []fsm.Grant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.granted = append(l.granted, g...)
}

func (l *recordedLink) Stop(g []fsm.Grant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = append(l.stopped, g...)
}

func (l *recordedLink) ReadLog(context.Context, fsm.JobID, uint32, uint8, int64, int) ([]byte, bool, error) {
	return []byte("out"), true, nil
}

func (l *recordedLink) counts() (granted, stopped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.granted), len(l.stopped)
}

func TestClusterCarriesAJobThroughALeadersEnd(t *testing.T) {
	all := runCluster(t)
	leader := theLeader(t, all...)
	ctx := t.Context()
	submitted, err := leader.Propose(ctx, oneJob("k"))
	if err != nil {
		t.Fatal(err)
	}
	id := submitted.(fsm.RequestSubmitted).ID
	v, _, err := leader.Read(ctx, Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	if j, ok := v.Job(fsm.JobID{Request: id}); !ok || j.State != fsm.Ready {
		t.Fatalf("after the submit: %+v", j)
	}
	for _, c := range all {
		if c.Tasker().IsLeader() {
			continue
		}
		eventually(t, "a follower names the leader", func() bool { // not before it has heard of it
			var elsewhere *NotLeaderError
			if _, err := c.Tasker().Propose(ctx, oneJob("")); !errors.As(err, &elsewhere) {
				t.Fatalf("a follower answered %v", err)
			}
			return elsewhere.Leader.RPC != ""
		})
	}
	// A clean stop of the leader hands over; the others go on with the same state.
	var rest []running
	var first running
	for _, c := range all {
		if c.Coordinator == leader.c {
			first = c
		} else {
			rest = append(rest, c)
		}
	}
	first.stop()
	leader = theLeader(t, rest...)
	again, err := leader.Propose(ctx, oneJob("k"))
	if err != nil {
		t.Fatal(err)
	}
	if s := again.(fsm.RequestSubmitted); s.ID != id || !s.Repeat {
		t.Fatalf("the same key answered %+v, first %s", s, id)
	}
	eventually(t, "equal states", func() bool {
		a, b := rest[0].Tasker().Status(), rest[1].Tasker().Status()
		return a.HashIndex == b.HashIndex && a.StateHash == b.StateHash && a.Applied == b.Applied
	})
}

func TestGrantsReachTheWorkersLink(t *testing.T) {
	cfg := testConfig(t, 1)
	cfg.Lease.TTL, cfg.Lease.ReconnectGrace = patience, 1
	c := runCoordinator(t, cfg)
	leader := theLeader(t, c)
	ctx := t.Context()
	joined, err := leader.Propose(ctx, fsm.JoinWorker{Name: "w", Identity: "w", Process: 1, Queues: []string{"default"}, Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := joined.(fsm.WorkerJoined)
	link := new(recordedLink)
	detach, err := leader.Attach(w.ID, w.Incarnation, link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leader.Propose(ctx, fsm.PickJobs{Worker: w.ID, Incarnation: w.Incarnation, Max: 1, Standing: true}); err != nil {
		t.Fatal(err)
	}
	submitted, err := leader.Propose(ctx, oneJob(""))
	if err != nil {
		t.Fatal(err)
	}
	id := submitted.(fsm.RequestSubmitted).ID
	eventually(t, "the grant", func() bool { n, _ := link.counts(); return n == 1 })
	b, err := leader.Beat(ctx, w.ID, w.Incarnation, []fsm.Grant{{Job: fsm.JobID{Request: 99}, Attempt: 1}})
	if err != nil || !b.Known || len(b.Stop) != 1 {
		t.Fatalf("beat: %+v %v", b, err)
	}
	if out, eof, err := leader.WorkerLog(ctx, fsm.JobID{Request: id}, 1, 1, 0, 10); err != nil || !eof || string(out) != "out" {
		t.Fatalf("log: %q %v %v", out, eof, err)
	}
	if _, err := leader.Propose(ctx, fsm.CancelRequest{ID: id}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stop", func() bool { _, n := link.counts(); return n == 1 })
	// Its connection drops and does not come back: it is lost after the grace, long before its TTL.
	detach()
	eventually(t, "the loss", func() bool {
		info, _ := c.applier.now().Worker(w.ID)
		return info.Lost
	})
	if b, err := leader.Beat(ctx, w.ID, w.Incarnation, nil); err != nil || b.Known {
		t.Fatalf("a lost worker's beat: %+v %v", b, err)
	}
}

// A leader that was deposed and does not know it yet has an old state: that a worker, or what it holds, is not in it says
// nothing.
func TestADeposedLeaderJudgesNoBeat(t *testing.T) {
	cfg := testConfig(t, 1)
	cfg.Lease.TTL = patience
	c := runCoordinator(t, cfg)
	leader := theLeader(t, c)
	ctx := t.Context()
	joined, err := leader.Propose(ctx, fsm.JoinWorker{Name: "w", Identity: "w", Process: 1, Queues: []string{"default"}, Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := joined.(fsm.WorkerJoined)
	l := c.leading.Load()
	l.reads.end() // no round of its would succeed any more
	if b, err := leader.Beat(ctx, w.ID, w.Incarnation, nil); err != nil || !b.Known {
		t.Errorf("a beat with which all is well: %+v %v", b, err)
	}
	held := []fsm.Grant{{Job: fsm.JobID{Request: 99}, Attempt: 1}}
	for _, c := range []struct {
		name        string
		worker      fsm.WorkerID
		incarnation uint32
		held        []fsm.Grant
	}{
		{"of a worker that it does not know", w.ID + 1, 1, nil},
		{"of one that has joined again", w.ID, w.Incarnation + 1, nil},
		{"of one that holds what it does not know", w.ID, w.Incarnation, held},
	} {
		var elsewhere *NotLeaderError
		if b, err := leader.Beat(ctx, c.worker, c.incarnation, c.held); !errors.As(err, &elsewhere) {
			t.Errorf("a beat %s: %+v %v", c.name, b, err)
		}
	}
}

func TestStateSurvivesRestartWithSnapshot(t *testing.T) {
	cfg := testConfig(t, 1)
	cfg.Name = "only"
	c := runCoordinator(t, cfg)
	leader := theLeader(t, c)
	var id fsm.RequestID
	for i := range 10 {
		v, err := leader.Propose(t.Context(), oneJob(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		id = v.(fsm.RequestSubmitted).ID
		if i == 5 {
			if err := c.node.raft.Snapshot().Error(); err != nil {
				t.Fatal(err)
			}
		}
	}
	hash := c.Tasker().Status().StateHash
	c.stop()
	again := runCoordinator(t, cfg)
	theLeader(t, again)
	if s := again.Tasker().Status(); s.StateHash != hash {
		t.Fatalf("state hash %x after the restart, %x before", s.StateHash, hash)
	}
	if _, ok := again.applier.now().Request(id); !ok {
		t.Fatalf("request %s is missing", id)
	}
}

func TestCoordinatorThatMovedWithoutSeedsIsFound(t *testing.T) {
	var all []running
	var first config.Coordinator
	for i := range 3 {
		cfg := testConfig(t, 3)
		cfg.Name = fmt.Sprintf("c%d", i+1)
		if i == 0 {
			first = cfg // it has no seeds, and ports of its own at every start
		} else {
			cfg.Join = []string{all[0].Addresses().Gossip}
		}
		all = append(all, runCoordinator(t, cfg))
	}
	theLeader(t, all...)
	// What it has of Raft's configuration is all that it will know of the others.
	eventually(t, "the first to have the configuration", func() bool { return len(all[0].Tasker().Servers()) == 3 })
	all[0].stop()
	all[0] = runCoordinator(t, first)
	eventually(t, "everyone to know where everyone is", func() bool {
		for _, c := range all {
			alive := 0
			for _, s := range c.Tasker().Servers() {
				if s.Alive {
					alive++
				}
			}
			if alive != 3 || len(c.gossip.Coordinators()) != 3 {
				return false
			}
		}
		return true
	})
	// With its new address it counts in an election.
	leader := theLeader(t, all...)
	var rest []running
	for _, c := range all {
		if c.Coordinator == leader.c {
			c.stop()
		} else {
			rest = append(rest, c)
		}
	}
	theLeader(t, rest...)
}
