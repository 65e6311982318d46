// Package config holds the settings of a coordinator and of a worker as plain structs with defaults.
//
// It imports nothing of ours and starts nothing. A Source gathers values: from the defaults, then a YAML file, then the
// environment, then flags; the later one wins. Every setting has one key, such as raft.log_store, from which its other
// names follow: MUSTER_COORDINATOR_RAFT_LOG_STORE in the environment, --raft-log-store as a flag. Validate names the
// setting that is wrong.
package config

import "time"

// Coordinator is one coordinator's settings.
type Coordinator struct {
	Name            string        `yaml:"name"`             // for people; default: the host's name
	Data            string        `yaml:"data"`             // data directory; its identity lives there
	HTTP            string        `yaml:"http"`             // host:port, port 0 = any free one
	RPC             string        `yaml:"rpc"`              // RPC and Raft
	Gossip          string        `yaml:"gossip"`           // TCP and UDP
	Advertise       string        `yaml:"advertise"`        // host that others dial; default: the host of each address above
	Cluster         string        `yaml:"cluster"`          // cluster name; gossip and RPC of another name are refused
	BootstrapExpect int           `yaml:"bootstrap_expect"` // coordinators that form a new cluster; 0: only join one
	Join            []string      `yaml:"join"`             // gossip addresses of any members
	Coordinators    []string      `yaml:"coordinators"`     // rpc addresses, instead of gossip
	LogLevel        string        `yaml:"log_level"`
	LogJSON         bool          `yaml:"log_json"`
	Raft            Raft          `yaml:"raft"`
	Lease           Lease         `yaml:"lease"`
	MaxBody         int           `yaml:"max_body"`     // bytes of a submitted spec
	QueueBytes      int           `yaml:"queue_bytes"`  // proposals waiting to be committed; above it: overloaded
	QueueWait       time.Duration `yaml:"queue_wait"`   // a submit that waits longer to be committed is refused as overloaded
	StopTimeout     time.Duration `yaml:"stop_timeout"` // for a clean stop, leadership transfer included
	Insecure        bool          `yaml:"insecure"`     // allow addresses that other machines reach, without any protection
}

// Raft is how Raft stores and elects.
type Raft struct {
	Profile         string        `yaml:"profile"`           // lan | wan: defaults of heartbeat, election, lease and transport_timeout
	LogStore        string        `yaml:"log_store"`         // boltdb | wal
	Heartbeat       time.Duration `yaml:"heartbeat"`         // without word from the leader before an election
	Election        time.Duration `yaml:"election"`          // of a candidate before it tries again
	Lease           time.Duration `yaml:"lease"`             // a leader without a majority steps down after
	EntryBytes      int           `yaml:"entry_bytes"`       // target size of a log entry
	InFlight        int           `yaml:"in_flight"`         // entries proposed and not yet applied
	SnapshotBytes   int64         `yaml:"snapshot_bytes"`    // of log before a snapshot is taken
	TrailingLogs    uint64        `yaml:"trailing_logs"`     // entries kept behind a snapshot
	DiskStallLimit  time.Duration `yaml:"disk_stall_limit"`  // a log write hanging for longer ends the process
	TransportWait   time.Duration `yaml:"transport_timeout"` // of one Raft call
	SnapshotsRetain int           `yaml:"snapshots_retain"`
}

// Lease is how workers are judged.
type Lease struct {
	TTL            time.Duration `yaml:"ttl"`             // without a beat before a worker is lost; it beats every TTL/5
	ReconnectGrace time.Duration `yaml:"reconnect_grace"` // after its connection dropped
}

// DefaultCoordinator has every default but Data, which a person must choose.
func DefaultCoordinator() Coordinator {
	c := Coordinator{
		HTTP: "127.0.0.1:7070", RPC: "127.0.0.1:7071", Gossip: "127.0.0.1:7072",
		Cluster: "muster", LogLevel: "info",
		Raft: Raft{
			Profile: ProfileLAN, LogStore: "boltdb", EntryBytes: 256 << 10, InFlight: 2, SnapshotBytes: 256 << 20,
			TrailingLogs: 2048, DiskStallLimit: 5 * time.Second, SnapshotsRetain: 2,
		},
		Lease:   Lease{TTL: 10 * time.Second, ReconnectGrace: 2 * time.Second},
		MaxBody: 256 << 20, QueueBytes: 256 << 20, QueueWait: 2 * time.Second, StopTimeout: 10 * time.Second,
	}
	c.Raft.adopt(ProfileLAN)
	return c
}

// Worker is one worker's settings.
type Worker struct {
	Name         string            `yaml:"name"`
	Data         string            `yaml:"data"`   // identity, inputs, results and logs of its jobs
	Gossip       string            `yaml:"gossip"` // host:port, port 0 = any free one
	Advertise    string            `yaml:"advertise"`
	Cluster      string            `yaml:"cluster"`
	Join         []string          `yaml:"join"`         // gossip addresses of any members
	Coordinators []string          `yaml:"coordinators"` // rpc addresses, instead of gossip
	Queues       []string          `yaml:"queues"`
	Labels       map[string]string `yaml:"labels"`
	Slots        int               `yaml:"slots"` // default: the number of processors
	DrainTimeout time.Duration     `yaml:"drain_timeout"`
	KillGrace    time.Duration     `yaml:"kill_grace"` // between SIGTERM and SIGKILL
	LogLevel     string            `yaml:"log_level"`
	LogJSON      bool              `yaml:"log_json"`
	LogBytes     int64             `yaml:"log_bytes"` // of output kept for each attempt
	Insecure     bool              `yaml:"insecure"`  // allow addresses that other machines reach, without any protection
}

// DefaultWorker has every default but Data and Slots.
func DefaultWorker() Worker {
	return Worker{
		Gossip: "127.0.0.1:0", Cluster: "muster", Queues: []string{"default"},
		DrainTimeout: 30 * time.Second, KillGrace: 5 * time.Second, LogLevel: "info", LogBytes: 16 << 20,
	}
}
