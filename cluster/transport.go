package cluster

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// transportPool is how many idle streams to one node are kept: heartbeats, votes and a pipeline need one each.
const transportPool = 3

const (
	// awayPatience is how long entries wait for a node that cannot be dialled, before Raft is told: its own longest pause.
	awayPatience = 10 * time.Second
	// awayRetry is the pause before such a node is dialled again.
	awayRetry = 50 * time.Millisecond
)

// transport is Raft's network transport with three changes.
//
// It has no fast path for heartbeats: they would be answered beside Raft's main loop and may change its term under its
// hands, so that two entries of one index and term can differ (hashicorp/raft#695).
//
// It dials a node where the address book says it is, along a route that names it. A vote is remembered by the candidate's
// address; with the id in it, it is the candidate's wherever that is.
//
// It dials a node that is away at an even pace. Raft doubles its pause with each failure, up to 10 s, and would leave a node
// that is back without entries for as long.
type transport struct {
	*raft.NetworkTransport
	book   *addressBook
	ending chan struct{} // closed by EndWaits
	once   sync.Once
}

// Transport is what a node needs of Raft's network. Pre-vote would be silently off, and the transport not closed, without
// the last two.
type Transport interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
	EndWaits()     // lets calls end that wait for a node: Raft's end waits for them
	CloseStreams() // ends the connections that Raft has left behind
}

var _ Transport = (*transport)(nil)

func newTransport(layer raft.StreamLayer, book *addressBook, timeout time.Duration, log hclog.Logger) *transport {
	return &transport{book: book, ending: make(chan struct{}), NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
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
	call := func() error { return t.NetworkTransport.AppendEntries(id, t.route(id, target), args, resp) }
	if args.PrevLogEntry == 0 && len(args.Entries) == 0 { // a heartbeat: Raft wants to know
		return call()
	}
	return t.untilDialled(call)
}

// untilDialled repeats a call of which nothing was sent, because the node could not be dialled.
func (t *transport) untilDialled(call func() error) error {
	for began := time.Now(); ; {
		err := call()
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" || time.Since(began) > awayPatience {
			return err
		}
		select {
		case <-time.After(awayRetry):
		case <-t.ending:
			return err
		}
	}
}

// EndWaits implements Transport.
func (t *transport) EndWaits() { t.once.Do(func() { close(t.ending) }) }

func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.NetworkTransport.RequestVote(id, t.route(id, target), args, resp)
}

func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.NetworkTransport.RequestPreVote(id, t.route(id, target), args, resp)
}

func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.untilDialled(func() error { return t.NetworkTransport.InstallSnapshot(id, t.route(id, target), args, resp, data) })
}

func (t *transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.NetworkTransport.TimeoutNow(id, t.route(id, target), args, resp)
}
