//go:build linux

package hard

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

// from dials from a loopback address of the caller's choice, as a machine of its own would.
func from(t *testing.T, ip, to string) (net.Conn, error) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: harness.BoundDefault}
	return d.Dial("tcp", to)
}

// strangers opens n connections to an address, from many machines, and says nothing. It returns those that came about.
func strangers(t *testing.T, n int, to string) (conns []net.Conn) {
	t.Helper()
	for i := range n {
		c, err := from(t, fmt.Sprintf("127.9.%d.%d", i/200, 1+i%200), to)
		if err != nil {
			t.Logf("after %d connections to %s: %v", i, to, err)
			break
		}
		conns = append(conns, c)
	}
	t.Cleanup(func() { hangUp(conns) })
	return conns
}

func hangUp(conns []net.Conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}

// TestEveryFirstByte: connections that begin with each of the 256 bytes, and go on with nonsense or with nothing at all,
// are hung up on, on both ports; beside them work goes on.
func TestEveryFirstByte(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	a := c.Leader().Addresses()
	var all sync.WaitGroup
	for _, to := range []string{a.RPC, a.HTTP} {
		for first := range 256 {
			for _, rest := range []string{"", strings.Repeat("\xff", 40), strings.Repeat("\x91", 4096)} {
				all.Go(func() {
					conn, err := net.Dial("tcp", to)
					if err != nil {
						t.Errorf("%#x: %v", first, err)
						return
					}
					defer conn.Close()
					_ = conn.SetDeadline(time.Now().Add(harness.BoundDefault))
					_, _ = conn.Write(append([]byte{byte(first)}, rest...))
					if _, err := io.Copy(io.Discard, conn); err != nil && isTimeout(err) {
						t.Errorf("first byte %#x and %d more to %s: not hung up on", first, len(rest), to)
					}
				})
			}
		}
	}
	r := c.Submit(named(t, "beside", object{"name": "a", "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	all.Wait()
	r = c.Submit(named(t, "after", object{"name": "a", "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	c.CheckHashes()
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// TestThousandsOfIdleConnections: strangers hold thousands of connections to each port of the leader, silent ones, such as
// begin a header, and such as announce bodies that never come. Submits go on, and the leader needs little memory for it.
func TestThousandsOfIdleConnections(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	leader := c.Leader()
	a := leader.Addresses()
	before := memory(t, leader)
	const each = 4000
	conns := append(strangers(t, each, a.RPC), strangers(t, each, a.HTTP)...)
	for i, conn := range conns {
		switch i % 4 {
		case 0:
			_, _ = conn.Write([]byte{0x02}) // our own protocol, and no hello
		case 1:
			_, _ = conn.Write([]byte("POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Length: 268435456\r\n\r\n{"))
		case 2:
			_, _ = conn.Write([]byte("GET /v1/status HTTP/1.1\r\nHo"))
		}
	}
	for i := range 5 {
		r := c.Submit(named(t, fmt.Sprint("beside-", i), object{"name": "a", "shell": "true"}))
		c.WaitRequest(r.ID, "done")
	}
	after := memory(t, leader)
	t.Logf("%d connections; memory %d MiB, then %d MiB", len(conns), before>>20, after>>20)
	if after > before+300<<20 {
		t.Errorf("the leader grew from %d to %d MiB", before>>20, after>>20)
	}
	hangUp(conns)
	c.CheckHashes()
}

func mustStatus(t *testing.T, n *harness.Node) harness.Status {
	t.Helper()
	s, err := n.Status()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFewOpenFiles: a cluster whose processes may open 256 files each. Strangers take every place at both ports of the
// leader: it goes on leading, its followers reach it, one too many is told so, and when the strangers go all is as before.
func TestFewOpenFiles(t *testing.T) {
	const files = 256
	if testing.Short() || os.Getenv("MUSTER_HARD") == "" {
		t.Skip("see start")
	}
	few := filepath.Join(t.TempDir(), "muster")
	script := fmt.Sprintf("#!/bin/sh\nulimit -n %d && exec '%s' \"$@\"\n", files, harness.Binary(t))
	if err := os.WriteFile(few, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	c := start(t, harness.Options{Workers: 1, Binary: few})
	leader := c.Leader()
	a := leader.Addresses()
	term := mustStatus(t, leader).Raft.Term
	var conns []net.Conn
	harness.Until(t, harness.BoundDefault, "every place to be taken", func() error {
		conns = append(conns, strangers(t, files, a.HTTP)...)
		conns = append(conns, strangers(t, files, a.RPC)...)
		last, err := from(t, "127.9.9.9", a.HTTP)
		if err != nil {
			return err
		}
		defer last.Close()
		_ = last.SetDeadline(time.Now().Add(time.Second))
		resp, err := http.ReadResponse(bufio.NewReader(last), nil)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
			return fmt.Errorf("answered %s", resp.Status)
		}
		return nil
	})
	if n := openFiles(t, leader); n >= files {
		t.Errorf("the leader has %d files open", n)
	}
	// A new entry reaches a majority: over a follower, which forwards to the leader by a connection that it has or gets.
	hangUp(conns[:len(conns)/2])
	r := c.Submit(named(t, "during", object{"name": "a", "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	hangUp(conns)
	r = c.Submit(named(t, "after", object{"name": "a", "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	if now := mustStatus(t, leader).Raft.Term; now != term {
		t.Errorf("term %d became %d", term, now)
	}
	c.CheckHashes()
}

// TestHostileBodies: bodies that a decoder could be made to spend memory on, several at a time. Each is refused as the
// caller's mistake, and the coordinators stay small.
func TestHostileBodies(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	leader := c.Leader()
	job := "jobs:\n- name: a\n  shell: x\n  payload: "
	var bomb strings.Builder
	bomb.WriteString(job + "\n    - &a [x,x,x,x,x,x,x,x,x,x]\n")
	for k := 'b'; k < 'z'; k++ {
		fmt.Fprintf(&bomb, "    - &%c [%s]\n", k, strings.Repeat("*"+string(k-1)+",", 10))
	}
	bodies := map[string]string{
		"deep JSON":       `{"jobs":[{"name":"a","payload":` + strings.Repeat("[", 8<<20),
		"deep YAML":       job + strings.Repeat("[", 1<<20),
		"alias bomb":      bomb.String(),
		"invalid UTF-8":   "{\"name\": \"\xff\xfe\", \"jobs\": [{\"name\": \"a\", \"shell\": \"x\"}]}",
		"NUL in a name":   `{"jobs": [{"name": "a\u0000b", "shell": "x"}]}`,
		"NUL in a shell":  `{"jobs": [{"name": "a", "shell": "x\u0000y"}]}`,
		"duplicate keys":  `{"name": "x", "name": "y", "jobs": [{"name": "a", "shell": "x"}]}`,
		"duplicate field": "name: x\nname: y\njobs: [{name: a, shell: x}]\n",
		"large YAML":      job + strings.Repeat("x", 17<<20),
		"a long name":     `{"jobs": [{"name": "` + strings.Repeat("a", 4<<20) + `", "shell": "x"}]}`,
		"huge array":      `{"jobs": [{"name": "a", "shell": "x", "array": 4294967295}]}`,
	}
	before := memory(t, leader)
	most := before
	for name, body := range bodies {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				a, err := leader.Do("POST", "/v1/requests", body)
				if err == nil && a.Status/100 != 4 || err != nil && len(body) < 16<<20 { // it may hang up on a large one midway
					t.Errorf("%s: %d %.200s, %v", name, a.Status, a.Body, err)
				}
			})
		}
		all.Wait()
		most = max(most, memory(t, leader))
	}
	for _, frame := range [][]byte{{0x02, 0xff, 0xff, 0xff, 0xff}, {0x02, 0x01, 0x00, 0x00, 0x00}, append([]byte{0x02, 0x00, 0x10, 0x00, 0x00}, bytes.Repeat([]byte{0x91}, 1<<20)...), {0x03, 0xff, 0xff}, {0x01, 0xff, 0xff}} {
		for _, conn := range strangers(t, 50, leader.Addresses().RPC) {
			_, _ = conn.Write(frame)
			defer conn.Close()
		}
	}
	most = max(most, memory(t, leader))
	t.Logf("memory %d MiB, at most %d MiB", before>>20, most>>20)
	if most > before+400<<20 {
		t.Errorf("the leader grew from %d to %d MiB", before>>20, most>>20)
	}
	r := c.Submit(named(t, "after", object{"name": "a", "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	if n := len(c.Requests()); n != 1 {
		t.Errorf("there are %d requests", n)
	}
	c.CheckHashes()
}
