package wire

import (
	"math"

	"github.com/musterhq/muster/rpc/pack"
)

// Append writes m.
func (m *RequestInfo) Append(w *pack.Writer) {
	w.Array(13)
	w.Uint(uint64(m.ID))
	w.Uint(uint64(m.Session))
	w.String(m.SessionName)
	w.String(m.Name)
	w.String(m.Key)
	w.Uint(uint64(m.State))
	w.Uint(uint64(m.MaxRunning))
	w.Uint(uint64(m.OnFailure))
	w.Uint(uint64(m.Jobs))
	w.Array(len(m.Counts))
	for _, n := range m.Counts {
		w.Uint(n)
	}
	w.Uint(m.Index)
	appendTime(w, m.Created)
	appendTime(w, m.Ended)
}

// Read reads what Append wrote.
func (m *RequestInfo) Read(r *pack.Reader) {
	r.Begin()
	m.ID = RequestID(r.Uint())
	m.Session = SessionID(r.Uint())
	m.SessionName = r.String(TextBytesMax)
	m.Name = r.String(TextBytesMax)
	m.Key = r.String(TextBytesMax)
	m.State = State(r.Uint8())
	m.MaxRunning = r.Uint32()
	m.OnFailure = OnFailure(r.Uint8())
	m.Jobs = r.Uint32()
	r.Begin()
	for i := range m.Counts {
		m.Counts[i] = r.Uint()
	}
	r.End()
	m.Index = r.Uint()
	m.Created = readTime(r)
	m.Ended = readTime(r)
	r.End()
}

// Append writes m.
func (m *ListJobs) Append(w *pack.Writer) {
	w.Array(5)
	w.Uint(uint64(m.Request))
	w.Uint(uint64(m.State))
	w.Bool(m.HasState)
	w.Uint(uint64(m.Skip))
	w.Uint(uint64(m.Limit))
}

// Read reads what Append wrote.
func (m *ListJobs) Read(r *pack.Reader) {
	r.Begin()
	m.Request = RequestID(r.Uint())
	m.State = State(r.Uint8())
	m.HasState = r.Bool()
	m.Skip = r.Uint32()
	m.Limit = r.Uint32()
	r.End()
}

// Append writes m.
func (m *JobsPage) Append(w *pack.Writer) {
	w.Array(3)
	appendList(w, m.Jobs, (*JobInfo).Append)
	w.Uint(uint64(m.Next))
	w.Bool(m.More)
}

// Read reads what Append wrote.
func (m *JobsPage) Read(r *pack.Reader) {
	r.Begin()
	m.Jobs = list(r, PageMax, jobInfoBytesMin, (*JobInfo).Read)
	m.Next = r.Uint32()
	m.More = r.Bool()
	r.End()
}

// Append writes m.
func (m *GetJob) Append(w *pack.Writer) {
	w.Array(2)
	appendJobID(w, m.ID)
}

// Read reads what Append wrote.
func (m *GetJob) Read(r *pack.Reader) {
	r.Begin()
	m.ID = readJobID(r)
	r.End()
}

// Append writes m.
func (m *JobInfo) Append(w *pack.Writer) {
	w.Array(21)
	appendJobID(w, m.ID)
	w.String(m.Name)
	m.Spec.append(w)
	w.Bytes(m.Payload)
	appendNeeds(w, m.Needs)
	w.Uint(uint64(m.State))
	w.Uint(uint64(m.Reason))
	w.Uint(uint64(m.Attempt))
	w.Uint(uint64(m.Retries))
	w.Uint(uint64(m.Lost))
	w.Uint(uint64(m.Worker))
	w.String(m.WorkerName)
	w.Uint(uint64(m.Progress))
	w.String(m.ProgressText)
	w.Bytes(m.Result)
	w.Bool(m.ResultJSON)
	w.String(m.Error)
	w.Int(int64(m.ExitCode))
	w.Uint(uint64(m.Cause))
	m.Times.append(w)
}

