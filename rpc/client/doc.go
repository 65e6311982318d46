// Package client is the Manager's and the worker's side of the RPC port. It follows the leader.
//
// Both begin with New. A Manager calls Submit, Wait, Request and so on; a worker keeps a Link:
//
//	Client ──► seek: asks all known coordinators at once who leads ──► peer: one connection to the leader
//	  │          parked at a follower until it names one                │
//	  └─ do: call, and call again where that is safe ───────────────────┘
//	Link ────► seek ─► Join, Beat, Pick ─► beats every TTL/5, reports ─► leader gone: seek again
//
// The leader is known by four ways, each enough: the addresses given, those that gossip discovers, those learned from
// any coordinator, and the hint in an answer NotLeader. Servers never forward calls.
//
// # What is tried again
//
// A call is tried again, until its context ends, when it has certainly not been carried out (no connection, NotLeader,
// NoLeader, Overloaded), or when carrying it out twice is the same as once: reads, OpenSession, CloseSession, Cancel,
// Drain, all that a worker says, and Submit, which always carries an idempotency key. Only RetryRequest is neither:
// its outcome may stay unknown, and then the error is wire.ErrUnknownOutcome.
package client
