package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/config"
)

// watchNet is hosts that dial each other over pipes. A host is up, down, or silent.
type watchNet struct {
	mu     sync.Mutex
	hosts  map[string]*watchHost
	silent map[[2]string]bool // from, to
	reject map[[2]string]bool // from, to: as if nobody listened there
	serves sync.WaitGroup
}

// watchHost is a process with a crash detector and the peer port that it is about, over a Raft that does what it is told.
type watchHost struct {
	net   *watchNet
	id    string
	peers *peering
	conns []net.Conn // of the port
	end   context.CancelFunc
	done  sync.WaitGroup

	mu        sync.Mutex
	now       reign
	index     uint64
	applied   uint64
	campaigns []time.Duration // since the test began
	changed   chan struct{}
	began     time.Time
	wins      bool // the others follow it once it stands
}

func (h *watchHost) follows() reign {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}
func (h *watchHost) leaderChanges() (<-chan struct{}, func()) { return h.changed, func() {} }
func (h *watchHost) voters() []string                         { return []string{"a", "b", "c"} }

func (h *watchHost) campaign() {
	h.mu.Lock()
	h.campaigns = append(h.campaigns, time.Since(h.began))
	r, wins := reign{h.id, h.now.term + 1}, h.wins
	h.mu.Unlock()
	if wins {
		h.net.elect(r)
	}
}

func (h *watchHost) stood() []time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.campaigns)
}

func (h *watchHost) tell(i *nodeInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i.LastIndex, i.Applied = h.index, h.applied
}

// set changes a host that runs.
func (h *watchHost) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

func (h *watchHost) follow(r reign) {
	h.mu.Lock()
	h.now = r
	if r.leader == h.id {
		h.now = reign{}
	}
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

func newWatchNet() *watchNet {
	return &watchNet{hosts: make(map[string]*watchHost), silent: make(map[[2]string]bool), reject: make(map[[2]string]bool)}
}

func (n *watchNet) dial(ctx context.Context, from, to string) (net.Conn, error) {
	n.mu.Lock()
	h, silent := n.hosts[to], n.silent[[2]string{from, to}]
	if n.reject[[2]string{from, to}] {
		h = nil
	}
	n.mu.Unlock()
	if silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(time.Millisecond) // the way there
	if h == nil {
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	here, there := net.Pipe()
	n.mu.Lock()
	h.conns = append(h.conns, there)
	n.mu.Unlock()
	n.serves.Go(func() {
		defer there.Close()
		if _, err := there.Read(make([]byte, 1)); err == nil {
			h.peers.serve(context.Background(), there)
		}
	})
	return here, nil
}

const watchHeartbeat = 600 * time.Millisecond

// start starts a process that follows nobody yet.
func (n *watchNet) start(t *testing.T, id string, index uint64) *watchHost {
	h := &watchHost{net: n, id: id, index: index, changed: make(chan struct{}, 1), began: time.Now(), wins: true}
	cfg := config.DefaultCoordinator()
	cfg.Raft.Heartbeat = watchHeartbeat
	dir := &dataDir{id: identity{Node: id, Cluster: cfg.Cluster, ClusterID: "1"}}
	book := newAddressBook()
	for _, other := range h.voters() {
		book.heardOf(member{ID: other, RPC: other})
	}
	h.peers = newPeering(cfg, dir, id, "", book, nil, h.tell, testLog(t))
	h.peers.dial = func(ctx context.Context, address string) (net.Conn, error) { return n.dial(ctx, id, address) }
	h.peers.follow = func() string { return h.follows().leader }
	ctx, cancel := context.WithCancel(context.Background())
	h.end = cancel
	h.done.Go(func() { _ = newCrashDetector(id, h, h.peers, watchHeartbeat, testLog(t)).run(ctx) })
	n.mu.Lock()
	n.hosts[id] = h
	n.mu.Unlock()
	return h
}

// crash ends a process, and its connections with it.
func (n *watchNet) crash(id string) {
	n.mu.Lock()
	h := n.hosts[id]
	delete(n.hosts, id)
	n.mu.Unlock()
	h.end()
	h.cut()
	h.done.Wait()
}

// cut closes the connections that others have to it.
func (h *watchHost) cut() {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	for _, c := range h.conns {
		_ = c.Close()
	}
	h.conns = nil
}

func (n *watchNet) elect(r reign) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.hosts {
		h.follow(r)
	}
}

func (n *watchNet) silence(silent bool, ways ...[2]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range ways {
		n.silent[w] = silent
	}
}

// refuse has dials fail as if nobody listened there.
func (n *watchNet) refuse(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reject[[2]string{from, to}] = true
}

func (n *watchNet) end() {
	n.mu.Lock()
	var ids []string
	for id := range n.hosts {
		ids = append(ids, id)
	}
	n.mu.Unlock()
	for _, id := range ids {
		n.crash(id)
	}
	n.serves.Wait()
}

// watched runs a test on a, b and c of which a leads in term 1 and is watched by the others; c's log is the longer one.
func watched(t *testing.T, f func(t *testing.T, n *watchNet, a, b, c *watchHost)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newWatchNet()
		a, b, c := n.start(t, "a", 10), n.start(t, "b", 9), n.start(t, "c", 10)
		n.elect(reign{"a", 1})
		time.Sleep(time.Second)
		for _, h := range []*watchHost{b, c} {
			h.set(func() { h.began = time.Now() })
		}
		f(t, n, a, b, c)
		n.end()
	})
}

