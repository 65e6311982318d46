package wire

import (
	"slices"
	"time"

	"github.com/musterhq/muster/rpc/pack"
)

// The least bytes that an element of a list takes in protocol version 1; later versions only add to it. A list that
// declares more elements than fit what is left is refused before anything is allocated: in memory an element is many
// times larger than the one byte that msgpack could spend on it.
const (
	reportBytesMin     = 5
	progressBytesMin   = 6
	assignmentBytesMin = 7
	requestRefBytesMin = 4
	runSpecBytesMin    = 7
	parentBytesMin     = 5
	submitJobBytesMin  = 5
	specBytesMin       = 19
	pairBytesMin       = 3
	jobInfoBytesMin    = 46
	serverBytesMin     = 10
)

// listMax is the most elements that a list may declare here.
func listMax(r *pack.Reader, max, bytesMin int) int { return min(max, r.Remaining()/bytesMin) }

// list reads a list element by element.
func list[T any](r *pack.Reader, max, bytesMin int, read func(*T, *pack.Reader)) []T {
	n := r.List(listMax(r, max, bytesMin))
	defer r.End()
	if n == 0 {
		return nil
	}
	values := make([]T, n)
	for i := range values {
		read(&values[i], r)
	}
	return values
}

// appendList writes a list element by element.
func appendList[T any](w *pack.Writer, values []T, write func(*T, *pack.Writer)) {
	w.Array(len(values))
	for i := range values {
		write(&values[i], w)
	}
}

// A time crosses as Unix nanoseconds in UTC; the zero time as 0.

func appendTime(w *pack.Writer, t time.Time) {
	if t.IsZero() {
		w.Int(0)
		return
	}
	w.Int(t.UnixNano())
}

func readTime(r *pack.Reader) time.Time {
	n := r.Int()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func readDuration(r *pack.Reader) time.Duration { return time.Duration(r.Int()) }

// readInt reads a signed integer into [low, high]; what lies outside becomes the nearer bound.
func readInt(r *pack.Reader, low, high int64) int64 { return min(max(r.Int(), low), high) }

func appendJobID(w *pack.Writer, id JobID) {
	w.Uint(uint64(id.Request))
	w.Uint(uint64(id.Index))
}

func readJobID(r *pack.Reader) JobID {
	return JobID{Request: RequestID(r.Uint()), Index: r.Uint32()}
}

// Attempts are written flat, three integers each.

func appendAttempts(w *pack.Writer, attempts []Attempt) {
	w.Array(3 * len(attempts))
	for _, a := range attempts {
		appendJobID(w, a.Job)
		w.Uint(uint64(a.Attempt))
	}
}

func readAttempts(r *pack.Reader) []Attempt {
	n := r.List(3*AttemptsMax) / 3
	defer r.End()
	if n == 0 {
		return nil
	}
	attempts := make([]Attempt, n)
	for i := range attempts {
		attempts[i] = Attempt{Job: readJobID(r), Attempt: r.Uint32()}
	}
	return attempts
}

// A need is written as one integer: its job and, in the low two bits, its condition. Where any is enough, needAny
// is set above the job: who does not know of that takes it for a job that there is not, and refuses it.
const needAny = 1 << 34

func appendNeeds(w *pack.Writer, needs []Need) {
	w.Array(len(needs))
	for _, n := range needs {
		v := uint64(n.Job)<<2 | uint64(n.When)&3
		if n.When.Any() {
			v |= needAny
		}
		w.Uint(v)
	}
}

func readNeeds(r *pack.Reader, max int) []Need {
	n := r.List(max)
	defer r.End()
	if n == 0 {
		return nil
	}
	needs := make([]Need, n)
	for i := range needs {
		v := r.Uint()
		n := Need{Job: uint32(min(v&^needAny>>2, uint64(NoJob))), When: When(v & 3)}
		if v&needAny != 0 {
			n.When |= WhenAny
		}
		needs[i] = n
	}
	return needs
}

func (p *Pair) append(w *pack.Writer) {
	w.Array(2)
	w.String(p.Key)
	w.String(p.Value)
}

func (p *Pair) read(r *pack.Reader) {
	r.Begin()
	p.Key = r.String(TextBytesMax)
	p.Value = r.String(ArgBytesMax)
	r.End()
}

func appendPairs(w *pack.Writer, pairs []Pair) { appendList(w, pairs, (*Pair).append) }

func readPairs(r *pack.Reader) []Pair { return list(r, PairsMax, pairBytesMin, (*Pair).read) }

// args reads a list of strings that may each be as large as an argument.
func args(r *pack.Reader) []string { return r.Strings(listMax(r, ArgsMax, 1), ArgBytesMax) }

// codes are written as one byte each.

func appendCodes(w *pack.Writer, codes []Code) {
	b := make([]byte, 0, 256)
	b = slices.Grow(b, len(codes))
	for _, c := range codes {
		b = append(b, byte(c))
	}
	w.Bytes(b)
}

func readCodes(r *pack.Reader) []Code {
	b := r.View(ReportsMax)
	if len(b) == 0 {
		return nil
	}
	codes := make([]Code, len(b))
	for i, c := range b {
		codes[i] = Code(c)
	}
	return codes
}
