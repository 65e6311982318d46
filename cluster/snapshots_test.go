package cluster

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/config"
)

// The terms of the branches in these tests: what an old leader wrote and nobody else had, and what its successor committed.
const (
	staleTerm  uint64 = 1
	leaderTerm uint64 = 2
)

// follower is a node whose leader and whose peer are the test.
type follower struct {
	t      *testing.T
	cfg    config.Coordinator
	wrap   func(*stores) // before Raft starts; nil: nothing
	dir    *dataDir
	node   *node
	fsm    *sumFSM
	own    *raft.InmemTransport
	remote *raft.InmemTransport
	id     raft.ServerID

	mu    sync.Mutex
	fatal []string
}

// inmem is Raft's own transport for tests with what Transport wants.
type inmem struct{ *raft.InmemTransport }

func (inmem) EndWaits()     {}
func (inmem) CloseStreams() {}

func newFollower(t *testing.T, kind string, trailing uint64, wrap func(*stores)) *follower {
	t.Helper()
	cfg := testConfig(t, 1)
	cfg.Raft.LogStore, cfg.Raft.TrailingLogs = kind, trailing
	cfg.Raft.Heartbeat, cfg.Raft.Election, cfg.Raft.Lease = patience, patience, patience // it stands for election when it is told to
	f := &follower{t: t, cfg: cfg, wrap: wrap}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *follower) start() {
	f.t.Helper()
	var err error
	f.dir, err = openDataDir(f.cfg)
	must(f.t, err)
	st, err := openStores(f.cfg.Raft, f.dir, testLog(f.t), f.onFatal)
	must(f.t, err)
	if f.wrap != nil {
		f.wrap(st)
	}
	f.id, f.fsm = raft.ServerID(f.dir.identity().Node), new(sumFSM)
	_, f.own = raft.NewInmemTransportWithTimeout("follower", patience)
	_, f.remote = raft.NewInmemTransportWithTimeout("leader", patience)
	f.own.Connect("leader", f.remote)
	f.remote.Connect("follower", f.own)
	f.node, err = startNode(f.cfg.Raft, f.id, f.fsm, st, inmem{f.own}, testLog(f.t))
	must(f.t, err)
}

func (f *follower) stop() {
	if f.node == nil {
		return
	}
	must(f.t, f.node.raft.Shutdown().Error())
	f.node.transport.CloseStreams()
	must(f.t, f.node.stores.close())
	must(f.t, f.dir.close())
	f.node = nil
}

func (f *follower) onFatal(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fatal = append(f.fatal, reason)
}

// reasons are why the node would have ended its process.
func (f *follower) reasons() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fatal
}

func header(id raft.ServerID) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte("leader")}
}

// append sends entries from … to of a term, after the one before, of the same term or of prevTerm.
func (f *follower) append(term, prevTerm, from, to, commit uint64) bool {
	f.t.Helper()
	req := raft.AppendEntriesRequest{RPCHeader: header("leader"), Term: term, PrevLogEntry: from - 1, PrevLogTerm: prevTerm, LeaderCommitIndex: commit}
	for i := from; i <= to; i++ {
		req.Entries = append(req.Entries, &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: []byte("entry")})
	}
	var resp raft.AppendEntriesResponse
	must(f.t, f.remote.AppendEntries(f.id, "follower", &req, &resp))
	return resp.Success
}

// install sends a snapshot.
func (f *follower) install(index, term uint64) bool {
	f.t.Helper()
	var data bytes.Buffer
	must(f.t, binary.Write(&data, binary.BigEndian, sumSnapshot{Entries: index, Bytes: 5 * index}))
	servers := raft.Configuration{Servers: []raft.Server{{ID: f.id, Address: "follower"}, {ID: "leader", Address: "leader"}}}
	req := raft.InstallSnapshotRequest{
		RPCHeader: header("leader"), SnapshotVersion: 1, Term: leaderTerm, LastLogIndex: index, LastLogTerm: term,
		Configuration: raft.EncodeConfiguration(servers), ConfigurationIndex: 1, Size: int64(data.Len()),
	}
	var resp raft.InstallSnapshotResponse
	err := f.remote.InstallSnapshot(f.id, "follower", &req, &resp, &data)
	return err == nil && resp.Success
}

// catchUp does what a leader does whose log begins behind the snapshot, and says whether the follower follows in a few
// rounds. It would try for ever.
func (f *follower) catchUp(index, term uint64) bool {
	f.t.Helper()
	for range 5 {
		if len(f.reasons()) > 0 || !f.install(index, term) {
			return false
		}
		if f.append(leaderTerm, term, index+1, index+10, index+10) {
			return true
		}
	}
	return false
}

