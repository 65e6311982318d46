package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

func TestOnlyTheLeaderAnswersAndTheOthersSayWhoLeads(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		c := r.raw("b:1")
		defer c.end()
		for m := range wire.Method(255) {
			if m == wire.MethodStatus || m == wire.MethodHello {
				continue
			}
			var refusal *wire.Error
			if err := c.Call(background, m, &wire.Empty{}, &wire.Empty{}); !errors.As(err, &refusal) || refusal.Code != wire.CodeNotLeader ||
				refusal.Leader != "a:1" || refusal.LeaderHTTP != "http-a:1" || refusal.Term != 1 {
				t.Errorf("%s: %v", m, err)
			}
		}
		if err := c.Call(background, wire.MethodStatus, &wire.GetStatus{}, &wire.Status{}); err != nil {
			t.Errorf("status of a follower: %v", err)
		}
		r.elect("")
		if err := c.Call(background, wire.MethodRequest, &wire.GetRequest{}, &wire.RequestInfo{}); !errors.Is(err, wire.ErrNoLeader) {
			t.Errorf("during an election: %v", err)
		}
		r.elect("b:1")
		if err := c.Call(background, wire.Method(99), &wire.Empty{}, &wire.Empty{}); !errors.Is(err, wire.ErrUnsupported) {
			t.Errorf("a method that is none: %v", err)
		}
	})
}

func TestWhoMayNotComeInIsToldWhy(t *testing.T) {
	cfg := Config{ConnsMax: 1, Authorize: func(h *wire.Hello) error {
		if h.Token == "wrong" {
			return errors.New("this token is not known")
		}
		return nil
	}}
	inRig(t, cfg, func(t *testing.T, r *rig) {
		hello := wire.Hello{VersionMin: 1, VersionMax: 1, Cluster: "test"}
		with := func(change func(*wire.Hello)) *wire.Hello {
			h := hello
			change(&h)
			return &h
		}
		for _, c := range []struct {
			hello *wire.Hello
			want  error
			says  string
		}{
			{with(func(h *wire.Hello) { h.Cluster = "other" }), wire.ErrCluster, `of cluster "test", not "other"`},
			{with(func(h *wire.Hello) { h.VersionMin, h.VersionMax = 7, 9 }), wire.ErrVersion, "protocol 1 to 1, the client 7 to 9"},
			{with(func(h *wire.Hello) { h.VersionMin, h.VersionMax = 0, 0 }), wire.ErrVersion, ""},
			{with(func(h *wire.Hello) { h.Token = "wrong" }), wire.ErrDenied, "this token is not known"},
		} {
			if _, err := r.greet("a:1", c.hello); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v: %v", c.hello, err)
			}
		}
		if w, err := r.greet("a:1", with(func(h *wire.Hello) { h.VersionMax = 9 })); err != nil || w.Version != 1 || w.ClusterID != "id" || !w.Leader.Self ||
			!slices.Equal(w.Coordinators, addrs) {
			t.Errorf("%+v, %v", w, err)
		}
		c := r.raw("a:1")
		if _, err := r.greet("a:1", &hello); !errors.Is(err, wire.ErrOverloaded) {
			t.Errorf("a second connection: %v", err)
		}
		c.end()
		synctest.Wait()
		if _, err := r.greet("a:1", &hello); err != nil {
			t.Errorf("after the first one has gone: %v", err)
		}
	})
}

