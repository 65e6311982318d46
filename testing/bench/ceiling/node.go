package ceiling

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"go.etcd.io/bbolt"
)

// Log stores, as muster names them.
const (
	Bolt = "boltdb"
	WAL  = "wal"
)

// Settings are those of muster (cluster/raftnode.go, cluster/stores.go).
const (
	commitTimeout    = 25 * time.Millisecond
	maxAppendEntries = 32
	logCacheEntries  = 128
	mmapBytes        = 1 << 30
	entryBytes       = 256 << 10 // of an entry, at most
	inFlight         = 2         // entries
)

// node is a Raft node over TCP, without snapshots.
type node struct {
	raft      *raft.Raft
	transport *raft.NetworkTransport
	stores    []func() error
}

// openNode starts a node that listens at addr and has its log in dir.
func openNode(id, addr, dir, logStore string, fsm raft.FSM) (_ *node, err error) {
	n := &node{}
	defer func() {
		if err != nil {
			_ = n.close()
		}
	}()
	log, err := n.openLog(filepath.Join(dir, id), logStore)
	if err != nil {
		return nil, err
	}
	stable, err := openBolt(filepath.Join(dir, id, "stable.db"))
	if err != nil {
		return nil, err
	}
	n.stores = append(n.stores, stable.Close)
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	quiet := hclog.NewNullLogger() // the end of a transport is an error to it
	if n.transport, err = raft.NewTCPTransportWithLogger(addr, tcp, 3, 10*time.Second, quiet); err != nil {
		return nil, fmt.Errorf("listen for raft: %w", err)
	}
	cache, err := raft.NewLogCache(logCacheEntries, log)
	if err != nil {
		return nil, err
	}
	c := raft.DefaultConfig()
	c.LocalID, c.Logger = raft.ServerID(id), quiet
	c.CommitTimeout, c.MaxAppendEntries, c.BatchApplyCh = commitTimeout, maxAppendEntries, true
	c.SnapshotInterval, c.SnapshotThreshold = 24*time.Hour, 1<<62
	c.NoLegacyTelemetry = true
	n.raft, err = raft.NewRaft(c, fsm, cache, stable, raft.NewDiscardSnapshotStore(), n.transport)
	return n, err
}

func (n *node) openLog(dir, logStore string) (raft.LogStore, error) {
	if err := os.MkdirAll(filepath.Join(dir, "wal"), 0o700); err != nil {
		return nil, err
	}
	if logStore == WAL {
		w, err := wal.Open(filepath.Join(dir, "wal"))
		if err != nil {
			return nil, fmt.Errorf("open the log: %w", err)
		}
		n.stores = append(n.stores, w.Close)
		return w, nil
	}
	b, err := openBolt(filepath.Join(dir, "log.db"))
	if err != nil {
		return nil, err
	}
	n.stores = append(n.stores, b.Close)
	return b, nil
}

func openBolt(path string) (*raftboltdb.BoltStore, error) {
	b, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mmapBytes,
	}})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return b, nil
}

func (n *node) close() error {
	var errs []error
	if n.raft != nil {
		errs = append(errs, n.raft.Shutdown().Error())
	}
	if n.transport != nil {
		errs = append(errs, n.transport.Close())
	}
	for _, f := range n.stores {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// servers are n1, n2 … at the addresses.
func servers(addrs []string) raft.Configuration {
	var c raft.Configuration
	for i, a := range addrs {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(nodeID(i)), Address: raft.ServerAddress(a)})
	}
	return c
}

func nodeID(i int) string { return fmt.Sprint("n", i+1) }