// plain takes the mend out: the stores are as Raft has them.
func plain(st *stores) {
	s := st.snapshots.(snapshotStore)
	st.snapshots = s.SnapshotStore
}

// installCases are logs of eight entries on which a snapshot is installed.
var installCases = []struct {
	name     string
	kind     string
	trailing uint64
	same     bool // the log is of the snapshot's branch
	index    uint64
	stuck    bool // Raft by itself refuses everything from then on
}{
	{"other branch, beyond it", logStoreBolt, 2048, false, 6, true},
	{"other branch, beyond it, cut by Raft", logStoreBolt, 1, false, 6, true},
	{"other branch, at its end", logStoreBolt, 2048, false, 8, true},
	{"other branch, shorter", logStoreBolt, 2048, false, 20, false},
	{"same branch, beyond it", logStoreBolt, 2048, true, 6, false},
	{"same branch, beyond it, cut by Raft", logStoreBolt, 1, true, 6, true},
	{"same branch, at its end", logStoreBolt, 2048, true, 8, false},
	{"same branch, shorter", logStoreBolt, 2048, true, 20, false},
	{"other branch, beyond it", logStoreWAL, 2048, false, 6, true},
	{"other branch, at its end", logStoreWAL, 2048, false, 8, true},
	{"other branch, shorter", logStoreWAL, 2048, false, 20, false},
	{"same branch, beyond it", logStoreWAL, 2048, true, 6, true},
	{"same branch, at its end", logStoreWAL, 2048, true, 8, false},
}

func forInstallCases(t *testing.T, wrap func(*stores), check func(t *testing.T, f *follower, index, term uint64, stuck bool)) {
	for _, c := range installCases {
		t.Run(fmt.Sprintf("%s/%s", c.kind, c.name), func(t *testing.T) {
			t.Parallel()
			f := newFollower(t, c.kind, c.trailing, wrap)
			term := leaderTerm
			if c.same {
				term = staleTerm
			}
			if !f.append(staleTerm, 0, 1, 8, 4) {
				t.Fatal("the log was not taken")
			}
			check(t, f, c.index, term, c.stuck)
		})
	}
}

// The state of hashicorp/raft#697 exists: this is why muster looks at the log when a snapshot was installed. When Raft has
// mended it, this test says so.
func TestRaftAloneIsStuckAfterASnapshot(t *testing.T) {
	t.Parallel()
	forInstallCases(t, plain, func(t *testing.T, f *follower, index, term uint64, stuck bool) {
		if follows := f.catchUp(index, term); follows == stuck {
			t.Errorf("the follower follows: %v, want %v", follows, !stuck)
		}
	})
}

// With muster's stores nothing is stuck: the process ends with the reason where Raft would be, and the next one follows.
func TestInstalledSnapshotDoesNotLeaveAFollowerStuck(t *testing.T) {
	t.Parallel()
	forInstallCases(t, nil, func(t *testing.T, f *follower, index, term uint64, stuck bool) {
		if follows := f.catchUp(index, term); follows == stuck {
			t.Fatalf("the follower follows: %v, want %v", follows, !stuck)
		}
		reasons := f.reasons()
		if (len(reasons) == 1) != stuck || len(reasons) > 1 {
			t.Fatalf("it ends for %q, want a reason: %v", reasons, stuck)
		}
		if stuck {
			for _, want := range []string{"snapshot", "log", "restart"} {
				if !strings.Contains(reasons[0], want) {
					t.Errorf("reason %q does not say %q", reasons[0], want)
				}
			}
			f.stop()
			f.start()
			if !f.append(leaderTerm, term, index+1, index+10, index+10) {
				t.Error("after the restart it does not follow")
			}
		}
		eventually(t, "the state of the snapshot and what follows", func() bool { n, _ := f.fsm.sum(); return n == index+10 })
	})
}

// peer is what a follower of the node does whose log is of the first four entries, in the test's hands. It votes for whoever
// asks, and takes what it is sent.
type peer struct {
	mu       sync.Mutex
	entries  []raft.Log
	snapshot uint64 // the index of one that was sent
}

const peerLast = 4

func (p *peer) serve(rpcs <-chan raft.RPC, end <-chan struct{}) {
	for {
		select {
		case rpc := <-rpcs:
			rpc.Respond(p.answer(rpc), nil)
		case <-end:
			return
		}
	}
}

