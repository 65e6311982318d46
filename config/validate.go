package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

var logLevels = []string{"trace", "debug", "info", "warn", "error", "off"}

// Validate returns every setting that is wrong, by its key, joined into one error.
func (c Coordinator) Validate() error {
	var v validation
	v.common(c.Data, c.Cluster, c.LogLevel)
	v.address("http", c.HTTP, c.Insecure)
	v.address("rpc", c.RPC, c.Insecure)
	v.gossip(c.Gossip, c.Coordinators, c.Insecure)
	v.peers("join", c.Join)
	v.peers("coordinators", c.Coordinators)
	v.atLeast("bootstrap_expect", int64(c.BootstrapExpect), 0)
	v.atLeast("max_body", int64(c.MaxBody), 1<<10)
	v.atLeast("queue_bytes", int64(c.QueueBytes), 1<<20)
	v.positive("queue_wait", c.QueueWait)
	v.positive("stop_timeout", c.StopTimeout)
	v.raft(c.Raft)
	v.positive("lease.ttl", c.Lease.TTL)
	v.positive("lease.reconnect_grace", c.Lease.ReconnectGrace)
	return errors.Join(v.errs...)
}

// Validate returns every setting that is wrong, by its key, joined into one error.
func (w Worker) Validate() error {
	var v validation
	v.common(w.Data, w.Cluster, w.LogLevel)
	v.gossip(w.Gossip, w.Coordinators, w.Insecure)
	v.peers("join", w.Join)
	v.peers("coordinators", w.Coordinators)
	if len(w.Join) == 0 && len(w.Coordinators) == 0 {
		v.fail("join", "a worker needs gossip addresses of any members here, or rpc addresses as coordinators")
	}
	if len(w.Queues) == 0 {
		v.fail("queues", "is empty: a worker serves at least one queue, such as default")
	}
	v.atLeast("slots", int64(w.Slots), 1)
	v.atLeast("log_bytes", w.LogBytes, 0)
	v.positive("kill_grace", w.KillGrace)
	if w.DrainTimeout < 0 {
		v.fail("drain_timeout", "is negative")
	}
	return errors.Join(v.errs...)
}

type validation struct{ errs []error }

func (v *validation) fail(key, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

func (v *validation) common(data, cluster, level string) {
	if data == "" {
		v.fail("data", "is empty: choose a directory that only this node uses")
	}
	if cluster == "" {
		v.fail("cluster", "is empty: members of a cluster share a name")
	}
	if !slices.Contains(logLevels, level) {
		v.fail("log_level", "is %q, but must be one of %s", level, strings.Join(logLevels, ", "))
	}
}

func (v *validation) raft(r Raft) {
	if !slices.Contains(profileNames(), r.Profile) {
		v.fail("raft.profile", "is %q, but must be one of %s", r.Profile, strings.Join(profileNames(), ", "))
	}
	if r.LogStore != "boltdb" && r.LogStore != "wal" {
		v.fail("raft.log_store", "is %q, but must be boltdb or wal", r.LogStore)
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"heartbeat", r.Heartbeat}, {"election", r.Election}, {"lease", r.Lease}, {"disk_stall_limit", r.DiskStallLimit}, {"transport_timeout", r.TransportWait}} {
		v.positive("raft."+d.key, d.value)
	}
	if r.Election < r.Heartbeat {
		v.fail("raft.election", "is %s, but must not be below raft.heartbeat (%s)", r.Election, r.Heartbeat)
	}
	if r.Lease > r.Heartbeat {
		v.fail("raft.lease", "is %s, but must not be above raft.heartbeat (%s): two coordinators would lead at once", r.Lease, r.Heartbeat)
	}
	v.atLeast("raft.entry_bytes", int64(r.EntryBytes), 1<<10)
	v.atLeast("raft.in_flight", int64(r.InFlight), 1)
	v.atLeast("raft.snapshot_bytes", r.SnapshotBytes, 1<<20)
	v.atLeast("raft.snapshots_retain", int64(r.SnapshotsRetain), 1)
}

func (v *validation) positive(key string, d time.Duration) {
	if d <= 0 {
		v.fail(key, "is %s, but must be more than nothing", d)
	}
}

func (v *validation) atLeast(key string, n, low int64) {
	if n < low {
		v.fail(key, "is %d, but must be at least %d", n, low)
	}
}

// address checks where a node listens. Addresses that other machines reach are refused unless someone has said that
// this is meant: whoever reaches the ports controls the cluster and what its workers run.
func (v *validation) address(key, addr string, insecure bool) {
	host, err := splitAddress(addr)
	if err != nil {
		v.fail(key, "%v", err)
		return
	}
	if !insecure && !loopback(host) {
		v.fail(key, "%s can be reached from other machines, and nothing protects it: whoever reaches it can run "+
			"commands on the workers; listen on 127.0.0.1, or, on a network you trust, set --insecure", addr)
	}
}

// gossip may be empty where a static list takes its place.
func (v *validation) gossip(addr string, coordinators []string, insecure bool) {
	if addr == "" && len(coordinators) > 0 {
		return
	}
	v.address("gossip", addr, insecure)
}

func (v *validation) peers(key string, addrs []string) {
	for _, a := range addrs {
		if host, err := splitAddress(a); err != nil {
			v.fail(key, "%v", err)
		} else if host == "" {
			v.fail(key, "%s names no host", a)
		}
	}
}

func splitAddress(addr string) (host string, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("%q is not host:port, such as 127.0.0.1:7071", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return "", fmt.Errorf("%q has no port from 0 to 65535", addr)
	}
	return host, nil
}

// loopback says whether only this machine reaches the host. A name is trusted to be what everyone calls loopback.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