// Read reads what Append wrote.
func (m *JobInfo) Read(r *pack.Reader) {
	r.Begin()
	m.ID = readJobID(r)
	m.Name = r.String(TextBytesMax)
	m.Spec.read(r)
	m.Payload = r.Bytes(BlobBytesMax)
	m.Needs = readNeeds(r, SubmitEdgesMax)
	m.State = State(r.Uint8())
	m.Reason = Reason(r.Uint8())
	m.Attempt = r.Uint32()
	m.Retries = r.Uint32()
	m.Lost = r.Uint32()
	m.Worker = WorkerID(r.Uint())
	m.WorkerName = r.String(TextBytesMax)
	m.Progress = r.Uint8()
	m.ProgressText = r.String(TextBytesMax)
	m.Result = r.Bytes(BlobBytesMax)
	m.ResultJSON = r.Bool()
	m.Error = r.String(TextBytesMax)
	m.ExitCode = int32(readInt(r, math.MinInt32, math.MaxInt32))
	m.Cause = r.Uint32()
	m.Times.read(r)
	r.End()
}

func (m *Times) append(w *pack.Writer) {
	w.Array(6)
	appendTime(w, m.Submitted)
	appendTime(w, m.Ready)
	appendTime(w, m.Picked)
	appendTime(w, m.Started)
	appendTime(w, m.Ended)
	appendTime(w, m.NotBefore)
}

func (m *Times) read(r *pack.Reader) {
	r.Begin()
	m.Submitted = readTime(r)
	m.Ready = readTime(r)
	m.Picked = readTime(r)
	m.Started = readTime(r)
	m.Ended = readTime(r)
	m.NotBefore = readTime(r)
	r.End()
}

// Append writes m.
func (*GetStatus) Append(w *pack.Writer) { w.Array(0) }

// Read reads what Append wrote.
func (*GetStatus) Read(r *pack.Reader) {
	r.Begin()
	r.End()
}

// Append writes m.
func (m *Status) Append(w *pack.Writer) {
	w.Array(17)
	w.String(m.Cluster)
	w.String(m.ClusterID)
	w.String(m.Version)
	w.String(m.NodeID)
	w.String(m.NodeName)
	m.Leader.Append(w)
	w.String(m.RaftState)
	w.Uint(m.Term)
	w.Uint(m.Applied)
	w.Uint(m.Committed)
	w.Uint(m.LastLog)
	w.Uint(m.StateHash)
	w.Uint(m.HashIndex)
	w.Uint(uint64(m.Tolerates))
	w.Bool(m.Healthy)
	w.String(m.Problem)
	appendList(w, m.Servers, (*Server).append)
}

// Read reads what Append wrote.
func (m *Status) Read(r *pack.Reader) {
	r.Begin()
	m.Cluster = r.String(TextBytesMax)
	m.ClusterID = r.String(TextBytesMax)
	m.Version = r.String(TextBytesMax)
	m.NodeID = r.String(TextBytesMax)
	m.NodeName = r.String(TextBytesMax)
	m.Leader.Read(r)
	m.RaftState = r.String(TextBytesMax)
	m.Term = r.Uint()
	m.Applied = r.Uint()
	m.Committed = r.Uint()
	m.LastLog = r.Uint()
	m.StateHash = r.Uint()
	m.HashIndex = r.Uint()
	m.Tolerates = r.Uint32()
	m.Healthy = r.Bool()
	m.Problem = r.String(TextBytesMax)
	m.Servers = list(r, CoordinatorsMax, serverBytesMin, (*Server).read)
	r.End()
}

func (m *Server) append(w *pack.Writer) {
	w.Array(9)
	w.String(m.ID)
	w.String(m.Name)
	w.String(m.RPC)
	w.String(m.HTTP)
	w.Bool(m.Voter)
	w.Bool(m.Leader)
	w.Bool(m.Alive)
	w.Int(int64(m.LastContact))
	w.Uint(m.Applied)
}

func (m *Server) read(r *pack.Reader) {
	r.Begin()
	m.ID = r.String(TextBytesMax)
	m.Name = r.String(TextBytesMax)
	m.RPC = r.String(TextBytesMax)
	m.HTTP = r.String(TextBytesMax)
	m.Voter = r.Bool()
	m.Leader = r.Bool()
	m.Alive = r.Bool()
	m.LastContact = readDuration(r)
	m.Applied = r.Uint()
	r.End()
}
