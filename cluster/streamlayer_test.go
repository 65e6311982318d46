package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func openTestDir(t *testing.T, cluster, clusterID string) *dataDir {
	t.Helper()
	cfg := testConfig(t, 3)
	cfg.Cluster = cluster
	d, err := openDataDir(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.close() })
	if clusterID != "" {
		if err := d.form(clusterID); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// acceptor serves raft streams of the node in d and returns its address.
func acceptor(t *testing.T, d *dataDir) string {
	t.Helper()
	ln := listen(t)
	m := newMux(ln, testLog(t))
	l := newStreamLayer(d, "acceptor", ln.Addr().String(), testLog(t))
	m.handle(kindRaft, l.serve)
	runMux(t, m)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return ln.Addr().String()
}

func TestStreamHandshake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                  string
		dialCluster, dialID   string
		cluster, clusterID    string
		promised, to, refusal string
		adopted               string
	}{
		{name: "same cluster", dialCluster: "m", dialID: "one", cluster: "m", clusterID: "one"},
		{name: "not formed yet", dialCluster: "m", dialID: "one", cluster: "m", adopted: "one"},
		{name: "promised", dialCluster: "m", dialID: "one", cluster: "m", promised: "one", adopted: "one"},
		{name: "promised to another", dialCluster: "m", dialID: "one", cluster: "m", promised: "two", refusal: "promised to form another cluster, with id two"},
		{name: "another name", dialCluster: "other", dialID: "one", cluster: "m", refusal: `of cluster "m", the caller is of cluster "other"`},
		{name: "another id", dialCluster: "m", dialID: "one", cluster: "m", clusterID: "two", refusal: "with id two, the caller is of another cluster"},
		{name: "caller not formed", dialCluster: "m", cluster: "m", refusal: "no formed cluster"},
		{name: "address taken over", dialCluster: "m", dialID: "one", cluster: "m", clusterID: "one", to: "somebody", refusal: "the caller means somebody: the address has been taken over"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := openTestDir(t, c.cluster, c.clusterID)
			own := member{ID: d.identity().Node}
			if c.promised != "" {
				if err := d.promise(promise{ClusterID: c.promised, Proposer: member{ID: "p"}, Members: []member{own}}); err != nil {
					t.Fatal(err)
				}
			}
			address := acceptor(t, d)
			from := newStreamLayer(openTestDir(t, c.dialCluster, c.dialID), "dialer", "127.0.0.1:1", testLog(t))
			defer from.Close()
			to := own.ID
			if c.to != "" {
				to = c.to
			}
			conn, err := from.Dial(route(raft.ServerID(to), raft.ServerAddress(address)), patience)
			if c.refusal == "" {
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 5)
				if _, err := conn.Read(got); err != nil || string(got) != "hello" {
					t.Errorf("read %q, %v", got, err)
				}
				_ = conn.Close()
			} else if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("error %v, want a refusal with %q", err, c.refusal)
			}
			if c.adopted != "" && d.identity().ClusterID != c.adopted {
				t.Errorf("cluster id %q, want %q", d.identity().ClusterID, c.adopted)
			}
			if c.refusal != "" && d.identity().ClusterID != c.clusterID {
				t.Errorf("a refused caller changed the cluster id to %q", d.identity().ClusterID)
			}
		})
	}
}

// Bytes that are no handshake end the stream.
func TestStreamHandshakeGarbage(t *testing.T) {
	t.Parallel()
	address := acceptor(t, openTestDir(t, "m", "one"))
	for _, bytes := range []string{"\x01\xff\xff", "\x01\x00\x01\xc1", "\x01\x00\x00", "\x01\x00\x02\x95\xdb"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = conn.Write([]byte(bytes))
		_ = conn.(*net.TCPConn).CloseWrite()
		if got, _ := io.ReadAll(conn); strings.HasSuffix(string(got), "hello") {
			t.Errorf("%q was taken for a handshake", bytes)
		}
		_ = conn.Close()
	}
}