// within says that there was one campaign, and when.
func within(t *testing.T, h *watchHost, low, high time.Duration) {
	t.Helper()
	if s := h.stood(); len(s) != 1 || s[0] < low || s[0] > high {
		t.Errorf("%s stood at %v, want once from %v to %v", h.id, s, low, high)
	}
}

func still(t *testing.T, hosts ...*watchHost) {
	t.Helper()
	for _, h := range hosts {
		if s := h.stood(); len(s) > 0 {
			t.Errorf("%s stood at %v, want not at all", h.id, s)
		}
	}
}

// The leader's process ends: the follower with the longer log stands at once, the other one not at all.
func TestCrashedLeaderIsReplacedAtOnce(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, _, b, c *watchHost) {
		n.crash("a")
		time.Sleep(time.Minute)
		within(t, c, 0, 30*time.Millisecond)
		still(t, b)
	})
}

// Of equally long logs that one counts which is applied further.
func TestFollowerThatHasAppliedMoreStandsFirst(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, _, b, c *watchHost) {
		b.set(func() { b.index, b.applied = 10, 5 })
		c.set(func() { c.applied = 9 })
		n.crash("a")
		time.Sleep(time.Minute)
		within(t, c, 0, 30*time.Millisecond)
		still(t, b)
	})
}

// The first to stand comes to nothing: the other one stands later, once.
func TestSecondFollowerStandsWhenTheFirstIsNotElected(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, _, b, c *watchHost) {
		b.set(func() { b.wins = false })
		c.set(func() { c.wins = false })
		n.crash("a")
		time.Sleep(time.Minute)
		within(t, c, 0, 30*time.Millisecond)
		within(t, b, watchHeartbeat/staggerShare, watchHeartbeat)
	})
}

// A node stands against the leader of a term once, however often it comes to follow it.
func TestAtMostOneCampaignInATerm(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, _, b, c *watchHost) {
		b.set(func() { b.wins = false })
		c.set(func() { c.wins = false })
		n.crash("a")
		for range 10 {
			time.Sleep(5 * time.Second)
			for _, h := range []*watchHost{b, c} {
				h.follow(reign{})
				synctest.Wait()
				h.follow(reign{"a", 1})
			}
		}
		within(t, c, 0, 30*time.Millisecond)
		within(t, b, watchHeartbeat/staggerShare, watchHeartbeat)
	})
}

// A leader whose connections break again and again, but who is there, is left alone, and not dialled in a storm.
func TestLeaderWhoseConnectionsBreakIsLeftAlone(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, a, b, c *watchHost) {
		for range 600 {
			a.cut()
			time.Sleep(100 * time.Millisecond)
		}
		still(t, b, c)
		time.Sleep(3 * watchRetryMax)
		n.crash("a") // and is still watched
		time.Sleep(time.Minute)
		if len(c.stood()) != 1 {
			t.Errorf("c stood at %v", c.stood())
		}
	})
}

