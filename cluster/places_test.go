package cluster

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func TestConnectionsLeaveFilesForTheRest(t *testing.T) {
	for files, want := range map[uint64]int{0: 32, 64: 32, 256: 96, 1024: 384, 20000: 9872, 1 << 20: 16384} {
		if got := connsAllowed(files); got != want {
			t.Errorf("of %d files %d connections to each port, want %d", files, got, want)
		}
	}
}

func TestPlacesAreBoundedInTotalAndByAddress(t *testing.T) {
	p := newPlaces(100)
	taken := 0
	for range 100 {
		if p.take("a") {
			taken++
		}
	}
	if taken != 50 || p.crowded() {
		t.Errorf("one address took %d of 100 places, crowded %v", taken, p.crowded())
	}
	for range 50 {
		p.take("b")
	}
	if p.take("c") || !p.crowded() {
		t.Error("there is room beyond the last place")
	}
	for range 50 {
		p.leave("a")
	}
	if !p.take("c") || len(p.byHost) != 2 {
		t.Errorf("after one address has left: %v", p.byHost)
	}
}

// With all places but those of the coordinators taken, these still come in, and nobody else.
func TestMuxKeepsPlacesForCoordinators(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	m := newMux(ln, testLog(t))
	echo := func(_ context.Context, c net.Conn) { _, _ = io.Copy(c, c) }
	m.handle(kindRPC, echo)
	m.handle(kindPeer, echo)
	m.places.taken = m.places.most - connsPeers
	runMux(t, m)
	for preface, served := range map[byte]bool{prefaceRPC: false, prefacePeer: true} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = c.Write([]byte{preface, 'x'})
		if _, err := io.ReadFull(c, make([]byte, 1)); (err == nil) != served {
			t.Errorf("first byte %#x: %v", preface, err)
		}
		_ = c.Close()
	}
}

func TestOneTooManyIsToldSoOverHTTP(t *testing.T) {
	t.Parallel()
	ln := newBoundedListener(listen(t), newPlaces(2), testLog(t)) // one for each address
	go func() {
		for {
			if _, err := ln.Accept(); err != nil {
				return
			}
		}
	}()
	defer ln.Close()
	first, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	_ = second.SetDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(bufio.NewReader(second), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("answered %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
}
