package cluster

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/cluster/gossip"
	"github.com/musterhq/muster/config"
	"go.uber.org/goleak"
)

// A probe of memberlist that waits for its answer ends by itself, a second at most after gossip was stopped. A hand-over that
// was interrupted never ends: hashicorp/raft#696, which a test shows.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/raft.(*Raft).leadershipTransfer"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/raft.(*Raft).leaderLoop.func2"))
}

// patience is how long a test waits for what must come; what it waits for usually takes milliseconds.
const patience = 30 * time.Second

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain: %s", patience, what)
		}
	}
}

func testLog(t *testing.T) hclog.Logger {
	level := hclog.Off
	if os.Getenv("MUSTER_TEST_LOG") != "" {
		level = hclog.Debug
	}
	return hclog.New(&hclog.LoggerOptions{Name: t.Name(), Level: level, Output: os.Stderr})
}

// sumFSM adds up the lengths of what is applied.
type sumFSM struct {
	mu      sync.Mutex
	entries uint64
	bytes   uint64
}

func (f *sumFSM) Apply(l *raft.Log) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries++
	f.bytes += uint64(len(l.Data))
	return f.bytes
}

func (f *sumFSM) sum() (entries, bytes uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entries, f.bytes
}

func (f *sumFSM) Snapshot() (raft.FSMSnapshot, error) {
	entries, sum := f.sum()
	return sumSnapshot{entries, sum}, nil
}

func (f *sumFSM) Restore(r io.ReadCloser) error {
	defer r.Close()
	var s sumSnapshot
	if err := binary.Read(r, binary.BigEndian, &s); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries, f.bytes = s.Entries, s.Bytes
	return nil
}

type sumSnapshot struct{ Entries, Bytes uint64 }

func (s sumSnapshot) Persist(sink raft.SnapshotSink) error {
	markOwn(sink)
	if err := binary.Write(sink, binary.BigEndian, s); err != nil {
		return sink.Cancel()
	}
	return sink.Close()
}

func (s sumSnapshot) Release() {}

// rig is one coordinator's raft side, composed as a real one is.
type rig struct {
	t     *testing.T
	cfg   config.Coordinator
	log   hclog.Logger
	ln    net.Listener
	dir   *dataDir
	book  *addressBook
	node  *node
	fsm   *sumFSM
	peers *peering
	g     *gossip.Gossip

	stopLoops context.CancelFunc
	stopMux   context.CancelFunc
	loops     sync.WaitGroup
	mux       sync.WaitGroup
}

// testConfig is a coordinator on loopback with short times.
func testConfig(t *testing.T, expect int) config.Coordinator {
	cfg := config.DefaultCoordinator()
	cfg.Data, cfg.RPC, cfg.Gossip = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	cfg.BootstrapExpect = expect
	cfg.Raft.Heartbeat, cfg.Raft.Election, cfg.Raft.Lease = 300*time.Millisecond, 300*time.Millisecond, 250*time.Millisecond
	cfg.Raft.DiskStallLimit = patience
	return cfg
}

func failOnFatal(t *testing.T) fatalFunc {
	return func(reason string) { t.Errorf("fatal: %s", reason) }
}

// start composes and runs. With useGossip the node gossips, and joins cfg.Join; else cfg.Coordinators is all it has.
func start(t *testing.T, cfg config.Coordinator, useGossip bool) *rig {
	t.Helper()
	r := &rig{t: t, cfg: cfg, log: testLog(t), fsm: new(sumFSM)}
	var err error
	if r.ln, err = net.Listen("tcp", cfg.RPC); err != nil {
		t.Fatal(err)
	}
	if r.dir, err = openDataDir(cfg); err != nil {
		t.Fatal(err)
	}
	rpc := r.ln.Addr().String()
	m := newMux(r.ln, r.log)
	r.book = newAddressBook()
	layer := newStreamLayer(r.dir, cfg.Name, rpc, r.log)
	if r.node, err = openNode(cfg, r.dir, r.fsm, layer, r.book, r.log, failOnFatal(t)); err != nil {
		t.Fatal(err)
	}
	if useGossip {
		id := r.dir.identity()
		r.g, err = gossip.Start(gossip.Config{Bind: cfg.Gossip, Cluster: cfg.Cluster, Name: cfg.Name, Seeds: cfg.Join, Log: r.log},
			gossip.Meta{Role: gossip.RoleCoordinator, NodeID: id.Node, RPC: rpc, ClusterID: id.ClusterID, Expect: cfg.BootstrapExpect})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.peers = newPeering(cfg, r.dir, rpc, "", r.book, r.g, r.node.describe, r.log)
	m.handle(kindRaft, layer.serve)
	m.handle(kindPeer, r.peers.serve)
	ctx, stopMux := context.WithCancel(context.Background())
	r.stopMux = stopMux
	r.mux.Go(func() { _ = m.run(ctx) })
	r.runLoops()
	t.Cleanup(r.stop)
	return r
}

func (r *rig) runLoops() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stopLoops = cancel
	r.loops.Go(func() { _ = r.peers.run(ctx) })
	r.loops.Go(func() { _ = newFormation(r.peers, r.dir, r.node, r.log).run(ctx) })
	r.loops.Go(func() { _ = r.node.snapshotLoop(ctx) })
	r.loops.Go(func() { r.lead(ctx) })
}

