package cluster

import (
	"fmt"
	"net"
	"sync"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// Limits of the connections to each of the two ports. All together leave file descriptors for the stores, for gossip
// and for what this node dials itself.
const (
	connsMax         = 16384
	connsMin         = 32
	connsPeers       = 16 // of a port's places, kept for other coordinators
	filesReserved    = 256
	filesReservedDiv = 4 // not more than one part in so many is reserved
)

// connsAllowed is how many connections each port may have when the process may open so many files.
func connsAllowed(files uint64) int {
	files -= min(filesReserved, files/filesReservedDiv)
	return int(min(max(files/2, connsMin), connsMax))
}

// openFilesLimit is how many files this process may open.
func openFilesLimit() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // what systems give when they are asked for nothing
	}
	return limit.Cur
}

// places are the connections that a port may have. One address may take half of them: a bench or a proxy may hold a
// cluster's workers behind one.
type places struct {
	most int

	mu     sync.Mutex
	taken  int
	byHost map[string]int
}

func newPlaces(most int) *places { return &places{most: most, byHost: make(map[string]int)} }

// take says whether there is a place for a connection from host. leave gives it back.
func (p *places) take(host string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.most || p.byHost[host] >= p.perHost() {
		return false
	}
	p.taken++
	p.byHost[host]++
	return true
}

func (p *places) perHost() int { return max(p.most/2, 1) }

func (p *places) leave(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.byHost[host]--; p.byHost[host] <= 0 {
		delete(p.byHost, host)
	}
}

// crowded says whether only the places of other coordinators are left.
func (p *places) crowded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken > p.most-connsPeers
}

// boundedListener accepts as many connections as there are places. To one too many it says so as HTTP does, and hangs up.
type boundedListener struct {
	net.Listener
	places *places
	log    hclog.Logger
	full   rate.Sometimes
}

func newBoundedListener(ln net.Listener, p *places, log hclog.Logger) *boundedListener {
	return &boundedListener{Listener: ln, places: p, log: log, full: rate.Sometimes{First: 1, Interval: muxLogEvery}}
}

// Accept waits for the next connection that has a place.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host := hostOf(conn.RemoteAddr())
		if l.places.take(host) {
			return &placedConn{Conn: conn, leave: sync.OnceFunc(func() { l.places.leave(host) })}, nil
		}
		l.full.Do(func() {
			l.log.Warn("too many connections on the http port; more are allowed when the process may open more files", "from", host, "limit", l.places.most)
		})
		_, _ = fmt.Fprint(conn, tooMany) // it fits the empty buffer of a new connection
		_ = conn.Close()
	}
}

// tooMany is rpc/rest's problem "overloaded", for those who have no place.
const tooMany = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: close\r\nContent-Type: application/problem+json\r\n\r\n" +
	`{"type":"urn:muster:problem:overloaded","title":"Too Many Requests","status":429,"code":"overloaded","detail":"this coordinator has as many connections as it may","retry_after":"1s"}` + "\n"

// placedConn gives its place back when it is closed.
type placedConn struct {
	net.Conn
	leave func()
}

func (c *placedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
