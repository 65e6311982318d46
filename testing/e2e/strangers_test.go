package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

// refusalBound is how long a node may take to refuse to start.
const refusalBound = 20 * time.Second

// garbageBound is how long a stranger waits to be hung up on.
const garbageBound = 30 * time.Second

// TestGarbageAtEachPort sends what nobody of us would say to every port of a running cluster, over TCP and, for
// gossip, UDP. Nothing changes and nobody dies.
func TestGarbageAtEachPort(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	before := c.Submit(request(t, object{"name": "a", "shell": "true"}))
	c.WaitRequest(before.ID, "done")
	members := fmt.Sprint(memberNames(t, c))

	messages := map[string][]byte{
		"nothing":                {},
		"zeros":                  make([]byte, 64<<10),
		"ones":                   bytes.Repeat([]byte{0xff}, 64<<10),
		"noise":                  noise(64 << 10),
		"a large array":          {0x02, 0xdd, 0xff, 0xff, 0xff, 0xff},
		"raft's first byte":      append([]byte{0x01}, noise(4<<10)...),
		"rpc's first byte":       append([]byte{0x02}, noise(4<<10)...),
		"rpc and a huge frame":   append([]byte{0x02, 0xff, 0xff, 0xff, 0xff}, noise(4<<10)...),
		"rpc and nested arrays":  append([]byte{0x02, 0x00, 0x00, 0x40, 0x00}, bytes.Repeat([]byte{0x91}, 16<<10)...),
		"TLS":                    append([]byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03}, noise(512)...),
		"HTTP":                   []byte("GET /v1/status HTTP/1.0\r\n\r\n"),
		"HTTP with a bad length": []byte("POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}"),
		"HTTP/2's preface":       []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		"a long header":          append([]byte("GET / HTTP/1.1\r\nX: "), bytes.Repeat([]byte{'a'}, 4<<20)...),
		"a word":                 []byte("hello\n"),
	}
	for _, n := range c.Coordinators() {
		a := n.Addresses()
		for name, message := range messages {
			for _, addr := range []string{a.HTTP, a.RPC, a.Gossip} {
				shout(t, "tcp", addr, name, message)
			}
			shout(t, "udp", a.Gossip, name, message[:min(len(message), 1200)])
		}
	}
	shout(t, "tcp", c.Node("w1").Addresses().Gossip, "noise", noise(4<<10))
	shout(t, "udp", c.Node("w1").Addresses().Gossip, "noise", noise(1200))

	after := c.Submit(request(t, object{"name": "a", "shell": "true"}))
	c.WaitRequest(after.ID, "done")
	if got := fmt.Sprint(memberNames(t, c)); got != members {
		t.Errorf("the members are %s, were %s", got, members)
	}
	if n := len(c.Requests()); n != 2 {
		t.Errorf("there are %d requests", n)
	}
	c.CheckHashes()
}

// shout sends a message to a port, half-closes, and reads until the other side hangs up.
func shout(t *testing.T, network, addr, name string, message []byte) {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Errorf("%s to %s: %v", name, addr, err)
		return
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(garbageBound)); err != nil {
		t.Error(err)
	}
	if _, err := conn.Write(message); err != nil || network == "udp" {
		return // hung up on in the middle: as good as any
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return
	}
	_, err = io.Copy(io.Discard, conn)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Errorf("%s to %s: still not hung up on after %v", name, addr, garbageBound)
	}
}

// memberNames are the coordinators that the leader counts as members.
func memberNames(t *testing.T, c *harness.Cluster) []string {
	t.Helper()
	s, err := c.Leader().Status()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range s.Coordinators {
		names = append(names, m.Name)
	}
	return names
}

// TestTwoClustersDoNotMix: a member of one cluster that is given addresses of another, of the same name or not, stays
// what it is, and neither cluster changes.
func TestTwoClustersDoNotMix(t *testing.T) {
	beside(t)
	one := harness.Start(t, harness.Options{Workers: 1})
	two := harness.Start(t, harness.Options{Coordinators: 1, Workers: 1})
	named := harness.Start(t, harness.Options{Coordinators: 1, Workers: -1, Coordinator: []string{"--cluster", "other"}})
	r := one.Submit(request(t, object{"name": "a", "shell": "true"}))
	one.WaitRequest(r.ID, "done")

	gossip := one.Leader().Addresses().Gossip
	two.Coordinators()[0].With(t, "--join", gossip)
	named.Coordinators()[0].With(t, "--join", gossip)
	two.WaitLeader()
	named.WaitLeader()
	s := two.Submit(request(t, object{"name": "b", "shell": "true"}))
	two.WaitRequest(s.ID, "done")

	if got := len(memberNames(t, one)); got != 3 {
		t.Errorf("the first cluster has %d members", got)
	}
	for _, c := range []*harness.Cluster{two, named} {
		if got := len(memberNames(t, c)); got != 1 {
			t.Errorf("another cluster has %d members", got)
		}
	}
	if got := one.Requests(); len(got) != 1 || got[0].ID != r.ID {
		t.Errorf("the first cluster has %+v", got)
	}
	if got := len(two.Requests()); got != 1 {
		t.Errorf("the second cluster has %d requests", got)
	}
	if got := one.WorkerList(); len(got) != 1 {
		t.Errorf("the first cluster's workers are %+v", got)
	}
	again := one.Submit(request(t, object{"name": "a", "shell": "true"}))
	one.WaitRequest(again.ID, "done")
}

