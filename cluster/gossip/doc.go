// Package gossip spreads who is there: which coordinators and workers of one cluster live, where, and who says it leads.
//
// It is a thin layer over hashicorp/memberlist and a leaf that coordinators and workers share. Each node publishes one
// Meta, at most MetaBytesMax bytes; everyone keeps the newest Meta of everyone alive.
//
// Gossip only hints. Nothing that must be right may rest on it: leases are judged by beats, formation and membership ask
// the node itself over the RPC port, and a worker that follows a wrong leader is told so by whom it asks. A node that
// gossip has lost is not dead, and one it still shows may be.
//
// The cluster's name is memberlist's label: packets and streams of another name are dropped unread. Nodes of another
// cluster of the same name (another ClusterID) and nodes whose Meta does not decode are ignored.
//
// Trust: whoever holds the key can say anything about anyone, and without a key so can everyone who reaches the port.
// Without a key run it on loopback only. memberlist 0.6 does not bound what a compressed message expands to, so a
// stranger who can send to a keyless port can exhaust the memory; nothing is sent compressed from here.
//
// Goroutines: memberlist's own and two of ours, which join and publish. Stop ends them; a probe of memberlist that is under way
// ends by itself within its interval. memberlist calls the delegate with its lock held, so the delegate only copies and
// signals; it never calls memberlist.
package gossip
