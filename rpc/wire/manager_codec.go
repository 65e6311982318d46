package wire

import (
	"math"

	"github.com/musterhq/muster/rpc/pack"
)

// Append writes m.
func (m *OpenSession) Append(w *pack.Writer) {
	w.Array(1)
	w.String(m.Name)
}

// Read reads what Append wrote.
func (m *OpenSession) Read(r *pack.Reader) {
	r.Begin()
	m.Name = r.String(TextBytesMax)
	r.End()
}

// Append writes m.
func (m *SessionOpened) Append(w *pack.Writer) {
	w.Array(2)
	w.Uint(uint64(m.ID))
	w.Bool(m.Created)
}

// Read reads what Append wrote.
func (m *SessionOpened) Read(r *pack.Reader) {
	r.Begin()
	m.ID = SessionID(r.Uint())
	m.Created = r.Bool()
	r.End()
}

// Append writes m.
func (m *CloseSession) Append(w *pack.Writer) {
	w.Array(1)
	w.Uint(uint64(m.ID))
}

// Read reads what Append wrote.
func (m *CloseSession) Read(r *pack.Reader) {
	r.Begin()
	m.ID = SessionID(r.Uint())
	r.End()
}

// Append writes m.
func (m *Submit) Append(w *pack.Writer) {
	w.Array(8)
	w.String(m.Key)
	w.Uint(m.Body)
	m.appendBody(w)
}

// appendBody writes what Digest covers. A field that is added here must be left out while it is zero, or the digest
// of an unchanged request would change with the version of the program.
func (m *Submit) appendBody(w *pack.Writer) {
	w.String(m.Session)
	w.String(m.Name)
	w.Uint(uint64(m.MaxRunning))
	w.Uint(uint64(m.OnFailure))
	appendList(w, m.Specs, (*Spec).append)
	appendList(w, m.Jobs, (*SubmitJob).append)
}

// Read reads what Append wrote.
func (m *Submit) Read(r *pack.Reader) {
	r.Begin()
	m.Key = r.String(TextBytesMax)
	m.Body = r.Uint()
	m.Session = r.String(TextBytesMax)
	m.Name = r.String(TextBytesMax)
	m.MaxRunning = r.Uint32()
	m.OnFailure = OnFailure(r.Uint8())
	m.Specs = list(r, SubmitSpecsMax, specBytesMin, (*Spec).read)
	n := r.List(listMax(r, SubmitJobsMax, submitJobBytesMin))
	if n > 0 {
		m.Jobs = make([]SubmitJob, n)
	}
	edges := SubmitEdgesMax
	for i := range m.Jobs {
		m.Jobs[i].read(r, &edges)
	}
	r.End()
	r.End()
}

func (m *SubmitJob) append(w *pack.Writer) {
	w.Array(4)
	w.String(m.Name)
	w.Uint(uint64(m.Spec))
	w.Bytes(m.Payload)
	appendNeeds(w, m.Needs)
}

func (m *SubmitJob) read(r *pack.Reader, edges *int) {
	r.Begin()
	m.Name = r.String(TextBytesMax)
	m.Spec = r.Uint32()
	m.Payload = r.Bytes(BlobBytesMax)
	m.Needs = readNeeds(r, *edges)
	*edges -= len(m.Needs)
	r.End()
}

func (m *Spec) append(w *pack.Writer) {
	w.Array(13)
	w.Uint(uint64(m.Kind))
	w.Strings(m.Args)
	appendPairs(w, m.Env)
	w.String(m.Dir)
	w.String(m.Queue)
	appendPairs(w, m.Labels)
	w.Uint(uint64(m.Slots))
	w.Int(int64(m.Priority))
	w.Int(int64(m.Timeout))
	w.Int(int64(m.StartAfter))
	appendTime(w, m.StartAt)
	m.Retry.append(w)
	w.Uint(uint64(m.LostLimit))
}

func (m *Spec) read(r *pack.Reader) {
	r.Begin()
	m.Kind = WorkKind(r.Uint8())
	m.Args = args(r)
	m.Env = readPairs(r)
	m.Dir = r.String(ArgBytesMax)
	m.Queue = r.String(TextBytesMax)
	m.Labels = readPairs(r)
	m.Slots = r.Uint32()
	m.Priority = int8(readInt(r, math.MinInt8, math.MaxInt8))
	m.Timeout = readDuration(r)
	m.StartAfter = readDuration(r)
	m.StartAt = readTime(r)
	m.Retry.read(r)
	m.LostLimit = r.Uint32()
	r.End()
}

