package fsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"github.com/musterhq/muster/rpc/pack"
)

// told is the state that goldenStory leaves, freshly made.
func told(t testing.TB) *Machine {
	m := New()
	for i, e := range goldenStory() {
		if _, err := m.Apply(uint64(i+1), 1, e); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// FuzzApply applies arbitrary bytes as an entry: no panic, and either an error that changed nothing or a state that
// is right.
func FuzzApply(f *testing.F) {
	for _, c := range every() {
		f.Add(NewEntry(1, Encode(c)))
		f.Add(NewEntry(1, Encode(filled(c))))
	}
	for _, e := range goldenStory() {
		f.Add(e)
	}
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, entry []byte) {
		m := told(t)
		before, index := m.Hash(), m.Index()
		_, err := m.Apply(index+1, 1, entry)
		if err != nil {
			if !errors.Is(err, ErrUnknownEntry) && !errors.Is(err, pack.ErrMalformed) {
				t.Fatalf("an error of no kind: %v", err)
			}
			if m.Hash() != before || m.Index() != index {
				t.Fatalf("%v, and the state changed", err)
			}
		}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

// script turns bytes into commands that look valid, with ids a little beyond what exists.
type script struct{ data []byte }

func (s *script) byte() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *script) below(n int) int { return int(s.byte()) % n }

func (s *script) request() RequestID  { return RequestID(s.below(6)) }
func (s *script) worker() WorkerID    { return WorkerID(s.below(5)) }
func (s *script) incarnation() uint32 { return uint32(s.below(3)) + uint32(s.below(2)) }

func (s *script) job() JobID {
	id := JobID{s.request(), uint32(s.below(7))}
	if s.below(16) == 0 {
		id.Index = NoJob
	}
	return id
}

func (s *script) duration() time.Duration {
	return []time.Duration{0, 0, 1, time.Second, time.Minute, 200 * time.Hour, 1<<63 - 1, -1}[s.below(8)]
}

func (s *script) small() uint32 {
	return []uint32{0, 1, 2, 3, 1<<16 - 1, 1 << 16, 1<<32 - 1, 5}[s.below(8)]
}

func (s *script) spec() JobSpec {
	labels := [][]Pair{nil, {{"gpu", "true"}}, {{"a", ""}, {"b", "x"}}, {{"b", ""}, {"a", ""}}}
	queues := []string{"default", "b", "", "nobody"}
	return JobSpec{
		Kind: WorkKind(s.below(5)), Args: []string{"x"}, Queue: queues[s.below(4)%(1+s.below(4))], Labels: labels[s.below(4)%(1+s.below(4))],
		Slots: uint32(s.below(4)), Priority: int8(s.byte()), Timeout: s.duration(), StartAfter: s.duration(), StartAt: int64(s.duration()),
		Retry:     Retry{Limit: s.small(), Backoff: s.duration(), Factor: s.small() * 1000, Max: s.duration(), Never: []int32{int32(s.below(3))}},
		LostLimit: s.small(),
	}
}

func (s *script) submit() SubmitRequest {
	c := SubmitRequest{
		Session: []string{"s", "other", "new", ""}[s.below(4)], Key: []string{"", "k", "k2", "k3"}[s.below(4)], Body: uint64(s.below(2)),
		MaxRunning: uint32(s.below(3)), OnFailure: OnFailure(s.below(3)), Specs: []JobSpec{simpleSpec()},
	}
	for range s.below(3) {
		c.Specs = append(c.Specs, s.spec())
	}
	for i := range s.below(7) {
		j := JobEntry{Name: fmt.Sprint(i), Spec: uint32(s.below(3))}
		for range s.below(3) {
			j.Needs = append(j.Needs, Need{Job: uint32(s.below(7)), When: When(s.below(20) / 18)})
		}
		c.Jobs = append(c.Jobs, j)
	}
	return c
}

func (s *script) limits() Limits {
	l := DefaultLimits()
	switch s.below(9) {
	case 0:
		l.KeepFor = s.duration()
	case 1:
		l.KeepRequests = s.small()
	case 2:
		l.KeepJobs = uint64(s.small())
	case 3:
		l.KeepKeys = s.duration()
	case 4:
		l.LiveJobs, l.Jobs, l.Needs = uint64(s.small()), s.small(), s.small()
	case 5:
		l.TextBytes, l.ResultBytes, l.Workers, l.Sessions = s.small(), s.small(), s.small(), s.small()
	case 6:
		l.Keys, l.SpecBytes = s.small(), s.small()
	case 7, 8:
		l.Steps, l.Uploads, l.UploadBytes, l.UploadFor = s.small(), s.small(), uint64(s.small())*1000, s.duration()
	}
	return l
}

// restore is a step of a restore: of the story's state, or of bytes that are none.
func (s *script) restore() Command {
	id, state, half := uint64(s.below(8)/7), storyState(), len(storyState())/2
	switch s.below(8) {
	case 0, 1:
		return BeginRestore{Restore: id, Bytes: []uint64{0, 1, uint64(len(state)), uint64(len(state)), 1 << 40}[s.below(5)]}
	case 2, 3:
		return RestorePart{Restore: id, Data: state[:half]}
	case 4:
		return RestorePart{Restore: id, Offset: uint64(half), Data: state[half:]}
	case 5, 6:
		return CommitRestore{Restore: id}
	default:
		return DropRestore{Restore: id}
	}
}

func (s *script) command() Command {
	switch s.below(23) {
	case 0:
		return OpenSession{Name: []string{"s", "new", ""}[s.below(3)]}
	case 1:
		return CloseSession{ID: SessionID(s.below(5))}
	case 2, 3:
		return s.submit()
	case 4:
		return CancelRequest{ID: s.request()}
	case 5:
		return RetryRequest{ID: s.request()}
	case 6:
		return JoinWorker{
			Name: "w", Identity: []string{"", "i1", "i2", "i3"}[s.below(4)], Process: uint64(s.below(3)), Queues: []string{"default", "b"}[:s.below(3)],
			Labels: []Pair{{"gpu", "true"}}[:s.below(2)], Slots: uint32(s.below(4)),
		}
	case 7:
		return LeaveWorker{Worker: s.worker(), Incarnation: s.incarnation()}
	case 8:
		return DrainWorker{Worker: s.worker(), Undo: s.below(2) == 0}
	case 9, 10:
		return PickJobs{Worker: s.worker(), Incarnation: s.incarnation(), Max: uint32(s.below(4)), Standing: s.below(2) == 0}
	case 11, 12, 13:
		c := JobStates{Worker: s.worker(), Incarnation: s.incarnation()}
		for range s.below(4) {
			c.Reports = append(c.Reports, JobReport{
				Job: s.job(), Attempt: uint32(s.below(4)), Kind: ReportKind(s.below(6)), Result: bytes.Repeat([]byte("x"), s.below(3)),
				Error: []string{"", "no", "\xff\xfe"}[s.below(3)], ExitCode: int32(s.below(3)), NoRetry: s.below(4) == 0, Timeout: s.below(4) == 0,
			})
		}
		return c
	case 14:
		return Progress{Items: []ProgressItem{{Job: s.job(), Attempt: uint32(s.below(4)), Percent: s.byte(), Text: "é\xff…"}}}
	case 15:
		return ReassignWorker{Worker: s.worker(), Incarnation: s.incarnation(), Term: uint64(1 + s.below(16)/15), Cause: "lost"}
	case 16:
		return Tick{Term: uint64(1 + s.below(16)/15)}
	case 17:
		c := s.submit()
		return BeginSubmit{Upload: uint64(s.below(2)), Session: c.Session, Key: c.Key, Body: c.Body, MaxRunning: c.MaxRunning, OnFailure: c.OnFailure, Jobs: uint32(s.below(4))}
	case 18:
		c := s.submit()
		for i := range c.Jobs {
			c.Jobs[i].Name = fmt.Sprint(s.below(9))
		}
		return SubmitPart{Upload: uint64(s.below(2)), Part: uint32(s.below(3)), Specs: c.Specs[:s.below(len(c.Specs))], Jobs: c.Jobs[:s.below(len(c.Jobs)+1)]}
	case 19:
		return []Command{DropSubmit{Upload: uint64(s.below(2))}, CommitSubmit{Upload: uint64(s.below(2)), Parts: uint32(s.below(4))}}[s.below(4)/3^1]
	case 20, 21:
		return s.restore()
	default:
		return SetLimits{Limits: s.limits()}
	}
}

// FuzzCommands lets the fuzzer write whole logs. After each entry the invariants hold; at the end a replay of the log
// and a replay from a snapshot taken half-way come to the same state.
func FuzzCommands(f *testing.F) {
	f.Add([]byte{})
	for seed := range byte(8) {
		data := make([]byte, 400)
		x := uint32(seed) + 1
		for i := range data {
			x = x*1664525 + 1013904223
			data[i] = byte(x >> 24)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		s := &script{data}
		m := told(t)
		log := goldenStory()
		now := m.Now()
		var half []byte
		for len(s.data) > 0 && len(log) < 200 {
			now += int64([]time.Duration{0, 1, time.Second, time.Minute, 24 * time.Hour, -time.Hour}[s.below(6)])
			var encoded [][]byte
			for range 1 + s.below(3) {
				encoded = append(encoded, Encode(s.command()))
			}
			entry := NewEntry(now, encoded...)
			log = append(log, entry)
			apply(t, m, uint64(len(log)), entry)
			if half == nil && len(s.data) < len(data)/2 {
				half = snapshot(t, m)
			}
		}
		replayed := New()
		for i, e := range log {
			if _, err := replayed.Apply(uint64(i+1), 1, e); err != nil {
				t.Fatal(err)
			}
		}
		if replayed.Hash() != m.Hash() {
			t.Fatal("a replay came to another state")
		}
		if half == nil {
			return
		}
		restored, err := Restore(bytes.NewReader(half))
		if err != nil {
			t.Fatal(err)
		}
		for i := restored.Index(); i < uint64(len(log)); i++ {
			apply(t, restored, i+1, log[i])
		}
		if restored.Hash() != m.Hash() {
			t.Fatal("a replay from a snapshot came to another state")
		}
	})
}

// framed puts records into a snapshot of one chunk, with the right sum.
func framed(records []byte) []byte {
	out := append([]byte(snapshotMagic), make([]byte, chunkHeaderSize)...)
	binary.BigEndian.PutUint32(out[len(snapshotMagic):], uint32(len(records)))
	binary.BigEndian.PutUint32(out[len(snapshotMagic)+4:], crc32.Checksum(records, castagnoli))
	return append(out, records...)
}

// ended adds the last record, with the hash of what the records come to, so that only their meaning can be wrong.
func ended(records []byte) []byte {
	re := &restorer{m: New()}
	if err := re.chunk(records); err == nil {
		re.m.db.settle()
	}
	w := pack.NewWriter()
	defer w.Free()
	w.Raw(records)
	w.Array(2)
	w.Uint(uint64(recordEnd))
	w.Uint(re.m.Hash())
	return w.Copy()
}

// FuzzRestore reads arbitrary bytes as a snapshot, as they are and with sums and hash put right: no panic, and what
// is restored is a state that can be worked with.
func FuzzRestore(f *testing.F) {
	real := snapshot(f, told(f))
	f.Add(real)
	// [2, hash] is the last record: a head of one byte, a kind of one and up to nine of the hash.
	records := real[len(snapshotMagic)+chunkHeaderSize:]
	for end := len(records) - 1; end > 0; end-- {
		if records[end] == byte(recordEnd) && records[end-1] == 0x92 {
			records = records[:end-1]
			break
		}
	}
	f.Add(records)
	f.Add([]byte(snapshotMagic + "\xff\xff\xff\xff\x00\x00\x00\x00"))
	next := NewEntry(1_800_000_000_000_000_000, Encode(Tick{Term: 1}), Encode(PickJobs{Worker: 1, Incarnation: 1, Max: 9, Standing: true}),
		Encode(report(1, 1, 1, 1, 1, ReportDone)), Encode(ReassignWorker{Worker: 1, Incarnation: 1, Term: 1}), Encode(CancelRequest{ID: 1}), Encode(RetryRequest{ID: 1}))
	f.Fuzz(func(t *testing.T, data []byte) {
		for how, bytesOf := range map[string]func([]byte) []byte{
			"as it is":    func(b []byte) []byte { return b },
			"framed":      framed,
			"with a hash": func(b []byte) []byte { return framed(ended(b)) },
		} {
			m, err := Restore(bytes.NewReader(bytesOf(data)))
			if err != nil {
				if !errors.Is(err, ErrBadSnapshot) {
					t.Fatalf("%s: %v is not ErrBadSnapshot", how, err)
				}
				continue
			}
			if err := m.Check(); err != nil {
				t.Fatalf("%s: it was believed: %v", how, err)
			}
			if _, err := m.Apply(m.Index()+1, 1, next); err != nil {
				t.Fatal(err)
			}
			if err := m.Check(); err != nil {
				t.Fatalf("%s: after one entry: %v", how, err)
			}
		}
	})
}
