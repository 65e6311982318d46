package wire

// Hello opens a connection: the dialler says who it is.
type Hello struct {
	VersionMin uint32 // of the protocol, that it speaks
	VersionMax uint32
	Cluster    string // the cluster it means; empty: any
	Name       string // of the client, for people
	Token      string // shows that it may
}

// Welcome answers Hello.
type Welcome struct {
	Version      uint32 // of the protocol that is spoken from here on
	Cluster      string
	ClusterID    string // empty when the cluster has none
	NodeID       string
	NodeName     string
	FrameMax     uint32 // bytes of a frame that the coordinator reads
	Leader       Leader
	Coordinators []string // RPC addresses of every coordinator that it knows
}

// Leader tells who leads. It comes with Welcome and is pushed on every connection whenever it changes.
type Leader struct {
	Self bool   // the sender is the leader and takes calls
	Term uint64 // 0: no leader is known
	ID   string
	Name string
	RPC  string
	HTTP string
}

// Known says whether there is a leader as far as the sender knows.
func (m *Leader) Known() bool { return m.Self || m.RPC != "" }
