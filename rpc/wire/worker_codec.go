package wire

import (
	"math"

	"github.com/musterhq/muster/rpc/pack"
)

// Append writes m.
func (m *Join) Append(w *pack.Writer) {
	w.Array(6)
	w.String(m.Name)
	w.String(m.Identity)
	w.Uint(m.Process)
	w.Strings(m.Queues)
	appendPairs(w, m.Labels)
	w.Uint(uint64(m.Slots))
}

// Read reads what Append wrote.
func (m *Join) Read(r *pack.Reader) {
	r.Begin()
	m.Name = r.String(TextBytesMax)
	m.Identity = r.String(TextBytesMax)
	m.Process = r.Uint()
	m.Queues = r.Strings(listMax(r, QueuesMax, 1), TextBytesMax)
	m.Labels = readPairs(r)
	m.Slots = r.Uint32()
	r.End()
}

// Append writes m.
func (m *Joined) Append(w *pack.Writer) {
	w.Array(3)
	w.Uint(uint64(m.ID))
	w.Uint(uint64(m.Incarnation))
	w.Int(int64(m.TTL))
}

// Read reads what Append wrote.
func (m *Joined) Read(r *pack.Reader) {
	r.Begin()
	m.ID = WorkerID(r.Uint())
	m.Incarnation = r.Uint32()
	m.TTL = readDuration(r)
	r.End()
}

// Append writes m.
func (m *Leave) Append(w *pack.Writer) {
	w.Array(2)
	w.Uint(uint64(m.Worker))
	w.Uint(uint64(m.Incarnation))
}

// Read reads what Append wrote.
func (m *Leave) Read(r *pack.Reader) {
	r.Begin()
	m.Worker = WorkerID(r.Uint())
	m.Incarnation = r.Uint32()
	r.End()
}

// Append writes m.
func (m *Pick) Append(w *pack.Writer) {
	w.Array(4)
	w.Uint(uint64(m.Worker))
	w.Uint(uint64(m.Incarnation))
	w.Uint(uint64(m.Max))
	w.Bool(m.Standing)
}

// Read reads what Append wrote.
func (m *Pick) Read(r *pack.Reader) {
	r.Begin()
	m.Worker = WorkerID(r.Uint())
	m.Incarnation = r.Uint32()
	m.Max = r.Uint32()
	m.Standing = r.Bool()
	r.End()
}

// Append writes m.
func (m *Report) Append(w *pack.Writer) {
	w.Array(3)
	w.Uint(uint64(m.Worker))
	w.Uint(uint64(m.Incarnation))
	w.Array(len(m.Reports))
	for i := range m.Reports {
		m.Reports[i].append(w)
	}
}

// Read reads what Append wrote.
func (m *Report) Read(r *pack.Reader) {
	r.Begin()
	m.Worker = WorkerID(r.Uint())
	m.Incarnation = r.Uint32()
	n := r.List(listMax(r, ReportsMax, reportBytesMin))
	if n > 0 {
		m.Reports = make([]JobReport, n)
	}
	for i := range m.Reports {
		m.Reports[i].read(r)
	}
	r.End()
	r.End()
}

// reportFlags packs what a report says by yes or no.
func (m *JobReport) flags() uint64 {
	var f uint64
	for bit, set := range [...]bool{m.JSON, m.NoRetry, m.Timeout} {
		if set {
			f |= 1 << bit
		}
	}
	return f
}

// append leaves out the fields at the end that are zero: most reports are a START or a DONE without a result.
func (m *JobReport) append(w *pack.Writer) {
	fields := 4
	switch {
	case m.ExitCode != 0 || m.flags() != 0:
		fields = 8
	case m.Error != "":
		fields = 6
	case m.Result != nil:
		fields = 5
	}
	w.Array(fields)
	appendJobID(w, m.Job)
	w.Uint(uint64(m.Attempt))
	w.Uint(uint64(m.Kind))
	if fields > 4 {
		w.Bytes(m.Result)
	}
	if fields > 5 {
		w.String(m.Error)
	}
	if fields > 6 {
		w.Int(int64(m.ExitCode))
		w.Uint(m.flags())
	}
}

func (m *JobReport) read(r *pack.Reader) {
	r.Begin()
	m.Job = readJobID(r)
	m.Attempt = r.Uint32()
	m.Kind = ReportKind(r.Uint8())
	if r.More() {
		m.Result = r.Bytes(BlobBytesMax)
		m.Error = r.String(TextBytesMax)
		m.ExitCode = int32(readInt(r, math.MinInt32, math.MaxInt32))
		flags := r.Uint()
		m.JSON, m.NoRetry, m.Timeout = flags&1 != 0, flags&2 != 0, flags&4 != 0
	}
	r.End()
}

