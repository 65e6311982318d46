package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"golang.org/x/time/rate"
)

const (
	handshakeTimeout = 5 * time.Second
	refusalLogEvery  = 10 * time.Second
)

// A route is a server address that names the node meant: id@host:port. Raft's stream layer is told nothing but an address,
// and two nodes may have one address one after the other. Raft's configuration holds routes, too: it refuses two servers of
// one address, so a node that lost its data could not come back in the same place, nor two nodes change places.
const routeSep = "@"

func route(id raft.ServerID, address raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(string(id) + routeSep + string(address))
}

func splitRoute(r raft.ServerAddress) (id, address string) {
	id, address, ok := strings.Cut(string(r), routeSep)
	if !ok {
		return "", string(r)
	}
	return id, address
}

// streamLayer dials and accepts Raft's streams, each after a handshake that says whose they are. It implements
// raft.StreamLayer.
type streamLayer struct {
	*connListener
	dir  *dataDir
	name string
	log  hclog.Logger

	ctx     context.Context // ends dials
	cancel  context.CancelFunc
	dialed  rate.Sometimes
	refused rate.Sometimes
}

// newStreamLayer makes the layer of the node in dir, which others dial at advertise (host:port). Give its serve to the mux.
func newStreamLayer(dir *dataDir, name, advertise string, log hclog.Logger) *streamLayer {
	ctx, cancel := context.WithCancel(context.Background())
	l := &streamLayer{connListener: newConnListener(tcpName(advertise)), dir: dir, name: name, log: log, ctx: ctx, cancel: cancel}
	l.endConns = true
	l.dialed.Interval, l.refused.Interval = refusalLogEvery, refusalLogEvery
	return l
}

// tcpName is an address that may be a DNS name.
type tcpName string

func (tcpName) Network() string  { return "tcp" }
func (a tcpName) String() string { return string(a) }

// Close ends Accept and dials, and every stream that was accepted.
func (l *streamLayer) Close() error {
	l.cancel()
	return l.connListener.Close()
}

// Dial opens a stream along a route.
func (l *streamLayer) Dial(r raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	to, address := splitRoute(r)
	conn, err := dialTCP(l.ctx, timeout, address)
	if err != nil {
		return nil, err
	}
	if err := l.greet(conn, to, timeout); err != nil {
		_ = conn.Close()
		if errors.Is(err, errRefused) {
			l.dialed.Do(func() {
				l.log.Warn("a node does not take our Raft stream", "node", to, "address", address, "error", err)
			})
		}
		return nil, fmt.Errorf("raft stream to %s at %s: %w", to, address, err)
	}
	return conn, nil
}

func (l *streamLayer) greet(conn net.Conn, to string, timeout time.Duration) error {
	id := l.dir.identity()
	_ = conn.SetDeadline(time.Now().Add(timeout))
	if _, err := conn.Write([]byte{prefaceRaft}); err != nil {
		return err
	}
	h := hello{Cluster: id.Cluster, ClusterID: id.ClusterID, From: id.Node, FromName: l.name, To: to}
	if err := writeFrame(conn, h.encode()); err != nil {
		return err
	}
	answer, err := readFrame(conn)
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	_ = conn.SetDeadline(time.Time{})
	return decodeVerdict(answer)
}

// serve takes a stream that was accepted, after its preface byte, and holds it until Raft is done with it.
func (l *streamLayer) serve(ctx context.Context, conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	data, err := readFrame(conn)
	if err != nil {
		return
	}
	h, err := decodeHello(data)
	if err == nil {
		err = l.admit(h)
	}
	if err != nil {
		l.refused.Do(func() {
			l.log.Warn("refused a Raft stream", "from", conn.RemoteAddr(), "node", h.From, "name", h.FromName, "error", err)
		})
		_ = writeFrame(conn, encodeVerdict(err.Error()))
		return
	}
	if err := writeFrame(conn, encodeVerdict("")); err != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	l.connListener.serve(ctx, raftConn{conn})
}

// raftConn reports a stream that was cut as one that ended: Raft logs anything else as an error, and nobody needs to act.
type raftConn struct{ net.Conn }

func (c raftConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ETIMEDOUT) {
		err = io.EOF
	}
	return n, err
}

// admit judges a caller. One that is of a formed cluster and means this node makes it a member of that cluster.
func (l *streamLayer) admit(h hello) error {
	own := l.dir.identity()
	if err := h.judge(own); err != nil || own.ClusterID != "" {
		return err
	}
	if err := l.dir.adopt(h.ClusterID); err != nil {
		return err
	}
	l.log.Info("joined a cluster", "cluster", h.Cluster, "cluster_id", h.ClusterID, "by", h.From)
	return nil
}
