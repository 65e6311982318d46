package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

// rig is a cluster of pretended coordinators in memory, in virtual time: run tests with it in synctest.Test. Which one
// leads, which are down, and what the leader answers is in the test's hands.
type rig struct {
	t     *testing.T
	nodes map[string]*node
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu     sync.Mutex
	leader string // address; empty: an election is under way
	term   uint64
	dials  int
	answer func(n *node, q call) (wire.Message, error)
	calls  []call
	pushed []wire.Message // by clients
}

// call is what a client asked.
type call struct {
	at     string // address of the coordinator
	method wire.Method
	msg    wire.Message
	ctx    context.Context
}

// node is one pretended coordinator.
type node struct {
	rig  *rig
	addr string

	frozen atomic.Bool // paused: see nodeConn

	mu    sync.Mutex
	down  bool // refuses connections
	hole  bool // answers nothing at all
	conns map[*duplex.Conn]bool
}

// inRig runs a test with a rig of the given addresses, the first of which leads.
func inRig(t *testing.T, addrs []string, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, nodes: make(map[string]*node), leader: addrs[0], term: 1}
		r.ctx, r.stop = context.WithCancel(context.Background())
		for _, addr := range addrs {
			r.nodes[addr] = &node{rig: r, addr: addr, conns: make(map[*duplex.Conn]bool)}
		}
		test(t, r)
		r.stop()
		r.wg.Wait()
	})
}

// client makes a client that knows addrs.
func (r *rig) client(addrs ...string) *client.Client {
	c := client.New(client.Config{Coordinators: addrs, Cluster: "test", Name: "me", Dial: r.dial})
	r.t.Cleanup(c.Close)
	return c
}

func (r *rig) dial(ctx context.Context, addr string) (net.Conn, error) {
	r.mu.Lock()
	r.dials++
	r.mu.Unlock()
	n := r.nodes[addr]
	if n == nil {
		return nil, &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.hole:
		<-ctx.Done()
		return nil, ctx.Err()
	case n.down:
		return nil, fmt.Errorf("dial %s: %w", addr, syscall.ECONNREFUSED)
	}
	a, b := net.Pipe()
	r.wg.Go(func() { n.serve(nodeConn{b, n}) })
	return a, nil
}

func (n *node) serve(conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(n.rig.ctx, func() { _ = conn.Close() })
	defer stop()
	preface := make([]byte, 1)
	if _, err := io.ReadFull(conn, preface); err != nil || preface[0] != wire.Preface {
		return
	}
	s := duplex.NewStream(conn)
	var h wire.Hello
	id, err := s.Receive(wire.KindRequest, wire.MethodHello, &h)
	if err != nil {
		return
	}
	if h.Cluster != "test" {
		_ = s.Send(nil, wire.Frame{Kind: wire.KindError, ID: id}, wire.Errorf(wire.CodeCluster, "this is test"))
		return
	}
	w := &wire.Welcome{Version: 1, Cluster: "test", FrameMax: wire.FrameBytesMax, Leader: n.rig.leads(n.addr)}
	if s.Send(nil, wire.Frame{Kind: wire.KindResponse, ID: id, Method: wire.MethodHello}, w) != nil || s.Established(wire.FrameBytesMax) != nil {
		return
	}
	c := duplex.New(s, duplex.Config{}, n, hclog.NewNullLogger())
	n.mu.Lock()
	n.conns[c] = true
	n.mu.Unlock()
	_ = c.Run(n.rig.ctx)
	n.mu.Lock()
	delete(n.conns, c)
	n.mu.Unlock()
}

// leads is who leads as addr sees it.
func (r *rig) leads(addr string) wire.Leader {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leader == "" {
		return wire.Leader{}
	}
	return wire.Leader{Self: r.leader == addr, RPC: r.leader, Term: r.term, ID: r.leader}
}

// elect makes addr the leader, and tells everyone; empty: nobody leads.
func (r *rig) elect(addr string) {
	r.mu.Lock()
	r.leader, r.term = addr, r.term+1
	r.mu.Unlock()
	for _, n := range r.nodes {
		l := r.leads(n.addr)
		n.each(func(c *duplex.Conn) { _ = c.Push(wire.MethodLeader, &l) })
	}
}

