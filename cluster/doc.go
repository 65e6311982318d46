// Package cluster is one coordinator: a Raft node with its stores, the state machine, gossip, and the loops that only
// a leader runs.
//
//	proposals ─► Tasker ─► committer ─► Raft ─► applier (fsm.Machine) ─► ring of events ─► hub ─► workers' links
//	reads     ─► Tasker ─► readRounds (still leading?) ─► fsm.View          └─► Watchers (SSE, wait)
//	beats     ─► Tasker ─► leases ─► judgeWorkers ─► ReassignWorker
//
// What it is not: a server. It knows no wire format; rpc/server and rpc/api serve its ports through the Tasker, and the
// command line puts them together.
//
// # Who owns the goroutines
//
// Coordinator.Run owns the loops of a node. A leadership owns those of a leader: establish starts them once everything
// committed before is applied, revoke ends them, each step with its mirror. The mux owns every connection.
//
// # What it relies on
//
// Invariant: a proposal is answered exactly once, and only what Raft has committed is acknowledged. An outcome that
// cannot be known is said to be unknown.
//
// Invariant: a leader's own decisions (ReassignWorker, Tick) carry its term, and Apply refuses them in another.
//
// Invariant: events and grants are hints, the state is the truth. Whoever missed some reads the state again; a worker's
// beat repairs every lost push.
//
// The repairs that hashicorp/raft needs are in transport.go (heartbeats through the main loop), diskguard.go and
// logstore.go (a hanging or failing disk ends the process; entries carry a checksum), preflight.go (a stale log after a
// snapshot) and raftnode.go.
package cluster