func (m *Retry) append(w *pack.Writer) {
	w.Array(5)
	w.Uint(uint64(m.Limit))
	w.Int(int64(m.Backoff))
	w.Uint(uint64(m.Factor))
	w.Int(int64(m.Max))
	w.Array(len(m.Never))
	for _, code := range m.Never {
		w.Int(int64(code))
	}
}

func (m *Retry) read(r *pack.Reader) {
	r.Begin()
	m.Limit = r.Uint32()
	m.Backoff = readDuration(r)
	m.Factor = r.Uint32()
	m.Max = readDuration(r)
	if n := r.List(NeverMax); n > 0 {
		m.Never = make([]int32, n)
		for i := range m.Never {
			m.Never[i] = int32(readInt(r, math.MinInt32, math.MaxInt32))
		}
	}
	r.End()
	r.End()
}

// Append writes m.
func (m *Submitted) Append(w *pack.Writer) {
	w.Array(5)
	w.Uint(uint64(m.ID))
	w.Uint(uint64(m.Session))
	w.Uint(uint64(m.Jobs))
	w.Uint(uint64(m.State))
	w.Bool(m.Repeat)
}

// Read reads what Append wrote.
func (m *Submitted) Read(r *pack.Reader) {
	r.Begin()
	m.ID = RequestID(r.Uint())
	m.Session = SessionID(r.Uint())
	m.Jobs = r.Uint32()
	m.State = State(r.Uint8())
	m.Repeat = r.Bool()
	r.End()
}

// Append writes m.
func (m *Cancel) Append(w *pack.Writer) {
	w.Array(1)
	w.Uint(uint64(m.ID))
}

// Read reads what Append wrote.
func (m *Cancel) Read(r *pack.Reader) {
	r.Begin()
	m.ID = RequestID(r.Uint())
	r.End()
}

// Append writes m.
func (m *Pause) Append(w *pack.Writer) {
	w.Array(2)
	w.Uint(uint64(m.ID))
	w.Bool(m.Undo)
}

// Read reads what Append wrote.
func (m *Pause) Read(r *pack.Reader) {
	r.Begin()
	m.ID, m.Undo = RequestID(r.Uint()), r.Bool()
	r.End()
}

// Append writes m.
func (m *RetryRequest) Append(w *pack.Writer) {
	w.Array(1)
	w.Uint(uint64(m.ID))
}

// Read reads what Append wrote.
func (m *RetryRequest) Read(r *pack.Reader) {
	r.Begin()
	m.ID = RequestID(r.Uint())
	r.End()
}

// Append writes m.
func (m *Retried) Append(w *pack.Writer) {
	w.Array(1)
	w.Uint(uint64(m.Jobs))
}

// Read reads what Append wrote.
func (m *Retried) Read(r *pack.Reader) {
	r.Begin()
	m.Jobs = r.Uint32()
	r.End()
}

// Append writes m.
func (m *GetRequest) Append(w *pack.Writer) {
	w.Array(1)
	w.Uint(uint64(m.ID))
}

// Read reads what Append wrote.
func (m *GetRequest) Read(r *pack.Reader) {
	r.Begin()
	m.ID = RequestID(r.Uint())
	r.End()
}

// Append writes m.
func (m *Wait) Append(w *pack.Writer) {
	w.Array(2)
	w.Uint(uint64(m.ID))
	w.Int(int64(m.Max))
}

// Read reads what Append wrote.
func (m *Wait) Read(r *pack.Reader) {
	r.Begin()
	m.ID = RequestID(r.Uint())
	m.Max = readDuration(r)
	r.End()
}

// Append writes m.
func (m *Drain) Append(w *pack.Writer) {
	w.Array(2)
	w.Uint(uint64(m.Worker))
	w.Bool(m.Undo)
}

// Read reads what Append wrote.
func (m *Drain) Read(r *pack.Reader) {
	r.Begin()
	m.Worker = WorkerID(r.Uint())
	m.Undo = r.Bool()
	r.End()
}