func (p *peer) answer(rpc raft.RPC) any {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch req := rpc.Command.(type) {
	case *raft.RequestVoteRequest:
		return &raft.RequestVoteResponse{Term: req.Term, Granted: true}
	case *raft.AppendEntriesRequest:
		resp := &raft.AppendEntriesResponse{Term: req.Term, LastLog: peerLast, NoRetryBackoff: true}
		if req.PrevLogEntry > 0 && req.PrevLogEntry != peerLast || len(p.entries) > 0 || p.snapshot > 0 {
			return resp
		}
		for _, e := range req.Entries {
			p.entries = append(p.entries, *e)
		}
		resp.Success = true
		return resp
	case *raft.InstallSnapshotRequest:
		_, _ = io.Copy(io.Discard, rpc.Reader)
		p.snapshot = req.LastLogIndex
		return &raft.InstallSnapshotResponse{Term: req.Term, Success: true}
	}
	return nil
}

func (p *peer) got() (entries []raft.Log, snapshot uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.entries, p.snapshot
}

// leadAfterSnapshot makes the node leader after a snapshot was installed on a log of another branch that ends before it, and
// returns what it sends to a peer that has the first four entries, the last that both branches have.
func leadAfterSnapshot(t *testing.T, kind string, wrap func(*stores), restart bool) (entries []raft.Log, snapshot uint64) {
	t.Helper()
	f := newFollower(t, kind, 2048, wrap)
	// Entries travel in lots, and one with a gap in it is not sent: the stale ones are a whole lot.
	const last = peerLast + maxAppendEntries
	if !f.append(staleTerm, 0, 1, last, peerLast) || !f.catchUp(2*last, leaderTerm) {
		t.Fatal("the follower does not follow")
	}
	if restart {
		f.stop()
		f.wrap = nil
		f.start()
	}
	p, end := new(peer), make(chan struct{})
	var served sync.WaitGroup
	served.Go(func() { p.serve(f.remote.Consumer(), end) })
	defer func() {
		f.stop() // it waits for the peer's answers
		close(end)
		served.Wait()
	}()
	var resp raft.TimeoutNowResponse
	must(t, f.remote.TimeoutNow(f.id, "follower", &raft.TimeoutNowRequest{RPCHeader: header("leader")}, &resp))
	eventually(t, "the peer is sent something", func() bool {
		entries, snapshot = p.got()
		return len(entries) > 0 || snapshot > 0
	})
	return entries, snapshot
}

// Worse than raft#697: entries that nobody committed stay in the log in front of the snapshot, and a leader sends them on.
// This shows that Raft does so; when it no longer does, the mend is not needed any more.
func TestRaftAloneSendsOnWhatWasNeverCommitted(t *testing.T) {
	t.Parallel()
	entries, _ := leadAfterSnapshot(t, logStoreBolt, plain, false)
	if len(entries) != maxAppendEntries || entries[0].Index != peerLast+1 || entries[0].Term != staleTerm {
		t.Errorf("sent %d entries, want %d stale ones", len(entries), maxAppendEntries)
	}
}

// With muster's stores nothing is left in front of an installed snapshot, and what was left by an earlier version, or by a
// crash, goes at the start.
func TestWhatWasNeverCommittedIsNotSentOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		kind    string
		wrap    func(*stores)
		restart bool
	}{
		{"boltdb", logStoreBolt, nil, false},
		{"wal", logStoreWAL, nil, false},
		{"left over, then restarted", logStoreBolt, plain, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if entries, snapshot := leadAfterSnapshot(t, c.kind, c.wrap, c.restart); len(entries) > 0 || snapshot == 0 {
				t.Errorf("sent %d entries and the snapshot %d, want the snapshot alone", len(entries), snapshot)
			}
		})
	}
}

// A node's own snapshot changes nothing in its log, wherever it ends.
func TestOwnSnapshotLeavesTheLogAlone(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{logStoreBolt, logStoreWAL} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFollower(t, kind, 2, nil)
			if !f.append(staleTerm, 0, 1, 8, 4) {
				t.Fatal("the log was not taken")
			}
			eventually(t, "applied", func() bool { return f.node.raft.AppliedIndex() == 4 })
			must(t, f.node.raft.Snapshot().Error())
			if got := f.reasons(); len(got) > 0 {
				t.Errorf("it ends for %q", got)
			}
			if !f.append(staleTerm, staleTerm, 9, 10, 10) {
				t.Error("it does not follow")
			}
		})
	}
}
