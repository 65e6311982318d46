package sim

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// transport is Raft's network of one process. It implements cluster.Transport.
type transport struct {
	name    string // of the host
	id      raft.ServerID
	address raft.ServerAddress
	timeout time.Duration
	net     *network
	find    func(name string) *transport // who runs on a host now
	inbox   chan raft.RPC
	once    sync.Once
	closed  chan struct{}
}

func newTransport(name string, timeout time.Duration, n *network, find func(string) *transport) *transport {
	return &transport{
		name: name, id: raft.ServerID(name), address: raft.ServerAddress(addressOf(name)), timeout: timeout,
		net: n, find: find, inbox: make(chan raft.RPC, 16), closed: make(chan struct{}),
	}
}

// addressOf is a host's address, nameOf the host at one, alone or in a route (id@address).
func addressOf(name string) string { return name + ":7071" }

func nameOf(address string) string {
	if _, after, ok := strings.Cut(address, "@"); ok {
		address = after
	}
	name, _, _ := strings.Cut(address, ":")
	return name
}

func (t *transport) Consumer() <-chan raft.RPC            { return t.inbox }
func (t *transport) LocalAddr() raft.ServerAddress        { return t.address }
func (t *transport) SetHeartbeatHandler(func(r raft.RPC)) {} // as the real one, see cluster/transport.go
func (t *transport) EndWaits()                            {}
func (t *transport) CloseStreams()                        {}

func (t *transport) EncodePeer(id raft.ServerID, a raft.ServerAddress) []byte {
	return []byte(string(id) + "@" + addressOf(nameOf(string(a))))
}

func (t *transport) DecodePeer(b []byte) raft.ServerAddress {
	return raft.ServerAddress(addressOf(nameOf(string(b))))
}

// Close cuts the process off: whatever it still sends is lost.
func (t *transport) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

func (t *transport) RequestVote(_ raft.ServerID, to raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return ask(t, to, t.timeout, false, raft.RPC{Command: args}, resp)
}

func (t *transport) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return ask(t, to, t.timeout, false, raft.RPC{Command: args}, resp)
}

func (t *transport) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return ask(t, to, t.timeout, false, raft.RPC{Command: args}, resp)
}

func (t *transport) AppendEntries(_ raft.ServerID, to raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return ask(t, to, t.timeout, false, raft.RPC{Command: args}, resp)
}

func (t *transport) InstallSnapshot(_ raft.ServerID, to raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	all, err := io.ReadAll(data)
	if err != nil {
		return err
	}
	limit := t.timeout * time.Duration(max(1, len(all)/raft.DefaultTimeoutScale)) // as in Raft's own
	return ask(t, to, limit, false, raft.RPC{Command: args, Reader: bytes.NewReader(all)}, resp)
}

// ask carries a call there and its answer back, or fails after the time-out.
func ask[T any](t *transport, to raft.ServerAddress, timeout time.Duration, inOrder bool, rpc raft.RPC, resp *T) error {
	answered := make(chan raft.RPCResponse, 1)
	go t.carry(nameOf(string(to)), timeout, inOrder, rpc, answered)
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	select {
	case r := <-answered:
		if r.Error != nil {
			return r.Error
		}
		*resp = *(r.Response.(*T))
		return nil
	case <-limit.C:
		return errLost
	case <-t.closed:
		return raft.ErrTransportShutdown
	}
}

// carry is one message's way, and its answer's. It ends after a few time-outs at most.
func (t *transport) carry(to string, timeout time.Duration, inOrder bool, rpc raft.RPC, answered chan<- raft.RPCResponse) {
	f := t.net.send(t.name, to, inOrder)
	if f.lost {
		return
	}
	if f.again > 0 && rpc.Reader == nil {
		go func() {
			if t.pause(f.after + f.again) {
				t.deliver(to, timeout, copyRPC(rpc))
			}
		}()
	}
	rpc = copyRPC(rpc)
	if !t.pause(f.after) {
		return
	}
	r := t.deliver(to, timeout, rpc)
	if r == nil {
		return
	}
	if back := t.net.send(to, t.name, inOrder); !back.lost && t.pause(back.after) {
		answered <- *r
	}
}

// deliver hands a message to the process on a host and waits for its answer. Nil: none came.
func (t *transport) deliver(to string, timeout time.Duration, rpc raft.RPC) *raft.RPCResponse {
	p := t.find(to)
	if p == nil {
		return &raft.RPCResponse{Error: errRefused}
	}
	answer := make(chan raft.RPCResponse, 1)
	rpc.RespChan = answer
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	select {
	case p.inbox <- rpc:
	case <-p.closed:
		return nil
	case <-limit.C:
		return nil
	}
	select {
	case r := <-answer:
		select {
		case <-p.closed: // it has crashed, and what it says of its disk may not be so
			return nil
		default:
		}
		return &r
	case <-p.closed:
		return nil
	case <-limit.C:
		return nil
	}
}

// pause says whether d passed before the process was cut off.
func (t *transport) pause(d time.Duration) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-limit.C:
		return true
	case <-t.closed:
		return false
	}
}

// copyRPC is what arrives: no memory is shared between processes but bytes that nobody changes.
func copyRPC(rpc raft.RPC) raft.RPC {
	switch c := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		d := *c
		d.Entries = slices.Clone(c.Entries)
		for i, e := range d.Entries {
			l := *e
			d.Entries[i] = &l
		}
		rpc.Command = &d
	case *raft.RequestVoteRequest:
		d := *c
		rpc.Command = &d
	case *raft.RequestPreVoteRequest:
		d := *c
		rpc.Command = &d
	case *raft.TimeoutNowRequest:
		d := *c
		rpc.Command = &d
	case *raft.InstallSnapshotRequest:
		d := *c
		rpc.Command = &d
	default:
		panic(fmt.Sprintf("sim: unknown message %T", c))
	}
	return rpc
}