func (n *node) each(f func(*duplex.Conn)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		f(c)
	}
}

// kill takes a coordinator down with its connections.
func (r *rig) kill(addr string) {
	n := r.nodes[addr]
	n.mu.Lock()
	n.down = true
	n.mu.Unlock()
	n.each(func(c *duplex.Conn) { c.Close(errors.New("killed")) })
}

func (r *rig) start(addr string) {
	n := r.nodes[addr]
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down, n.hole = false, false
}

// nodeConn is a coordinator's end of a connection. While the coordinator is frozen nothing is read any more, and what it
// writes is lost.
type nodeConn struct {
	net.Conn
	n *node
}

func (c nodeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.n.frozen.Load() {
		<-c.n.rig.ctx.Done()
		return 0, io.EOF
	}
	return n, err
}

func (c nodeConn) Write(b []byte) (int, error) {
	if c.n.frozen.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// push sends a message to every client of a coordinator.
func (r *rig) push(addr string, method wire.Method, m wire.Message) {
	r.nodes[addr].each(func(c *duplex.Conn) {
		if err := c.Push(method, m); err != nil {
			r.t.Error(err)
		}
	})
}

// requests makes an empty message of what a method is asked with.
var requests = map[wire.Method]wire.Message{
	wire.MethodSubmit: &wire.Submit{}, wire.MethodRequest: &wire.GetRequest{}, wire.MethodRetry: &wire.RetryRequest{},
	wire.MethodWait: &wire.Wait{}, wire.MethodJoin: &wire.Join{}, wire.MethodLeave: &wire.Leave{}, wire.MethodPick: &wire.Pick{},
	wire.MethodReport: &wire.Report{}, wire.MethodBeat: &wire.Beat{}, wire.MethodInputs: &wire.Inputs{},
	wire.MethodCancel: &wire.Cancel{}, wire.MethodOpenSession: &wire.OpenSession{}, wire.MethodStatus: &wire.GetStatus{},
	wire.MethodJob: &wire.GetJob{}, wire.MethodJobs: &wire.ListJobs{}, wire.MethodDrain: &wire.Drain{},
	wire.MethodCloseSession: &wire.CloseSession{}, wire.MethodPause: &wire.Pause{},
}

// Call implements duplex.Handler.
func (n *node) Call(_ *duplex.Conn, in duplex.Incoming) (duplex.Work, error) {
	m := reflect.New(reflect.TypeOf(requests[in.Method]).Elem()).Interface().(wire.Message)
	if err := wire.Decode(in.Body, m); err != nil {
		return nil, err
	}
	l := n.rig.leads(n.addr)
	return func(ctx context.Context) (wire.Message, error) {
		q := call{n.addr, in.Method, m, ctx}
		n.rig.mu.Lock()
		n.rig.calls = append(n.rig.calls, q)
		answer := n.rig.answer
		n.rig.mu.Unlock()
		switch {
		case !l.Known():
			return nil, wire.Errorf(wire.CodeNoLeader, "election")
		case !l.Self:
			return nil, &wire.Error{Code: wire.CodeNotLeader, Leader: l.RPC}
		}
		return answer(n, q)
	}, nil
}

// Push implements duplex.Handler.
func (n *node) Push(_ *duplex.Conn, method wire.Method, body *pack.Reader) error {
	var p wire.Progress
	if err := wire.Decode(body, &p); err != nil {
		return err
	}
	n.rig.mu.Lock()
	defer n.rig.mu.Unlock()
	n.rig.pushed = append(n.rig.pushed, &p)
	return nil
}

// answers sets what the leader answers.
func (r *rig) answers(f func(n *node, q call) (wire.Message, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// seen are the calls of a method so far.
func (r *rig) seen(method wire.Method) (list []call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if c.method == method {
			list = append(list, c)
		}
	}
	return list
}

func (r *rig) dialled() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dials
}

// request answers GetRequest and Wait.
func request(*node, call) (wire.Message, error) {
	return &wire.RequestInfo{ID: 7, Name: "r", State: wire.Done}, nil
}
