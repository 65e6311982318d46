//go:build linux

package hard

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// deaf sends a call on a connection whose answer will not be read, with little room for it on the way.
func deaf(t *testing.T, n *harness.Node, path string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	conn, err := d.Dial("tcp", n.Addresses().HTTP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// TestFollowersOfOutputThatNeverRead: a job writes without end, and twenty follow its output without reading it. They are
// cut off, the coordinator stays small, and the job and others go on.
func TestFollowersOfOutputThatNeverRead(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	node := c.Leader()
	r := c.Submit(named(t, "flood", object{"name": "a", "shell": "exec yes 0123456789012345678901234567890123456789"}))
	job := c.WaitJobState(r.ID, "a", "running")
	before := memory(t, node)
	var conns []*net.TCPConn
	for range 20 {
		conns = append(conns, deaf(t, node, "/v1/jobs/"+job.ID+"/logs?follow=true"))
	}
	harness.Until(t, 2*harness.BoundDefault, "the deaf followers to be cut off", func() error {
		open := 0
		for _, conn := range conns {
			if served(t, node, conn) {
				open++
			}
		}
		if open > 0 {
			return fmt.Errorf("%d are still served", open)
		}
		return nil
	})
	after := memory(t, node)
	t.Logf("memory %d MiB, then %d MiB", before>>20, after>>20)
	if after > before+128<<20 {
		t.Errorf("the coordinator grew from %d to %d MiB", before>>20, after>>20)
	}
	if j := c.Job(job.ID); j.State != "running" || j.Attempt != 1 {
		t.Errorf("the job is %s, attempt %d", j.State, j.Attempt)
	}
	other := c.Submit(named(t, "beside", object{"name": "a", "shell": "true"}))
	c.WaitRequest(other.ID, "done")
	if a := c.Call("POST", "/v1/requests/"+r.ID+"/cancel", ""); a.Status/100 != 2 {
		t.Errorf("cancel: %v", a)
	}
	c.WaitRequest(r.ID, "cancelled")
}

// TestNoPayloadInTheLogs: what a person hands to a job, and what the job says, is in no node's log, however much these say.
func TestNoPayloadInTheLogs(t *testing.T) {
	loud := []string{"--log-level", "trace"}
	c := start(t, harness.Options{Workers: 1, Coordinator: loud, Worker: loud})
	const hush = "hush-8d1c"
	r := c.SubmitAs(hush+"-key", named(t, "quiet",
		object{"name": "a", "shell": "echo $SECRET $0; echo " + hush + "-result > $MUSTER_RESULT; echo 50% " + hush + "-progress > $MUSTER_PROGRESS", "env": object{"SECRET": hush + "-env"}, "payload": hush + "-payload"},
		object{"name": "b", "needs": []string{"a"}, "shell": "echo " + hush + "-error > $MUSTER_ERROR; exit 1"}))
	c.WaitRequest(r.ID, "failed")
	c.Leader().Kill()
	c.WaitLeader()
	for _, n := range append(c.Coordinators(), c.Workers()...) {
		for line := range strings.Lines(n.Log()) {
			if strings.Contains(line, hush) {
				t.Errorf("%s logs %.300q", n.Name(), line)
			}
		}
	}
}
