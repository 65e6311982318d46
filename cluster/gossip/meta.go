package gossip

import (
	"errors"
	"fmt"

	"github.com/musterhq/muster/rpc/pack"
)

// Roles of a node.
const (
	RoleCoordinator = "coordinator"
	RoleWorker      = "worker"
)

// Bounds of a Meta. The strings' limits add up to less than MetaBytesMax, which is memberlist's own limit.
const (
	MetaBytesMax    = 512
	roleBytesMax    = 16
	idBytesMax      = 64
	nameBytesMax    = 64
	addressBytesMax = 120
)

// ErrMetaTooLong is returned when a field of a Meta is longer than gossip can carry.
var ErrMetaTooLong = errors.New("too long for gossip")

// Meta is what a node says about itself.
type Meta struct {
	Role      string // RoleCoordinator or RoleWorker
	NodeID    string // the identity in its data directory
	Name      string // for people
	RPC       string // host:port to dial; empty for a worker
	HTTP      string // host:port to dial; empty for a worker
	ClusterID string // empty while it belongs to no formed cluster
	Term      uint64 // Raft term in which Leader was so
	Leader    bool   // it leads, as far as it knows
	Expect    int    // bootstrap-expect of a coordinator
	Started   uint64 // Unix milliseconds of its start: of two with one NodeID the later counts
}

// metaFields is the number of fields that appendMeta writes.
const metaFields = 10

// encode is m as bytes of at most MetaBytesMax.
func (m Meta) encode() ([]byte, error) {
	for _, f := range []struct {
		name, value string
		max         int
	}{
		{"role", m.Role, roleBytesMax}, {"node id", m.NodeID, idBytesMax}, {"name", m.Name, nameBytesMax},
		{"rpc address", m.RPC, addressBytesMax}, {"http address", m.HTTP, addressBytesMax},
		{"cluster id", m.ClusterID, idBytesMax},
	} {
		if len(f.value) > f.max {
			return nil, fmt.Errorf("%s %q has %d bytes, at most %d: %w", f.name, f.value, len(f.value), f.max, ErrMetaTooLong)
		}
	}
	w := pack.NewWriter()
	defer w.Free()
	w.Array(metaFields)
	w.String(m.Role)
	w.String(m.NodeID)
	w.String(m.Name)
	w.String(m.RPC)
	w.String(m.HTTP)
	w.String(m.ClusterID)
	w.Uint(m.Term)
	w.Bool(m.Leader)
	w.Uint(uint64(max(m.Expect, 0)))
	w.Uint(m.Started)
	return w.Copy(), nil
}

// decodeMeta reads what encode wrote, by this version or another.
func decodeMeta(data []byte) (Meta, error) {
	if len(data) > MetaBytesMax {
		return Meta{}, fmt.Errorf("meta of %d bytes: %w", len(data), ErrMetaTooLong)
	}
	r := pack.NewReader(data)
	r.Begin()
	m := Meta{
		Role:      r.String(roleBytesMax),
		NodeID:    r.String(idBytesMax),
		Name:      r.String(nameBytesMax),
		RPC:       r.String(addressBytesMax),
		HTTP:      r.String(addressBytesMax),
		ClusterID: r.String(idBytesMax),
		Term:      r.Uint(),
		Leader:    r.Bool(),
		Expect:    int(r.Uint8()),
		Started:   r.Uint(),
	}
	r.End()
	if err := r.Done(); err != nil {
		return Meta{}, fmt.Errorf("decode meta: %w", err)
	}
	if m.NodeID == "" || m.Role == "" {
		return Meta{}, errors.New("decode meta: no node id or role")
	}
	return m, nil
}
