package cluster

import (
	"errors"
	"fmt"

	"github.com/musterhq/muster/rpc/pack"
)

// hello begins a Raft stream, after the preface byte: who calls, of which cluster, and whom it means.
type hello struct {
	Cluster   string
	ClusterID string
	From      string
	FromName  string
	To        string
}

// errRefused is returned when the other side does not take the stream.
var errRefused = errors.New("refused")

func (h hello) encode() []byte {
	w := pack.NewWriter()
	defer w.Free()
	w.Array(5)
	w.String(h.Cluster)
	w.String(h.ClusterID)
	w.String(h.From)
	w.String(h.FromName)
	w.String(h.To)
	return w.Copy()
}

func decodeHello(data []byte) (hello, error) {
	r := pack.NewReader(data)
	r.Begin()
	h := hello{
		Cluster:   r.String(peerNameMax),
		ClusterID: r.String(peerIDMax),
		From:      r.String(peerIDMax),
		FromName:  r.String(peerNameMax),
		To:        r.String(peerIDMax),
	}
	r.End()
	if err := r.Done(); err != nil {
		return hello{}, fmt.Errorf("decode handshake: %w", err)
	}
	return h, nil
}

// encodeVerdict is the answer to a hello: an empty refusal takes the stream.
func encodeVerdict(refusal string) []byte {
	w := pack.NewWriter()
	defer w.Free()
	w.Array(1)
	w.String(refusal[:min(len(refusal), peerTextMax)])
	return w.Copy()
}

func decodeVerdict(data []byte) error {
	r := pack.NewReader(data)
	r.Begin()
	refusal := r.String(peerTextMax)
	r.End()
	if err := r.Done(); err != nil {
		return fmt.Errorf("decode handshake answer: %w", err)
	}
	if refusal != "" {
		return fmt.Errorf("%w: %s", errRefused, refusal)
	}
	return nil
}

// judge says why a node with this identity does not take the stream, or nil.
func (h hello) judge(own identity) error {
	switch {
	case h.Cluster != own.Cluster:
		return fmt.Errorf("this is a node of cluster %q, the caller is of cluster %q", own.Cluster, h.Cluster)
	case h.ClusterID == "":
		return errors.New("the caller belongs to no formed cluster")
	case own.ClusterID != "" && h.ClusterID != own.ClusterID:
		return fmt.Errorf("this is a node of the cluster with id %s, the caller is of another cluster %q with id %s", own.ClusterID, h.Cluster, h.ClusterID)
	case h.To != own.Node:
		return fmt.Errorf("this is node %s, the caller means %s: the address has been taken over by another node", own.Node, h.To)
	}
	return nil
}
