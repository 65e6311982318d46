package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

// Config says how patient and how large a server is. Every zero field stands for its default.
type Config struct {
	ConnsMax  int           // connections at once; default DefaultConnsMax
	LargeMax  int64         // bytes that large calls may take in memory, all together; default DefaultLargeMax
	PingAfter time.Duration // of silence; default duplex.DefaultPingAfter
	// IdleMax is the silence after which a connection is cut. It should be longer than the workers' lease: beats
	// decide about a worker, its connection only if it is closed. Default duplex.DefaultIdleMax.
	IdleMax time.Duration
	// Authorize decides about a client by its Hello; its error is told to the client. nil: everyone may.
	Authorize func(h *wire.Hello) error
}

// Defaults of a Config.
const (
	DefaultConnsMax = 10_000
	DefaultLargeMax = 2 * wire.MessageBytesMax
)

// Server serves the connections of one coordinator.
type Server struct {
	tasker  Tasker
	cfg     Config
	log     hclog.Logger
	budget  *duplex.Budget
	leaders leaderWatch
	ends    requestWatch

	mu    sync.Mutex
	conns int
}

// New makes a server. It starts nothing.
func New(t Tasker, cfg Config, log hclog.Logger) *Server {
	if cfg.ConnsMax == 0 {
		cfg.ConnsMax = DefaultConnsMax
	}
	if cfg.LargeMax == 0 {
		cfg.LargeMax = DefaultLargeMax
	}
	s := &Server{tasker: t, cfg: cfg, log: log, budget: duplex.NewBudget(cfg.LargeMax)}
	s.leaders.tasker = t
	s.ends.tasker = t
	return s
}

// ServeConn serves one connection whose Preface has been read, until it or ctx ends. It closes conn.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stream := duplex.NewStream(conn)
	hello, err := s.welcome(ctx, stream)
	if err != nil {
		s.log.Debug("connection refused", "peer", conn.RemoteAddr().String(), "error", err)
		return
	}
	defer s.leave()
	c := &connection{server: s, client: hello.Name, log: s.log}
	c.conn = duplex.New(stream, duplex.Config{
		FrameMax: wire.FrameBytesMax, PingAfter: s.cfg.PingAfter, IdleMax: s.cfg.IdleMax, Budget: s.budget,
	}, c, s.log)
	s.leaders.add(c.conn)
	err = c.run(ctx)
	s.leaders.remove(c.conn)
	s.log.Debug("connection ended", "peer", conn.RemoteAddr().String(), "client", hello.Name, "error", err)
}

// welcome shakes hands. Once it succeeds, the connection is counted until leave.
func (s *Server) welcome(ctx context.Context, stream *duplex.Stream) (*wire.Hello, error) {
	if err := stream.SetDeadline(time.Now().Add(wire.HandshakeTimeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() })
	defer stop()
	hello := new(wire.Hello)
	id, err := stream.Receive(wire.KindRequest, wire.MethodHello, hello)
	if err != nil {
		s.refuse(stream, id, wire.Errorf(wire.CodeMalformed, "hello: %v", err))
		return nil, fmt.Errorf("read hello: %w", err)
	}
	w := s.greeting()
	if err := s.admit(hello, w); err != nil {
		s.refuse(stream, id, err)
		return nil, err
	}
	f := wire.Frame{Kind: wire.KindResponse, ID: id, Method: wire.MethodHello}
	if err = stream.Send(nil, f, w); err == nil {
		err = stream.Established(wire.FrameBytesMax)
	}
	if err != nil {
		s.leave()
		return nil, fmt.Errorf("send welcome: %w", err)
	}
	return hello, nil
}

// refuse tells the peer why it is turned away, if it listens.
func (s *Server) refuse(stream *duplex.Stream, id uint64, err *wire.Error) {
	_ = stream.Send(nil, wire.Frame{Kind: wire.KindError, ID: id, Method: wire.MethodHello}, err)
}

func (s *Server) greeting() *wire.Welcome {
	st := s.tasker.Status()
	w := &wire.Welcome{
		Cluster: st.Cluster, ClusterID: st.ClusterID, NodeID: st.NodeID, NodeName: st.NodeName,
		FrameMax: wire.FrameBytesMax, Leader: s.tasker.Leader(),
	}
	for _, o := range st.Servers {
		if o.RPC != "" && len(w.Coordinators) < wire.CoordinatorsMax {
			w.Coordinators = append(w.Coordinators, o.RPC)
		}
	}
	return w
}

// admit decides about a client. It counts the connection if it does not refuse.
func (s *Server) admit(h *wire.Hello, w *wire.Welcome) *wire.Error {
	if h.Cluster != "" && h.Cluster != w.Cluster {
		return wire.Errorf(wire.CodeCluster, "this coordinator is of cluster %q, not %q", w.Cluster, h.Cluster)
	}
	if w.Version = min(h.VersionMax, wire.VersionMax); w.Version < max(h.VersionMin, wire.VersionMin) {
		return wire.Errorf(wire.CodeVersion, "this coordinator speaks protocol %d to %d, the client %d to %d: upgrade the older one",
			wire.VersionMin, wire.VersionMax, h.VersionMin, h.VersionMax)
	}
	if s.cfg.Authorize != nil {
		if err := s.cfg.Authorize(h); err != nil {
			var refusal *wire.Error
			if !errors.As(err, &refusal) {
				refusal = wire.Errorf(wire.CodeDenied, "%v", err)
			}
			return refusal
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns >= s.cfg.ConnsMax {
		return wire.Errorf(wire.CodeOverloaded, "%d connections are open, as many as the limit allows", s.conns)
	}
	s.conns++
	return nil
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
}

// notLeader is the answer of a coordinator that does not lead.
func (s *Server) notLeader() *wire.Error { return notLeader(s.tasker.Leader()) }

// electionPause is what a client should wait before it asks again while there is no leader.
const electionPause = 50 * time.Millisecond

func notLeader(l wire.Leader) *wire.Error {
	if l.RPC == "" {
		return &wire.Error{Code: wire.CodeNoLeader, Detail: "an election is under way, or less than a majority of the coordinators reach each other", RetryAfter: electionPause}
	}
	return &wire.Error{
		Code: wire.CodeNotLeader, Detail: fmt.Sprintf("%s at %s leads", l.Name, l.RPC),
		Leader: l.RPC, LeaderHTTP: l.HTTP, Term: l.Term,
	}
}
