package api

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/rpc/rest"
)

func readAll(resp *http.Response) ([]byte, error) { return io.ReadAll(resp.Body) }

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (r *rig) address() string { return strings.TrimPrefix(r.base, "http://") }

// follow makes r a follower of the node at addr.
func (r *rig) follow(node, leader, addr string) {
	r.fake.set(func() {
		r.fake.leading = false
		r.fake.node = cluster.Peer{ID: node, Name: "name of " + node, HTTP: r.address()}
		r.fake.leader = &cluster.Peer{ID: leader, Name: "name of " + leader, HTTP: addr, Term: 3}
	})
}

func TestFollowerForwards(t *testing.T) {
	leader, follower := newRig(t), newRig(t)
	follower.follow("n2", "n1", leader.address())
	sub := follower.submit(chain)
	if got := as[rest.Request](t, leader.call(200, "GET", "/v1/requests/"+sub.ID, "")); got.Name != "nightly" {
		t.Errorf("leader has %+v", got)
	}
	got := follower.call(200, "GET", "/v1/requests/"+sub.ID, "")
	if len(got.Header.Values("Cache-Control")) != 1 || len(got.Header.Values("X-Content-Type-Options")) != 1 {
		t.Errorf("headers twice: %v", got.Header)
	}
	if l := as[rest.Requests](t, follower.call(200, "GET", "/v1/requests?consistency=stale", "")); len(l.Requests) != 0 {
		t.Errorf("a stale read was forwarded: %+v", l)
	}
	st := as[rest.Status](t, follower.call(200, "GET", "/v1/status", ""))
	if st.Node != "n2" || st.Leader == nil || st.Leader.ID != "n1" || st.Jobs.Total() != 3 || !st.Fresh || st.Raft.Applied != 1 {
		t.Errorf("status: %+v", st)
	}
	if st := as[rest.Status](t, follower.call(200, "GET", "/v1/status?consistency=stale", "")); st.Jobs.Total() != 0 || st.Fresh {
		t.Errorf("stale status: %+v", st)
	}
	follower.fails(400, rest.CodeInvalid, "GET", "/v1/requests?sate=x", "")
	// A long poll, through the follower.
	worker := follower.join(1)
	if jobs := follower.pick(`{"worker": %q, "wait": "10s"}`, worker); len(jobs) != 1 {
		t.Errorf("picked %+v", jobs)
	}
	follower.call(200, "GET", "/v1/health", "")
}

func TestForwardingEnds(t *testing.T) {
	a, b := newRig(t), newRig(t)
	a.follow("a", "b", b.address())
	b.follow("b", "a", a.address())
	p := a.fails(503, rest.CodeNoLeader, "GET", "/v1/requests", "")
	if p.RetryAfter == 0 || p.Leader == nil {
		t.Errorf("%+v", p)
	}
	if st := as[rest.Status](t, a.call(200, "GET", "/v1/status", "")); st.Fresh || st.Problem == "" {
		t.Errorf("status: %+v", st)
	}
	a.follow("a", "a", a.address()) // elected, not ready
	a.fails(503, rest.CodeNoLeader, "POST", "/v1/requests", chain)
	a.follow("a", "b", "") // heard of, address unknown
	a.fails(503, rest.CodeNoLeader, "GET", "/v1/requests", "")
}

func TestLeaderThatDoesNotAnswer(t *testing.T) {
	r := newRig(t)
	gone := listener(t)
	gone.Close()
	r.follow("n2", "n1", gone.Addr().String())
	p := r.fails(503, rest.CodeNoLeader, "POST", "/v1/requests", chain)
	if !strings.Contains(p.Detail, gone.Addr().String()) {
		t.Errorf("does not say where: %+v", p)
	}
	if st := as[rest.Status](t, r.call(200, "GET", "/v1/status", "")); st.Fresh || st.Problem == "" || st.Node != "n2" {
		t.Errorf("status: %+v", st)
	}
	// One that hangs up in the middle may have done it.
	rude := listener(t)
	defer rude.Close()
	go func() {
		for {
			c, err := rude.Accept()
			if err != nil {
				return
			}
			io.CopyN(io.Discard, c, 1)
			c.Close()
		}
	}()
	r.follow("n2", "n1", rude.Addr().String())
	r.fails(503, rest.CodeUnknownOutcome, "POST", "/v1/requests", chain)
}

// TestLeaderThatIsStuck: the leader's process keeps its connections and answers nothing. Who is forwarded to it hears of that
// when another leads, and not only when his own patience ends.
func TestLeaderThatIsStuck(t *testing.T) {
	r := newRig(t)
	stuck := listener(t)
	defer stuck.Close()
	asked := make(chan net.Conn, 2)
	go func() {
		for {
			c, err := stuck.Accept()
			if err != nil {
				return
			}
			asked <- c
		}
	}()
	for method, code := range map[string]string{"POST": rest.CodeUnknownOutcome, "GET": rest.CodeNoLeader} {
		r.follow("n2", "n1", stuck.Addr().String())
		go func() {
			defer (<-asked).Close()
			r.follow("n2", "n3", stuck.Addr().String())
			<-t.Context().Done()
		}()
		body := ""
		if method == "POST" {
			body = chain
		}
		r.fails(503, code, method, "/v1/requests", body)
	}
}

func TestLogs(t *testing.T) {
	r := newRig(t)
	worker := r.join(1)
	sub := r.submit(oneJob)
	jobs := as[rest.Jobs](t, r.call(200, "GET", "/v1/requests/"+sub.ID+"/jobs", ""))
	path := "/v1/jobs/" + jobs.Jobs[0].ID + "/logs"
	r.fails(409, rest.CodeConflict, "GET", path, "")

	id := jobs.Jobs[0].ID
	r.fake.set(func() {
		r.fake.logs[id+"/1/1"], r.fake.logs[id+"/1/2"], r.fake.logOpen = []byte("hello "), []byte("oops"), true
	})
	follow := r.request("GET", path+"?follow", "")
	done := make(chan string, 1)
	go func() {
		resp, err := r.http.Do(follow)
		if err != nil {
			done <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, err := readAll(resp)
		done <- fmt.Sprint(string(b), err)
	}()
	a := r.pick(`{"worker": %q}`, worker)[0]
	r.report(200, a.ID, `{"worker": %q, "attempt": 1, "state": "DONE"}`, worker)
	r.fake.set(func() { r.fake.logs[id+"/1/1"], r.fake.logOpen = []byte("hello world"), false })
	if got := <-done; got != "hello world<nil>" {
		t.Errorf("followed: %q", got)
	}
	if got := r.call(200, "GET", path+"?stream=stderr", ""); string(got.body) != "oops" {
		t.Errorf("stderr: %q", got.body)
	}
	if got := r.call(200, "GET", path+"?offset=6", ""); string(got.body) != "world" {
		t.Errorf("from 6: %q", got.body)
	}
	r.fails(404, rest.CodeNotFound, "GET", path+"?attempt=2", "")
	r.fake.set(func() { clear(r.fake.logs) })
	r.fails(404, rest.CodeNotFound, "GET", path, "")
}