// A leader that is silent, with its connections standing or broken, is for the heartbeats to judge.
func TestSilentLeaderIsLeftToTheHeartbeats(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, a, b, c *watchHost) {
		n.silence(true, [2]string{"b", "a"}, [2]string{"c", "a"})
		time.Sleep(time.Minute)
		a.cut()
		time.Sleep(time.Minute)
		still(t, b, c)
	})
}

// One follower alone finds that the leader has ended: it is mistaken.
func TestOneFollowerAloneDoesNotStand(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, a, b, c *watchHost) {
		n.refuse("b", "a")
		a.cut()
		time.Sleep(time.Minute)
		still(t, b, c)
	})
}

// The leader's process has ended and the next one of its node is there already: it leads no more.
func TestRestartedLeaderIsReplacedAtOnce(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, _, b, c *watchHost) {
		n.crash("a")
		n.start(t, "a", 10)
		time.Sleep(time.Minute)
		within(t, c, 0, 30*time.Millisecond)
		still(t, b)
	})
}

// Another node answers where the leader was: that says nothing about the leader, which may have moved.
func TestAnotherNodeInTheLeadersPlaceProvesNothing(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, a, b, c *watchHost) {
		d := n.start(t, "d", 0)
		n.mu.Lock()
		n.hosts["a"], n.hosts["d"] = d, a
		n.mu.Unlock()
		a.cut()
		time.Sleep(time.Minute)
		still(t, b, c)
	})
}

// A follower of whom the leader is out of sight cannot agree, so nobody stands: the majority is not of one mind.
func TestWitnessOutOfSightOfTheLeaderDoesNotAgree(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, _, b, c *watchHost) {
		n.silence(true, [2]string{"b", "a"})
		n.crash("a")
		time.Sleep(10 * time.Second)
		still(t, b, c)
		n.silence(false, [2]string{"b", "a"})
		time.Sleep(10 * time.Second)
		if len(b.stood())+len(c.stood()) != 1 {
			t.Errorf("b stood at %v, c at %v: want one of them once", b.stood(), c.stood())
		}
	})
}

// A follower that could not open a watch in time hears of the leader's end from the one that asks it, and stands when it is
// the first in order.
func TestFollowerWithoutAWatchIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newWatchNet()
		_, b, c := n.start(t, "a", 10), n.start(t, "b", 9), n.start(t, "c", 10)
		b.follow(reign{"a", 1})
		time.Sleep(time.Second)
		c.set(func() { c.began = time.Now() })
		n.refuse("c", "a") // so that c cannot watch it
		c.follow(reign{"a", 1})
		time.Sleep(20 * time.Millisecond)
		n.crash("a")
		time.Sleep(time.Minute)
		within(t, c, 20*time.Millisecond, 150*time.Millisecond)
		still(t, b)
		n.end()
	})
}

// A witness that follows another leader by now does not agree.
func TestWitnessOfAnotherLeaderDoesNotAgree(t *testing.T) {
	watched(t, func(t *testing.T, n *watchNet, _, b, _ *watchHost) {
		n.crash("a")
		b.follow(reign{"c", 2})
		if err := b.peers.witness(t.Context(), subject{"a", 7}); err == nil {
			t.Error("it agrees")
		}
		b.follow(reign{"a", 1})
		if err := b.peers.witness(t.Context(), subject{"nobody", 7}); err == nil {
			t.Error("it agrees about a node that it does not know")
		}
	})
}

// As many watches are held as there can be coordinators, one of each node.
func TestWatchersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watchers
		var held sync.WaitGroup
		var mine []net.Conn
		for i := range watchersMax + 1 {
			for range 2 {
				here, there := net.Pipe()
				mine = append(mine, here)
				held.Go(func() {
					w.hold(fmt.Sprint(i), there)
					_ = there.Close()
				})
				synctest.Wait()
			}
		}
		open := 0
		for _, c := range mine {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
				open++
			}
			_ = c.Close()
		}
		if open != watchersMax {
			t.Errorf("%d connections are held, want %d", open, watchersMax)
		}
		held.Wait()
		if len(w.conns) != 0 {
			t.Errorf("%d are remembered", len(w.conns))
		}
	})
}