// lead runs the membership while this node leads.
func (r *rig) lead(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case leads := <-r.node.raft.LeaderCh():
			if !leads {
				continue
			}
			term, cancel := context.WithCancel(ctx)
			var wg sync.WaitGroup
			wg.Go(func() { _ = newMembership(r.peers, r.dir, r.node, r.log).run(term) })
			select {
			case <-ctx.Done():
			case <-r.node.raft.LeaderCh():
			}
			cancel()
			wg.Wait()
		}
	}
}

// stop ends everything in order. It may be called twice.
func (r *rig) stop() { r.end(func(ctx context.Context) error { return r.node.close(ctx) }) }

// crash ends without handing leadership over.
func (r *rig) crash() {
	r.end(func(context.Context) error {
		r.node.transport.EndWaits()
		err := r.node.raft.Shutdown().Error()
		r.node.transport.CloseStreams()
		r.node.done.Wait()
		_ = r.node.stores.close()
		return err
	})
}

func (r *rig) end(closeNode func(context.Context) error) {
	if r.stopLoops == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r.stopLoops()
	r.loops.Wait()
	if err := closeNode(ctx); err != nil {
		r.t.Errorf("close node: %v", err)
	}
	if r.g != nil {
		_ = r.g.Stop(ctx)
	}
	r.stopMux()
	r.mux.Wait()
	if err := r.dir.close(); err != nil {
		r.t.Errorf("close data directory: %v", err)
	}
	r.stopLoops = nil
}

func (r *rig) rpc() string { return r.ln.Addr().String() }

func (r *rig) leads() bool { return r.node.raft.State() == raft.Leader }

func (r *rig) voters() int { return len(voterIDs(r.node.raft.GetConfiguration().Configuration())) }

func leaderOf(t *testing.T, rigs ...*rig) *rig {
	t.Helper()
	var leader *rig
	eventually(t, "a leader", func() bool {
		for _, r := range rigs {
			if r.leads() && r.node.raft.Barrier(time.Second).Error() == nil {
				leader = r
				return true
			}
		}
		return false
	})
	return leader
}

// oneCluster waits until all nodes are voters of one and the same cluster.
func oneCluster(t *testing.T, rigs ...*rig) *rig {
	t.Helper()
	eventually(t, "all nodes in one cluster", func() bool {
		for _, r := range rigs {
			if id := r.dir.identity().ClusterID; id == "" || r.voters() != len(rigs) {
				return false
			}
		}
		return true
	})
	id := rigs[0].dir.identity().ClusterID
	for _, r := range rigs {
		if got := r.dir.identity().ClusterID; got != id {
			t.Fatalf("two clusters: %s and %s", id, got)
		}
	}
	return leaderOf(t, rigs...)
}

var addresses atomic.Uint32

// freeAddress is an address that only this test uses, again and again. Each has a loopback IP of its own: no outgoing
// connection is given its port.
func freeAddress(t *testing.T) string {
	t.Helper()
	n := addresses.Add(1)
	ip := net.IPv4(127, byte(1+os.Getpid()%250), byte(os.Getpid()/250), byte(1+n%250))
	ln, err := net.Listen("tcp", net.JoinHostPort(ip.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
