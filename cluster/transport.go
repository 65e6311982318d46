package cluster

import (
	"io"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// transportPool is how many idle streams to one node are kept: heartbeats, votes and a pipeline need one each.
const transportPool = 3

// transport is Raft's network transport with two changes.
//
// It has no fast path for heartbeats: they would be answered beside Raft's main loop and may change its term under its
// hands, so that two entries of one index and term can differ (hashicorp/raft#695).
//
// It dials a node where the address book says it is, along a route that names it. A vote is remembered by the candidate's
// address; with the id in it, it is the candidate's wherever that is.
type transport struct {
	*raft.NetworkTransport
	book *addressBook
}

// Transport is what a node needs of Raft's network. Pre-vote would be silently off, and the transport not closed, without
// the last two.
type Transport interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
	CloseStreams() // ends the connections that Raft has left behind
}

var _ Transport = (*transport)(nil)

func newTransport(layer raft.StreamLayer, book *addressBook, timeout time.Duration, log hclog.Logger) *transport {
	return &transport{book: book, NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Logger: log, Stream: layer, MaxPool: transportPool, Timeout: timeout,
	})}
}

// SetHeartbeatHandler does nothing, see transport.
func (t *transport) SetHeartbeatHandler(func(raft.RPC)) {}

func (t *transport) route(id raft.ServerID, target raft.ServerAddress) raft.ServerAddress {
	_, address := splitRoute(target)
	return route(id, t.book.address(id, raft.ServerAddress(address)))
}

// EncodePeer is what others are told as this node's address, and remember their vote by.
func (t *transport) EncodePeer(id raft.ServerID, address raft.ServerAddress) []byte {
	_, plain := splitRoute(address)
	return []byte(route(id, raft.ServerAddress(plain)))
}

// DecodePeer is the plain address.
func (t *transport) DecodePeer(b []byte) raft.ServerAddress {
	_, address := splitRoute(raft.ServerAddress(b))
	return raft.ServerAddress(address)
}

// The calls of raft.Transport, along a route.

func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	return t.NetworkTransport.AppendEntriesPipeline(id, t.route(id, target))
}

func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return t.NetworkTransport.AppendEntries(id, t.route(id, target), args, resp)
}

func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.NetworkTransport.RequestVote(id, t.route(id, target), args, resp)
}

func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.NetworkTransport.RequestPreVote(id, t.route(id, target), args, resp)
}

func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.NetworkTransport.InstallSnapshot(id, t.route(id, target), args, resp, data)
}

func (t *transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.NetworkTransport.TimeoutNow(id, t.route(id, target), args, resp)
}