// TestDataDirectories: a directory that is in use, or that belongs to another kind of node or another cluster, is
// refused with a word on why, and whoever owns it is not disturbed.
func TestDataDirectories(t *testing.T) {
	c := start(t, harness.Options{Coordinators: 1, Workers: 1})
	c1, w1 := c.Node("c1"), c.Node("w1")
	r := c.Submit(request(t, object{"name": "a", "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	coordinator := func(data string, more ...string) []string {
		return append([]string{"coordinator", "--name", "x", "--data", data, "--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0",
			"--gossip", "127.0.0.1:0", "--bootstrap-expect", "1"}, more...)
	}
	worker := func(data string) []string {
		return []string{"worker", "--name", "x", "--data", data, "--gossip", "127.0.0.1:0", "--join", c1.Addresses().Gossip}
	}
	refused := func(name string, args []string, says ...string) {
		t.Run(name, func(t *testing.T) {
			got := c.On(t).Run(harness.Command{Args: args, Bound: refusalBound})
			if got.Code <= 0 {
				t.Errorf("code %d", got.Code)
			}
			mentions(t, "stderr", got.Stderr, says...)
		})
	}
	refused("coordinator's in use", coordinator(c1.Data), c1.Data, "in use", fmt.Sprint(c1.PID()))
	refused("worker's in use", worker(w1.Data), w1.Data, "in use")
	if s, err := c1.Status(); err != nil || s.Leader == nil {
		t.Errorf("the owner was disturbed: %+v, %v", s, err)
	}
	w1.Kill()
	refused("worker's for a coordinator", coordinator(w1.Data), w1.Data, "worker")
	c1.Kill()
	refused("coordinator's for a worker", worker(c1.Data), c1.Data, "coordinator")
	refused("of another cluster", coordinator(c1.Data, "--cluster", "other"), c1.Data, "other")
	c1.Restart(t)
	w1.Restart(t)
	c.WaitLeader()
	if got := c.Requests(); len(got) != 1 || got[0].ID != r.ID {
		t.Errorf("requests %+v", got)
	}
	again := c.Submit(request(t, object{"name": "a", "shell": "true"}))
	c.WaitRequest(again.ID, "done")
}

// TestCopiedDataDirectory: a coordinator that is started in a copy of another's data directory ends, with where the other
// runs and what to do. The cluster is not disturbed.
func TestCopiedDataDirectory(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	original := c.Followers()[0]
	original.Kill() // so that the copy is whole
	data := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(data, os.DirFS(original.Data)); err != nil {
		t.Fatal(err)
	}
	original.Restart(t)
	well := func() {
		t.Helper()
		harness.Until(t, harness.BoundDefault, original.Name()+" to be healthy", func() error {
			if s, err := original.Status(); err != nil || s.Health != "healthy" {
				return fmt.Errorf("%+v, %v", s, err)
			}
			return nil
		})
	}
	well()
	got := c.Run(harness.Command{Bound: refusalBound, Args: []string{"coordinator", "--name", "copy", "--data", data, "--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0",
		"--gossip", "127.0.0.1:0", "--join", c.Leader().Addresses().Gossip}})
	if got.Code <= 0 {
		t.Errorf("the copy ended with code %d", got.Code)
	}
	mentions(t, "stderr", got.Stderr, data, original.Addresses().RPC, "is a copy of the other", "joins anew")
	r := c.Submit(request(t, object{"name": "a", "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	well()
	c.CheckHashes()
}

// TestNoQuorum: with two of three coordinators down nothing is accepted, reads that may be stale still answer, and all
// goes on when they return.
func TestNoQuorum(t *testing.T) {
	c := start(t, harness.Options{Workers: 1})
	gate := harness.NewGate(t)
	r := c.Submit(request(t, object{"name": "a", "shell": gate.Wait()}))
	c.WaitJobState(r.ID, "a", "running")
	down := c.Coordinators()[:2]
	last := c.Coordinators()[2]
	for _, n := range down {
		n.Kill()
	}
	harness.Until(t, harness.BoundDefault, "the last coordinator to notice", func() error {
		if a, err := last.Do("GET", "/v1/health", ""); err != nil || a.Status != 503 {
			return fmt.Errorf("%v, %v", a, err)
		}
		return nil
	})
	a, err := last.Do("POST", "/v1/requests", request(t, object{"name": "lost", "shell": "true"}))
	if err != nil || a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("a submit without quorum: %v %v, %v; want 503 with Retry-After", a, a.Header, err)
	}
	mentions(t, "the refusal", strings.ToLower(string(a.Body)), "leader")
	if a, err := last.Do("GET", "/v1/requests/"+r.ID+"?consistency=stale", ""); err != nil || a.Status != 200 {
		t.Errorf("a stale read without quorum: %v, %v", a, err)
	}
	res := c.Run(harness.Command{Args: []string{"submit", "--timeout", "1s", "-"}, Stdin: strings.NewReader("jobs: [{name: a, shell: x}]")})
	if res.Code != 3 {
		t.Errorf("submit without quorum: code %d, %s", res.Code, res.Stderr)
	}
	for _, n := range down {
		n.Restart(t)
	}
	gate.Open()
	c.WaitRequest(r.ID, "done")
	if j := c.JobNamed(r.ID, "a"); j.Attempt != 1 {
		t.Errorf("the job ended as attempt %d though its worker was never lost", j.Attempt)
	}
	for _, q := range c.Requests() {
		for _, j := range c.Jobs(q.ID) {
			if j.Name == "lost" {
				t.Errorf("a refused request is there: %+v", q)
			}
		}
	}
}
