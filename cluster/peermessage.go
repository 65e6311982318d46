package cluster

import (
	"errors"
	"fmt"

	"github.com/musterhq/muster/rpc/pack"
)

// Bounds of what coordinators tell one another before there is a cluster.
const (
	peerIDMax      = 64
	peerNameMax    = 255
	peerAddressMax = 255
	peerTextMax    = 1024
	peerListMax    = 64 // members named in one message
)

// nodeInfo is what a coordinator says about itself when it is asked.
type nodeInfo struct {
	ID        string
	Name      string
	Cluster   string // name
	ClusterID string // empty: not of a formed cluster yet
	RPC       string // where to dial it
	HTTP      string
	Expect    int      // its bootstrap-expect
	Promise   string   // cluster id that it promised to form; empty: none
	Seen      []string // ids of the other coordinators that answer it and want to form a cluster, too
	Term      uint64
	Leader    bool   // it is leader, or was a moment ago
	LastIndex uint64 // of its log
	Clock     int64  // its wall clock, Unix milliseconds
	Applied   uint64 // of its state machine
	HashIndex uint64 // where Hash was taken
	Hash      uint64 // of the state
	Gossip    string // where it gossips; empty: it does not
	Life      uint64 // random for each start of its process; 0: of a version that does not say
	Up        uint64 // milliseconds since that start
}

// peerVerb is what a peer is asked.
type peerVerb uint8

const (
	verbExchange peerVerb = iota // tell about yourself
	verbPromise                  // promise to form this cluster
	verbRelease                  // the promise is void
	verbWatch                    // hold this connection until your process ends
	verbWitness                  // do you find, too, that the process of About has ended?
)

// peerRequest goes to a coordinator after the preface byte.
type peerRequest struct {
	Verb    peerVerb
	To      string // id of the node meant; empty: whoever is there
	From    nodeInfo
	Promise promise
	About   subject
}

// subject is a process of a node.
type subject struct {
	ID   string
	Life uint64
}

// peerAnswer comes back.
type peerAnswer struct {
	Refusal string // empty: granted
	Info    nodeInfo
	Known   []member // other coordinators
}

func (i *nodeInfo) write(w *pack.Writer) {
	w.Array(19)
	w.String(i.ID)
	w.String(i.Name)
	w.String(i.Cluster)
	w.String(i.ClusterID)
	w.String(i.RPC)
	w.String(i.HTTP)
	w.Uint(uint64(max(i.Expect, 0)))
	w.String(i.Promise)
	w.Strings(i.Seen)
	w.Uint(i.Term)
	w.Bool(i.Leader)
	w.Uint(i.LastIndex)
	w.Int(i.Clock)
	w.Uint(i.Applied)
	w.Uint(i.HashIndex)
	w.Uint(i.Hash)
	w.String(i.Gossip)
	w.Uint(i.Life)
	w.Uint(i.Up)
}

func (i *nodeInfo) read(r *pack.Reader) {
	r.Begin()
	i.ID = r.String(peerIDMax)
	i.Name = r.String(peerNameMax)
	i.Cluster = r.String(peerNameMax)
	i.ClusterID = r.String(peerIDMax)
	i.RPC = r.String(peerAddressMax)
	i.HTTP = r.String(peerAddressMax)
	i.Expect = int(r.Uint8())
	i.Promise = r.String(peerIDMax)
	i.Seen = r.Strings(peerListMax, peerIDMax)
	i.Term = r.Uint()
	i.Leader = r.Bool()
	i.LastIndex = r.Uint()
	i.Clock = r.Int()
	i.Applied = r.Uint()
	i.HashIndex = r.Uint()
	i.Hash = r.Uint()
	i.Gossip = r.String(peerAddressMax)
	i.Life = r.Uint()
	i.Up = r.Uint()
	r.End()
}

func writeMembers(w *pack.Writer, list []member) {
	list = list[:min(len(list), peerListMax)]
	w.Array(len(list))
	for _, m := range list {
		w.Array(2)
		w.String(m.ID)
		w.String(m.RPC)
	}
}

func readMembers(r *pack.Reader) []member {
	n := r.List(peerListMax)
	defer r.End()
	list := make([]member, 0, n)
	for range n {
		r.Begin()
		list = append(list, member{ID: r.String(peerIDMax), RPC: r.String(peerAddressMax)})
		r.End()
	}
	return list
}

func (q *peerRequest) encode() []byte {
	w := pack.NewWriter()
	defer w.Free()
	w.Array(9)
	w.Uint(uint64(q.Verb))
	w.String(q.To)
	q.From.write(w)
	w.String(q.Promise.ClusterID)
	writeMembers(w, []member{q.Promise.Proposer})
	writeMembers(w, q.Promise.Members)
	w.Int(q.Promise.Seq)
	w.String(q.About.ID)
	w.Uint(q.About.Life)
	return w.Copy()
}

func decodePeerRequest(data []byte) (peerRequest, error) {
	var q peerRequest
	r := pack.NewReader(data)
	r.Begin()
	q.Verb = peerVerb(r.Uint8())
	q.To = r.String(peerIDMax)
	q.From.read(r)
	q.Promise.ClusterID = r.String(peerIDMax)
	if list := readMembers(r); len(list) > 0 {
		q.Promise.Proposer = list[0]
	}
	q.Promise.Members = readMembers(r)
	q.Promise.Seq = r.Int()
	q.About = subject{ID: r.String(peerIDMax), Life: r.Uint()}
	r.End()
	if err := r.Done(); err != nil {
		return q, fmt.Errorf("decode peer request: %w", err)
	}
	if q.From.ID == "" {
		return q, errors.New("decode peer request: it names no sender")
	}
	return q, nil
}

func (a *peerAnswer) encode() []byte {
	w := pack.NewWriter()
	defer w.Free()
	w.Array(3)
	w.String(a.Refusal[:min(len(a.Refusal), peerTextMax)])
	a.Info.write(w)
	writeMembers(w, a.Known)
	return w.Copy()
}

func decodePeerAnswer(data []byte) (peerAnswer, error) {
	var a peerAnswer
	r := pack.NewReader(data)
	r.Begin()
	a.Refusal = r.String(peerTextMax)
	a.Info.read(r)
	a.Known = readMembers(r)
	r.End()
	if err := r.Done(); err != nil {
		return a, fmt.Errorf("decode peer answer: %w", err)
	}
	if a.Info.ID == "" {
		return a, errors.New("decode peer answer: it names no node")
	}
	return a, nil
}