func TestWhoDoesNotSpeakIsShownOut(t *testing.T) {
	inRig(t, Config{}, func(t *testing.T, r *rig) {
		conn, _ := r.dial(background, "a:1")
		began := time.Now()
		if _, err := conn.Write([]byte{wire.Preface, 0, 0}); err != nil { // and then nothing: a slow loris
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(conn)
		if d := time.Since(began); d != wire.HandshakeTimeout {
			t.Errorf("%s until the connection was closed, with %d bytes", d, len(answer))
		}
		for _, garbage := range []string{"\x00\x00\x00\x04\x63\x00\x00\x00", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\x00", 100), "\x00\x00\x00\x05\x01\x01\x05\x00\xc1"} {
			conn, _ := r.dial(background, "a:1")
			go func() { _, _ = conn.Write([]byte(string(wire.Preface) + garbage)) }()
			answer, err := io.ReadAll(conn)
			if err != nil || !bytes.Contains(answer, []byte("hello:")) {
				t.Errorf("%q was answered %q, %v", garbage, answer, err)
			}
			_ = conn.Close()
		}
	})
}

// The real thing once: TCP, its buffers and its way of closing.
func TestOverTCP(t *testing.T) {
	b := &board{m: fsm.New(), changed: make(chan struct{}), links: make(map[fsm.WorkerID]WorkerLink), term: 1}
	b.view = b.m.View()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	b.leader = addr
	s := New(tasker{b, addr, []string{addr}}, Config{}, hclog.NewNullLogger())
	ctx, stop := context.WithCancel(background)
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.ReadFull(conn, make([]byte, 1))
		s.ServeConn(ctx, conn)
	}()
	c := client.New(client.Config{Coordinators: []string{addr}})
	defer c.Close()
	jobs := make([]client.Job, 20_000) // a message of several parts
	for i := range jobs {
		jobs[i] = job(fmt.Sprintf("a job with a rather long name, so that all of them together make a large message: %d", i))
	}
	submitted, err := c.Submit(within(t, time.Minute), client.Request{Jobs: jobs})
	if err != nil || submitted.Jobs != uint32(len(jobs)) {
		t.Errorf("%+v, %v", submitted, err)
	}
	_ = l.Close()
	stop()
	<-served
	if _, err := c.Request(within(t, 50*time.Millisecond), submitted.ID); !errors.Is(err, client.ErrNoLeader) {
		t.Errorf("afterwards: %v", err)
	}
}

// rawConn is a client's connection in the test's own hands.
type rawConn struct {
	*duplex.Conn
	cancel context.CancelFunc
	ended  chan struct{}
}

// nobody refuses and ignores everything.
type nobody struct{}

func (nobody) Call(*duplex.Conn, duplex.Incoming) (duplex.Work, error) {
	return nil, wire.ErrUnsupported
}

func (nobody) Push(*duplex.Conn, wire.Method, *pack.Reader) error { return nil }

func (r *rig) raw(addr string) *rawConn {
	r.t.Helper()
	s, _, err := r.shake(addr, &wire.Hello{VersionMin: 1, VersionMax: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	_ = s.Established(wire.FrameBytesMax)
	c := &rawConn{Conn: duplex.New(s, duplex.Config{}, nobody{}, hclog.NewNullLogger()), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(background)
	c.cancel = cancel
	go func() {
		defer close(c.ended)
		_ = c.Run(ctx)
	}()
	return c
}

func (c *rawConn) end() {
	c.cancel()
	<-c.ended
}

func (r *rig) shake(addr string, h *wire.Hello) (*duplex.Stream, *wire.Welcome, error) {
	conn, err := r.dial(background, addr)
	if err != nil {
		return nil, nil, err
	}
	s := duplex.NewStream(conn)
	f := wire.Frame{Kind: wire.KindRequest, ID: 1, Method: wire.MethodHello}
	if err := s.Send([]byte{wire.Preface}, f, h); err != nil {
		return nil, nil, err
	}
	w := new(wire.Welcome)
	_, err = s.Receive(wire.KindResponse, wire.MethodHello, w)
	return s, w, err
}

// greet shakes hands and hangs up.
func (r *rig) greet(addr string, h *wire.Hello) (*wire.Welcome, error) {
	s, w, err := r.shake(addr, h)
	if s != nil {
		_ = s.Close()
		synctest.Wait()
	}
	return w, err
}
