//go:build linux

package hard

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/testing/harness"
)

// joinHTTP registers a worker that speaks HTTP and returns its id.
func joinHTTP(t *testing.T, c *harness.Cluster, name, queue string, slots int) string {
	t.Helper()
	a := c.Call("POST", "/v1/workers", harness.Spec(t, object{"name": name, "queues": []string{queue}, "slots": slots}))
	var joined struct{ ID string }
	if err := a.Decode(&joined); err != nil || a.Status/100 != 2 {
		t.Fatalf("join: %v", a)
	}
	return joined.ID
}

// picked is a job that a worker was given over HTTP.
type picked struct {
	ID      string
	Attempt int
}

func pickHTTP(t *testing.T, c *harness.Cluster, doc object) []picked {
	t.Helper()
	a := c.Call("POST", "/v1/board/pick", harness.Spec(t, doc))
	var page struct{ Jobs []picked }
	if err := a.Decode(&page); err != nil || a.Status != http.StatusOK {
		t.Fatalf("pick: %v", a)
	}
	return page.Jobs
}

// raw sends an HTTP call on a connection of its own and leaves the answer unread.
func raw(t *testing.T, n *harness.Node, method, path, body string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", n.Addresses().HTTP)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// httpGrantLost: the answer to a pick over HTTP is lost once the jobs are granted. A worker that says it holds nothing is
// handed the same attempt again, without another one being spent.
func httpGrantLost(t *testing.T, c *harness.Cluster) {
	id := joinHTTP(t, c, "http", "http", 2)
	r := c.Submit(named(t, "http", object{"name": "a", "handler": "x", "queue": "http"}))
	conn := raw(t, c.Leader(), "POST", "/v1/board/pick", harness.Spec(t, object{"worker": id, "max": 1}))
	c.WaitJobState(r.ID, "a", "picked")
	_ = conn.(*net.TCPConn).SetLinger(0) // a reset: the answer is gone
	_ = conn.Close()
	var again []picked
	harness.Until(t, harness.BoundDefault, "the job to be handed out again", func() error {
		again = pickHTTP(t, c, object{"worker": id, "max": 1, "running": []object{}})
		if len(again) != 1 {
			return fmt.Errorf("got %+v", again)
		}
		return nil
	})
	if again[0].Attempt != 1 {
		t.Errorf("it was handed out as attempt %d", again[0].Attempt)
	}
	report := harness.Spec(t, object{"worker": id, "attempt": again[0].Attempt, "state": "DONE"})
	if a := c.Call("POST", "/v1/jobs/"+again[0].ID+"/state", report); a.Status != http.StatusOK {
		t.Errorf("report: %v", a)
	}
	c.WaitRequest(r.ID, "done")
	checkEnds(t, c, c.JobNamed(r.ID, "a"))
}

// TestCancelRacesDone: a request is cancelled at the moment its job is reported done. One of the two wins, both callers
// are told which, and the state agrees with what they were told.
func TestCancelRacesDone(t *testing.T) {
	const races = 100
	c := start(t, harness.Options{Workers: -1})
	id := joinHTTP(t, c, "racer", "race", races)
	var requests []string
	for i := range races {
		requests = append(requests, c.Submit(named(t, fmt.Sprint("race-", i), object{"name": "a", "handler": "x", "queue": "race"},
			object{"name": "b", "needs": []string{"a"}, "handler": "x", "queue": "nobody"})).ID)
	}
	held := map[string]picked{}
	harness.Until(t, harness.BoundDefault, "all jobs to be picked", func() error {
		for _, j := range pickHTTP(t, c, object{"worker": id, "max": races - len(held)}) {
			held[c.Job(j.ID).Request] = j
		}
		if len(held) < races {
			return fmt.Errorf("%d are", len(held))
		}
		return nil
	})
	nodes := c.Coordinators()
	wins := map[string]int{}
	for i, request := range requests {
		j := held[request]
		var done, cancelled harness.Answer
		var err1, err2 error
		var both sync.WaitGroup
		both.Go(func() {
			done, err1 = nodes[i%3].Do("POST", "/v1/jobs/"+j.ID+"/state", fmt.Sprintf(`{"worker": %q, "attempt": %d, "state": "DONE"}`, id, j.Attempt))
		})
		both.Go(func() { cancelled, err2 = nodes[(i/3)%3].Do("POST", "/v1/requests/"+request+"/cancel", "") })
		both.Wait()
		if err1 != nil || err2 != nil || cancelled.Status/100 != 2 {
			t.Fatalf("DONE: %v, %v; cancel: %v, %v", done, err1, cancelled, err2)
		}
		a, b := c.JobNamed(request, "a"), c.JobNamed(request, "b")
		want := map[int]string{http.StatusOK: "done", http.StatusConflict: "cancelled"}[done.Status]
		if a.State != want || b.State != "cancelled" || c.Request(request).State != "cancelled" {
			t.Errorf("DONE was answered %v; a is %s, b is %s, the request %s", done, a.State, b.State, c.Request(request).State)
		}
		wins[a.State]++
		checkEnds(t, c, a)
		checkEnds(t, c, b)
	}
	t.Logf("of %d races: %v", races, wins)
}

// TestWatcherThatNeverReads: somebody opens streams of events and never reads them. The coordinator cuts them off
// without growing.
func TestWatcherThatNeverReads(t *testing.T) {
	const deaf = 20
	c := start(t, harness.Options{Slots: 16})
	node := c.Followers()[0]
	var conns []*net.TCPConn
	for range deaf {
		d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		}}
		conn, err := d.Dial("tcp", node.Addresses().HTTP)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprint(conn, "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn.(*net.TCPConn))
	}
	before := memory(t, node)
	l := begin(t, c, 4, named(t, "load", object{"name": "a", "shell": "true", "payload": strings.Repeat("x", 4<<10)},
		object{"name": "b", "needs": []string{"a"}, "shell": "true"}))
	harness.Until(t, 2*harness.BoundDefault, "the deaf watchers to be cut off", func() error {
		open := 0
		for _, conn := range conns {
			if served(t, node, conn) {
				open++
			}
		}
		if open > 0 {
			return fmt.Errorf("%d of %d are still served, after %d requests", open, deaf, l.count())
		}
		return nil
	})
	ids := l.end()
	after := memory(t, node)
	t.Logf("cut off after %d requests; memory %d MiB, then %d MiB", len(ids), before>>20, after>>20)
	if after > before+256<<20 {
		t.Errorf("the coordinator grew from %d to %d MiB", before>>20, after>>20)
	}
	for _, id := range ids {
		c.WaitRequest(id, "done")
	}
	c.CheckHashes()
}

