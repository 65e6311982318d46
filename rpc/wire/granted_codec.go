package wire

import (
	"fmt"
	"math"

	"github.com/musterhq/muster/rpc/pack"
)

// Append writes m. What assignments share, by pointer, is written once: a push of a thousand jobs of one array carries
// one spec.
func (m *Granted) Append(w *pack.Writer) {
	var requests table[RequestRef]
	var specs table[RunSpec]
	for i := range m.Jobs {
		requests.add(m.Jobs[i].Request)
		specs.add(m.Jobs[i].Spec)
	}
	w.Array(3)
	requests.append(w, (*RequestRef).append)
	specs.append(w, (*RunSpec).append)
	w.Array(len(m.Jobs))
	for i := range m.Jobs {
		a := &m.Jobs[i]
		a.append(w, requests.add(a.Request), specs.add(a.Spec))
	}
}

// Read reads what Append wrote.
func (m *Granted) Read(r *pack.Reader) {
	r.Begin()
	requests := list(r, AssignmentsMax, requestRefBytesMin, (*RequestRef).read)
	specs := list(r, AssignmentsMax, runSpecBytesMin, (*RunSpec).read)
	n := r.List(listMax(r, AssignmentsMax, assignmentBytesMin))
	if n > 0 {
		m.Jobs = make([]Assignment, n)
	}
	for i := range m.Jobs {
		m.Jobs[i].read(r, requests, specs)
	}
	r.End()
	r.End()
}

// check says whether every assignment has found its request and its spec.
func (m *Granted) check() error {
	for i := range m.Jobs {
		if a := &m.Jobs[i]; a.Request == nil || a.Spec == nil {
			return fmt.Errorf("%w: assignment %d names a request or spec that is not in the push", pack.ErrMalformed, i)
		}
	}
	return nil
}

// append leaves out the fields at the end that are zero.
func (a *Assignment) append(w *pack.Writer, request, spec int) {
	fields := 6
	switch {
	case a.ArrayIndex >= 0:
		fields = 10
	case a.FetchInputs:
		fields = 9
	case len(a.Parents) > 0:
		fields = 8
	case a.Payload != nil:
		fields = 7
	}
	w.Array(fields)
	appendJobID(w, a.Job)
	w.Uint(uint64(a.Attempt))
	w.String(a.Name)
	w.Uint(uint64(request))
	w.Uint(uint64(spec))
	if fields > 6 {
		w.Bytes(a.Payload)
	}
	if fields > 7 {
		appendList(w, a.Parents, (*Parent).append)
	}
	if fields > 8 {
		w.Bool(a.FetchInputs)
	}
	if fields > 9 {
		w.Uint(uint64(a.ArrayIndex) + 1)
	}
}

func (a *Assignment) read(r *pack.Reader, requests []RequestRef, specs []RunSpec) {
	r.Begin()
	a.Job = readJobID(r)
	a.Attempt = r.Uint32()
	a.Name = r.String(TextBytesMax)
	if i := r.Uint(); i < uint64(len(requests)) {
		a.Request = &requests[i]
	}
	if i := r.Uint(); i < uint64(len(specs)) {
		a.Spec = &specs[i]
	}
	a.ArrayIndex = -1
	if r.More() {
		a.Payload = r.Bytes(BlobBytesMax)
		a.Parents = list(r, ParentsMax, parentBytesMin, (*Parent).read)
		a.FetchInputs = r.Bool()
		a.ArrayIndex = int32(min(r.Uint(), math.MaxInt32)) - 1
	}
	r.End()
}

func (m *RequestRef) append(w *pack.Writer) {
	w.Array(3)
	w.String(m.Name)
	w.Uint(uint64(m.Session))
	w.String(m.SessionName)
}

func (m *RequestRef) read(r *pack.Reader) {
	r.Begin()
	m.Name = r.String(TextBytesMax)
	m.Session = SessionID(r.Uint())
	m.SessionName = r.String(TextBytesMax)
	r.End()
}

func (m *RunSpec) append(w *pack.Writer) {
	w.Array(6)
	w.Uint(uint64(m.Kind))
	w.Strings(m.Args)
	appendPairs(w, m.Env)
	w.String(m.Dir)
	w.Int(int64(m.Timeout))
	w.Uint(uint64(m.Slots))
}

func (m *RunSpec) read(r *pack.Reader) {
	r.Begin()
	m.Kind = WorkKind(r.Uint8())
	m.Args = args(r)
	m.Env = readPairs(r)
	m.Dir = r.String(ArgBytesMax)
	m.Timeout = readDuration(r)
	m.Slots = r.Uint32()
	r.End()
}

// table numbers pointers in the order in which they first come. Neighbours mostly share theirs.
type table[T any] struct {
	values []*T
	last   int
	at     map[*T]int // once there are more than scanMax
}

// scanMax is up to how many values a table is searched instead of hashed.
const scanMax = 8

func (t *table[T]) add(p *T) int {
	if t.last < len(t.values) && t.values[t.last] == p {
		return t.last
	}
	t.last = t.find(p)
	return t.last
}

func (t *table[T]) find(p *T) int {
	if t.at != nil {
		if i, ok := t.at[p]; ok {
			return i
		}
		t.at[p] = len(t.values)
	} else {
		for i, v := range t.values {
			if v == p {
				return i
			}
		}
	}
	t.values = append(t.values, p)
	if t.at == nil && len(t.values) > scanMax {
		t.at = make(map[*T]int, 4*scanMax)
		for i, v := range t.values {
			t.at[v] = i
		}
	}
	return len(t.values) - 1
}

func (t *table[T]) append(w *pack.Writer, write func(*T, *pack.Writer)) {
	w.Array(len(t.values))
	for _, v := range t.values {
		if v == nil {
			v = new(T)
		}
		write(v, w)
	}
}
