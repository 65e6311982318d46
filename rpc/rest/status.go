package rest

import "time"

// Health words of [Status] and [Health].
const (
	Healthy   = "healthy"
	Unhealthy = "unhealthy"
)

// Status describes the cluster as the coordinator that was asked sees it: GET /v1/status. Node, NodeName, Version,
// Raft, Started and DiskFree are of that coordinator; the rest is the leader's word when Fresh, else its own last knowledge.
type Status struct {
	Cluster      string        `json:"cluster"`
	ClusterID    string        `json:"cluster_id,omitempty"` // made when it was formed
	Node         string        `json:"node"`                 // id of the coordinator that answered
	NodeName     string        `json:"node_name"`            // its name
	Version      string        `json:"version"`
	Leader       *Leader       `json:"leader"` // null while none is known
	Raft         RaftStatus    `json:"raft"`
	Coordinators []Coordinator `json:"coordinators"`
	Workers      []Worker      `json:"workers"`
	Jobs         Counts        `json:"jobs"`              // over all jobs kept
	Health       string        `json:"health"`            // healthy or unhealthy
	Tolerates    int           `json:"tolerates"`         // how many more coordinators may fail
	Problem      string        `json:"problem,omitempty"` // what is wrong, for people
	Fresh        bool          `json:"fresh"`             // read through the leader; false: may be old
	Started      time.Time     `json:"started,omitzero"`
	QueueBytes   int64         `json:"queue_bytes"`     // on the leader: waiting to be committed
	DiskFree     uint64        `json:"disk_free_bytes"` // of the data directory
}

// Leader names the leading coordinator.
type Leader struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"` // RPC and Raft
	HTTP    string `json:"http"`
	Term    uint64 `json:"term"`
}

// RaftStatus is one coordinator's place in the log.
type RaftStatus struct {
	State       string   `json:"state"` // follower, candidate, leader or shutdown
	Term        uint64   `json:"term"`
	Applied     uint64   `json:"applied"`
	Committed   uint64   `json:"committed"`
	Last        uint64   `json:"last"`                  // index of the last entry in its log
	Hash        string   `json:"hash"`                  // of the state at HashIndex, in hexadecimal: equal on every coordinator
	HashIndex   uint64   `json:"hash_index"`            //
	LastContact Duration `json:"last_contact,omitzero"` // since the leader was heard; absent: is the leader, or never
}

// Coordinator is one member of the Raft configuration.
type Coordinator struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	RPC         string   `json:"rpc"`
	HTTP        string   `json:"http"`
	Voter       bool     `json:"voter"`
	Leader      bool     `json:"leader"`
	Alive       bool     `json:"alive"`
	LastContact Duration `json:"last_contact,omitzero"` // since it answered; absent: never, or it is the one asked
	Applied     uint64   `json:"applied,omitempty"`     // absent when not known
}

// Counts is a number of jobs for each state.
type Counts struct {
	Waiting   uint64 `json:"waiting"`
	Ready     uint64 `json:"ready"`
	Delayed   uint64 `json:"delayed"`
	Picked    uint64 `json:"picked"`
	Running   uint64 `json:"running"`
	Done      uint64 `json:"done"`
	Failed    uint64 `json:"failed"`
	Cancelled uint64 `json:"cancelled"`
}

// Ended is the number of jobs in a terminal state.
func (c Counts) Ended() uint64 { return c.Done + c.Failed + c.Cancelled }

// Total is the number of jobs.
func (c Counts) Total() uint64 {
	return c.Waiting + c.Ready + c.Delayed + c.Picked + c.Running + c.Ended()
}

// Health answers GET /v1/health: with 200 when a leader is known and this node is caught up, else with 503.
type Health struct {
	Status  string `json:"status"` // healthy or unhealthy
	Node    string `json:"node"`
	Leader  string `json:"leader,omitempty"` // its id
	Problem string `json:"problem,omitempty"`
}

// RaftServers is the Raft configuration: GET /v1/operator/raft.
type RaftServers struct {
	Servers []Coordinator `json:"servers"`
}

// Transfer asks for another leader: POST /v1/operator/raft/transfer.
type Transfer struct {
	To string `json:"to,omitempty"` // id or name; empty: any other voter
}

// SnapshotRestored answers PUT /v1/operator/snapshot: the state of that snapshot is in place.
type SnapshotRestored struct {
	Cluster   string    `json:"cluster"`    // in which it was saved
	ClusterID string    `json:"cluster_id"` // likewise
	Saved     time.Time `json:"saved"`
	Index     uint64    `json:"index"` // of the last log entry in it, in the log of that cluster
	Sessions  int       `json:"sessions"`
	Requests  int       `json:"requests"`
	Returned  uint32    `json:"returned"` // jobs that workers held: ready again
}