// memory is what a process keeps resident.
func memory(t *testing.T, n *harness.Node) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	if err != nil {
		t.Skipf("this system does not tell a process's memory: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			v, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// served says whether the process at the other end still has its end of a connection: it does not when the socket there
// belongs to nobody (inode 0) or is gone.
func served(t *testing.T, n *harness.Node, conn *net.TCPConn) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", n.PID()))
	if err != nil {
		t.Skipf("this system does not list connections: %v", err)
	}
	local, remote := hexAddress(conn.RemoteAddr()), hexAddress(conn.LocalAddr())
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 9 && f[1] == local && f[2] == remote {
			return f[9] != "0"
		}
	}
	return false
}

// hexAddress writes an address as the kernel lists it on a little-endian machine.
func hexAddress(a net.Addr) string {
	tcp := a.(*net.TCPAddr)
	ip := tcp.IP.To4()
	return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], tcp.Port)
}

// silentConn can be made deaf and dumb: the kernel drops what comes, not even acknowledging it, what is written goes
// nowhere, and closing it tells nobody. To the other end the host has vanished.
type silentConn struct {
	net.Conn
	silent atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (c *silentConn) Write(b []byte) (int, error) {
	if c.silent.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *silentConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	if c.silent.Load() {
		return c.Conn.SetDeadline(time.Unix(1, 0)) // whoever reads from it is let go; the socket stays
	}
	return c.Conn.Close()
}

// silence attaches a filter that drops everything to the socket.
func (c *silentConn) silence() error {
	c.silent.Store(true)
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	filter := []syscall.SockFilter{{Code: syscall.BPF_RET | syscall.BPF_K}} // of each packet keep 0 bytes
	program := syscall.SockFprog{Len: 1, Filter: &filter[0]}
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall6(syscall.SYS_SETSOCKOPT, fd, syscall.SOL_SOCKET, syscall.SO_ATTACH_FILTER,
			uintptr(unsafe.Pointer(&program)), unsafe.Sizeof(program), 0)
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return err
}

// TestHalfOpen: the connections of a worker and of a Manager go dead without a word in either direction. Both notice by
// the silence and come back on new ones, the worker with the job it has, as the same attempt; and the leader drops what
// is left of the old ones.
func TestHalfOpen(t *testing.T) {
	c := start(t, harness.Options{Workers: -1})
	var mu sync.Mutex
	var conns []*silentConn
	cl := client.New(client.Config{Coordinators: rpcAddresses(c), Dial: func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, &silentConn{Conn: conn, closed: make(chan struct{})})
		return conns[len(conns)-1], nil
	}})
	t.Cleanup(cl.Close)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	p := joinPuppet(ctx, &running, cl, "cut off", "half", 1)
	if _, err := cl.Submit(ctx, client.Request{Name: "half", Jobs: []client.Job{{Name: "a", Handler: "hold", Queue: "half"}}}); err != nil {
		t.Fatal(err)
	}
	all(t, []*puppet{p}, "the worker to hold the job", func(p *puppet) bool { return len(p.Held()) == 1 })
	joins := p.joins.Load()

	mu.Lock()
	var dead []*silentConn
	for _, conn := range conns {
		select {
		case <-conn.closed:
			continue
		default:
		}
		if err := conn.silence(); err != nil {
			t.Skipf("this machine does not let the test silence a socket: %v", err)
		}
		dead = append(dead, conn)
	}
	mu.Unlock()
	defer func() {
		for _, conn := range dead {
			_ = conn.Conn.Close()
		}
	}()
	if len(dead) < 2 {
		t.Fatalf("%d connections are open, want the worker's and the Manager's", len(dead))
	}
	all(t, []*puppet{p}, "the worker to come back", func(p *puppet) bool { return p.joins.Load() > joins })
	if _, err := cl.Submit(ctx, client.Request{Name: "after", Jobs: []client.Job{{Name: "a", Handler: "hold", Queue: "nobody"}}}); err != nil {
		t.Errorf("submit: %v", err)
	}
	leader := c.Leader()
	harness.Until(t, harness.BoundDefault, "the leader to drop the dead connections", func() error {
		for _, conn := range dead {
			if served(t, leader, conn.Conn.(*net.TCPConn)) {
				return fmt.Errorf("it still has the one from %s", conn.LocalAddr())
			}
		}
		return nil
	})
	if held := p.Held(); len(held) != 1 || held[0].Attempt != 1 || p.incarnation() != 1 || p.stops.Load() != 0 {
		t.Errorf("the worker holds %v as incarnation %d, was told to stop %d jobs", held, p.incarnation(), p.stops.Load())
	}
	if n := lostLines(leader.Log()); n != 0 {
		t.Errorf("the leader took %d workers for lost", n)
	}
}

// lostLines counts the workers that a log tells were taken for lost.
func lostLines(text string) int { return strings.Count(text, "worker lost: ") }
