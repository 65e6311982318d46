package cluster

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// runMux runs m until the test ends.
func runMux(t *testing.T, m *mux) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := m.run(ctx); err != nil {
			t.Errorf("mux: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// Every first byte goes to the one handler it is for, with what that handler is to read, or the connection is closed.
func TestMuxFirstBytes(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	m := newMux(ln, testLog(t))
	for kind, name := range map[connKind]string{kindRaft: "raft", kindRPC: "rpc", kindPeer: "peer", kindHTTP: "http"} {
		m.handle(kind, func(_ context.Context, c net.Conn) {
			got := make([]byte, 1)
			if _, err := io.ReadFull(c, got); err == nil {
				_, _ = c.Write(append([]byte(name+" "), got...))
			}
		})
	}
	runMux(t, m)
	for b := range 256 {
		want := ""
		switch {
		case b == 0x01:
			want = "raft !"
		case b == 0x02:
			want = "rpc !"
		case b == 0x03:
			want = "peer !"
		case 'A' <= b && b <= 'Z':
			want = "http " + string(rune(b))
		}
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = c.Write([]byte{byte(b), '!'})
		got, _ := io.ReadAll(c) // a reset after a refusal is fine
		if string(got) != want {
			t.Errorf("first byte %#02x: %q, want %q", b, got, want)
		}
		_ = c.Close()
	}
}

func TestMuxRunEndsHandlersAndListeners(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	m := newMux(ln, testLog(t))
	started := make(chan struct{})
	m.handle(kindRPC, func(_ context.Context, c net.Conn) {
		close(started)
		_, _ = io.Copy(io.Discard, c) // until the mux closes it
	})
	web := m.listener(kindHTTP)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.run(ctx) }()
	rpc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer rpc.Close()
	_, _ = rpc.Write([]byte{prefaceRPC})
	<-started
	http, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer http.Close()
	_, _ = http.Write([]byte("GET /"))
	c, err := web.Accept()
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 5)
	if _, err := io.ReadFull(c, line); err != nil || string(line) != "GET /" {
		t.Fatalf("read %q, %v", line, err)
	}
	silent, err := net.Dial("tcp", ln.Addr().String()) // has not said what it is
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(line); err == nil {
		t.Fatal("a connection outlived the mux")
	}
	if err := web.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := web.Accept(); err != net.ErrClosed {
		t.Fatalf("accept after close: %v", err)
	}
}

// One address cannot take every place.
func TestMuxLimitsConnectionsOfOneAddress(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	m := newMux(ln, testLog(t))
	m.handle(kindRPC, func(_ context.Context, c net.Conn) { _, _ = io.Copy(c, c) })
	m.places.byHost["127.0.0.1"] = m.places.perHost() - 1 // all but one place is taken
	runMux(t, m)
	first, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, _ = first.Write([]byte{prefaceRPC, 'x'})
	if _, err := io.ReadFull(first, make([]byte, 1)); err != nil {
		t.Fatalf("the last place: %v", err)
	}
	second, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	_ = second.SetDeadline(time.Now().Add(patience))
	if n, err := second.Read(make([]byte, 1)); err == nil {
		t.Fatalf("read %d bytes on a connection too many", n)
	}
}
