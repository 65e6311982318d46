package api

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/rpc/rest"
)

// Bodies that are announced and do not come hold up nobody; those that have come count, and one too many is refused.
func TestBodiesCountAsTheyArrive(t *testing.T) {
	r := newRig(t)
	send := func(announced int, sent string) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := fmt.Fprintf(conn, "POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", announced, sent); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	const most = 1 << 20 // the rig's max_body
	for range 2 {
		send(most, "{")
	}
	r.submit(chain)
	// Twice the largest body is all that may be there at a time.
	half := strings.Repeat(" ", 14*bodyStep)
	send(most, half)
	send(most, half)
	deadline := time.Now().Add(patience)
	for r.server.submits.TryAcquire(3 * bodyStep) {
		r.server.submits.Release(3 * bodyStep)
		if time.Now().After(deadline) {
			t.Fatal("what has arrived is not counted")
		}
		time.Sleep(time.Millisecond)
	}
	conn := send(3*bodyStep, strings.Repeat(" ", 3*bodyStep))
	_ = conn.SetDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != statusOf[rest.CodeOverloaded] || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
}