func TestTransportKeepsWhatRaftLooksFor(t *testing.T) {
	t.Parallel()
	layer := newStreamLayer(openTestDir(t, "m", "one"), "n", "host.example:7071", testLog(t))
	book := newAddressBook()
	tr := newTransport(layer, book, time.Second, testLog(t))
	defer tr.Close()
	var asRaftSeesIt raft.Transport = tr
	if _, ok := asRaftSeesIt.(raft.WithPreVote); !ok {
		t.Error("no pre-vote")
	}
	if _, ok := asRaftSeesIt.(raft.WithClose); !ok {
		t.Error("no close")
	}
	if got := tr.LocalAddr(); got != "host.example:7071" {
		t.Errorf("local address %q is not the advertised one", got)
	}
	// An address in the book goes before the one in Raft's configuration; a vote is remembered with the id.
	if got := tr.route("a", "old:1"); got != "a@old:1" {
		t.Errorf("route %q", got)
	}
	book.answered(nodeInfo{ID: "a", RPC: "new:2"})
	if got := tr.route("a", "old:1"); got != "a@new:2" {
		t.Errorf("route %q", got)
	}
	if got := tr.route("b", "b@old:1"); got != "b@old:1" { // as Raft's configuration has it
		t.Errorf("route %q", got)
	}
	peer := tr.EncodePeer("a", "h:1")
	if string(peer) != "a@h:1" || tr.DecodePeer(peer) != "h:1" {
		t.Errorf("peer %q, address %q", peer, tr.DecodePeer(peer))
	}
}

// A heartbeat must reach Raft's main loop like any other call, never a handler beside it.
func TestTransportHasNoHeartbeatFastPath(t *testing.T) {
	t.Parallel()
	d := openTestDir(t, "m", "one")
	ln := listen(t)
	m := newMux(ln, testLog(t))
	layer := newStreamLayer(d, "n", ln.Addr().String(), testLog(t))
	m.handle(kindRaft, layer.serve)
	runMux(t, m)
	tr := newTransport(layer, newAddressBook(), patience, testLog(t))
	defer tr.Close()
	defer tr.CloseStreams()
	tr.SetHeartbeatHandler(func(raft.RPC) { t.Error("the fast path was taken") })
	id := d.identity().Node
	done := make(chan error, 1)
	go func() {
		heartbeat := raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{Addr: []byte("a@h:1")}, Term: 1}
		done <- tr.AppendEntries(raft.ServerID(id), raft.ServerAddress(ln.Addr().String()), &heartbeat, new(raft.AppendEntriesResponse))
	}()
	select {
	case rpc := <-tr.Consumer():
		rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
	case <-time.After(patience):
		t.Error("the heartbeat did not reach the main loop")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// nobodyAt is an address at which nobody listens, and that no other test is given.
func nobodyAt(t *testing.T) string {
	t.Helper()
	n := nobodies.Add(1)
	ln, err := net.Listen("tcp", fmt.Sprintf("127.45.%d.%d:0", n>>8, n&255))
	if err != nil {
		t.Skipf("this system has one loopback address: %v", err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

var nobodies atomic.Uint32

// Entries for a node that is away are there as soon as it is back; a heartbeat fails at once.
func TestTransportWaitsForANodeThatIsAway(t *testing.T) {
	t.Parallel()
	d := openTestDir(t, "m", "one")
	addr := nobodyAt(t)
	layer := newStreamLayer(d, "n", addr, testLog(t))
	tr := newTransport(layer, newAddressBook(), patience, testLog(t))
	defer tr.Close()
	defer tr.CloseStreams()
	id, at := raft.ServerID(d.identity().Node), raft.ServerAddress(addr)
	call := func(entries ...*raft.Log) error {
		args := raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{Addr: []byte("a@h:1")}, Term: 1, Entries: entries}
		return tr.AppendEntries(id, at, &args, new(raft.AppendEntriesResponse))
	}
	if err := call(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a heartbeat: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- call(&raft.Log{Index: 1, Term: 1}) }()
	time.Sleep(2 * awayRetry) // so that it finds nobody at first; if it does not, it only proves less
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	m := newMux(ln, testLog(t))
	m.handle(kindRaft, layer.serve)
	runMux(t, m)
	select {
	case rpc := <-tr.Consumer():
		rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
	case err := <-done:
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTransportEndsItsWaits(t *testing.T) {
	t.Parallel()
	d := openTestDir(t, "m", "one")
	addr := nobodyAt(t)
	tr := newTransport(newStreamLayer(d, "n", addr, testLog(t)), newAddressBook(), patience, testLog(t))
	defer tr.Close()
	done := make(chan error, 1)
	go func() {
		args := raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 1}
		done <- tr.AppendEntries(raft.ServerID(d.identity().Node), raft.ServerAddress(addr), &args, new(raft.AppendEntriesResponse))
	}()
	time.Sleep(2 * awayRetry)
	tr.EndWaits()
	if err := <-done; !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("it ended with %v", err)
	}
}
