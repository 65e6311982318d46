package wire

import "github.com/musterhq/muster/rpc/pack"

// Append writes m.
func (m *Hello) Append(w *pack.Writer) {
	w.Array(5)
	w.Uint(uint64(m.VersionMin))
	w.Uint(uint64(m.VersionMax))
	w.String(m.Cluster)
	w.String(m.Name)
	w.String(m.Token)
}

// Read reads what Append wrote.
func (m *Hello) Read(r *pack.Reader) {
	r.Begin()
	m.VersionMin = r.Uint32()
	m.VersionMax = r.Uint32()
	m.Cluster = r.String(TextBytesMax)
	m.Name = r.String(TextBytesMax)
	m.Token = r.String(TextBytesMax)
	r.End()
}

// Append writes m.
func (m *Welcome) Append(w *pack.Writer) {
	w.Array(8)
	w.Uint(uint64(m.Version))
	w.String(m.Cluster)
	w.String(m.ClusterID)
	w.String(m.NodeID)
	w.String(m.NodeName)
	w.Uint(uint64(m.FrameMax))
	m.Leader.Append(w)
	w.Strings(m.Coordinators)
}

// Read reads what Append wrote.
func (m *Welcome) Read(r *pack.Reader) {
	r.Begin()
	m.Version = r.Uint32()
	m.Cluster = r.String(TextBytesMax)
	m.ClusterID = r.String(TextBytesMax)
	m.NodeID = r.String(TextBytesMax)
	m.NodeName = r.String(TextBytesMax)
	m.FrameMax = r.Uint32()
	m.Leader.Read(r)
	m.Coordinators = r.Strings(CoordinatorsMax, TextBytesMax)
	r.End()
}

// Append writes m.
func (m *Leader) Append(w *pack.Writer) {
	w.Array(6)
	w.Bool(m.Self)
	w.Uint(m.Term)
	w.String(m.ID)
	w.String(m.Name)
	w.String(m.RPC)
	w.String(m.HTTP)
}

// Read reads what Append wrote.
func (m *Leader) Read(r *pack.Reader) {
	r.Begin()
	m.Self = r.Bool()
	m.Term = r.Uint()
	m.ID = r.String(TextBytesMax)
	m.Name = r.String(TextBytesMax)
	m.RPC = r.String(TextBytesMax)
	m.HTTP = r.String(TextBytesMax)
	r.End()
}