// Append writes m.
func (m *Reported) Append(w *pack.Writer) {
	w.Array(1)
	appendCodes(w, m.Codes)
}

// Read reads what Append wrote.
func (m *Reported) Read(r *pack.Reader) {
	r.Begin()
	m.Codes = readCodes(r)
	r.End()
}

// Append writes m.
func (m *Progress) Append(w *pack.Writer) {
	w.Array(1)
	appendList(w, m.Items, (*ProgressItem).append)
}

// Read reads what Append wrote.
func (m *Progress) Read(r *pack.Reader) {
	r.Begin()
	m.Items = list(r, ReportsMax, progressBytesMin, (*ProgressItem).read)
	r.End()
}

func (m *ProgressItem) append(w *pack.Writer) {
	w.Array(5)
	appendJobID(w, m.Job)
	w.Uint(uint64(m.Attempt))
	w.Uint(uint64(m.Percent))
	w.String(m.Text)
}

func (m *ProgressItem) read(r *pack.Reader) {
	r.Begin()
	m.Job = readJobID(r)
	m.Attempt = r.Uint32()
	m.Percent = r.Uint8()
	m.Text = r.String(TextBytesMax)
	r.End()
}

// Append writes m.
func (m *Beat) Append(w *pack.Writer) {
	w.Array(3)
	w.Uint(uint64(m.Worker))
	w.Uint(uint64(m.Incarnation))
	appendAttempts(w, m.Held)
}

// Read reads what Append wrote.
func (m *Beat) Read(r *pack.Reader) {
	r.Begin()
	m.Worker = WorkerID(r.Uint())
	m.Incarnation = r.Uint32()
	m.Held = readAttempts(r)
	r.End()
}

// Append writes m.
func (m *BeatAnswer) Append(w *pack.Writer) {
	w.Array(2)
	w.Bool(m.Known)
	appendAttempts(w, m.Stop)
}

// Read reads what Append wrote.
func (m *BeatAnswer) Read(r *pack.Reader) {
	r.Begin()
	m.Known = r.Bool()
	m.Stop = readAttempts(r)
	r.End()
}

// Append writes m.
func (m *Stop) Append(w *pack.Writer) {
	w.Array(1)
	appendAttempts(w, m.Attempts)
}

// Read reads what Append wrote.
func (m *Stop) Read(r *pack.Reader) {
	r.Begin()
	m.Attempts = readAttempts(r)
	r.End()
}

// Append writes m.
func (m *Inputs) Append(w *pack.Writer) {
	w.Array(4)
	appendJobID(w, m.Job)
	w.Uint(uint64(m.Attempt))
	w.Uint(uint64(m.Skip))
}

// Read reads what Append wrote.
func (m *Inputs) Read(r *pack.Reader) {
	r.Begin()
	m.Job = readJobID(r)
	m.Attempt = r.Uint32()
	m.Skip = r.Uint32()
	r.End()
}

// Append writes m.
func (m *InputsPage) Append(w *pack.Writer) {
	w.Array(2)
	appendList(w, m.Parents, (*Parent).append)
	w.Bool(m.More)
}

// Read reads what Append wrote.
func (m *InputsPage) Read(r *pack.Reader) {
	r.Begin()
	m.Parents = list(r, ParentsMax, parentBytesMin, (*Parent).read)
	m.More = r.Bool()
	r.End()
}

func (m *Parent) append(w *pack.Writer) {
	w.Array(4)
	w.Uint(uint64(m.Job))
	w.String(m.Name)
	w.Bytes(m.Result)
	w.Bool(m.JSON)
}

func (m *Parent) read(r *pack.Reader) {
	r.Begin()
	m.Job = r.Uint32()
	m.Name = r.String(TextBytesMax)
	m.Result = r.Bytes(BlobBytesMax)
	m.JSON = r.Bool()
	r.End()
}

// Append writes m.
func (m *ReadLog) Append(w *pack.Writer) {
	w.Array(6)
	appendJobID(w, m.Job)
	w.Uint(uint64(m.Attempt))
	w.Uint(uint64(m.Stream))
	w.Int(m.Offset)
	w.Uint(uint64(m.Max))
}

// Read reads what Append wrote.
func (m *ReadLog) Read(r *pack.Reader) {
	r.Begin()
	m.Job = readJobID(r)
	m.Attempt = r.Uint32()
	m.Stream = r.Uint8()
	m.Offset = r.Int()
	m.Max = r.Uint32()
	r.End()
}

// Append writes m.
func (m *LogChunk) Append(w *pack.Writer) {
	w.Array(2)
	w.Bytes(m.Data)
	w.Bool(m.EOF)
}

// Read reads what Append wrote.
func (m *LogChunk) Read(r *pack.Reader) {
	r.Begin()
	m.Data = r.Bytes(LogBytesMax)
	m.EOF = r.Bool()
	r.End()
}
