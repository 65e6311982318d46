package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// image is what is on a disk.
type image struct {
	logs        map[uint64]raft.Log
	first, last uint64
	values      map[string][]byte
	snapshots   []snapshot // newest first
}

type snapshot struct {
	meta raft.SnapshotMeta
	data []byte
}

func newImage() *image {
	return &image{logs: make(map[uint64]raft.Log), values: make(map[string][]byte)}
}

func (i *image) clone() *image {
	return &image{logs: maps.Clone(i.logs), first: i.first, last: i.last, values: maps.Clone(i.values), snapshots: slices.Clone(i.snapshots)}
}

// disk is an image under one process, with latencies. It implements raft.LogStore, raft.StableStore and
// raft.SnapshotStore.
type disk struct {
	name  string
	steps *stepTrap
	keep  int
	lag   time.Duration // planted bug: what was written later than that ago is lost in a crash

	files [3]chan struct{} // one write at a time in each
	dead  chan struct{}    // closed by the crash

	mu      sync.Mutex
	dice    dice
	img     *image
	pending map[*change]bool
	recent  []*change // with lag: not yet safe
	safe    *image    // with lag
	hang    time.Time // writes wait until then
	slow    time.Duration
	writes  uint64
}

// change is one write: durable as a whole or not at all.
type change struct {
	at   time.Time
	make func(*image)
}

const (
	logFile = iota
	stableFile
	snapshotFile
)

func newDisk(name string, img *image, d dice, steps *stepTrap, keep int, lag time.Duration) *disk {
	s := &disk{name: name, steps: steps, keep: keep, lag: lag, dice: d, img: img, pending: make(map[*change]bool), dead: make(chan struct{}), slow: time.Millisecond}
	for i := range s.files {
		s.files[i] = make(chan struct{}, 1)
	}
	if lag > 0 {
		s.safe = img.clone()
	}
	return s
}

// write makes a change durable, which takes a while. A process that has crashed meanwhile is told that all went well: it
// is past being heard.
func (d *disk) write(file int, f func(*image)) error {
	d.steps.step(d.name)
	select {
	case d.files[file] <- struct{}{}:
		defer func() { <-d.files[file] }()
	case <-d.dead:
	}
	c := &change{make: f}
	d.mu.Lock()
	d.writes++
	d.pending[c] = true
	wait := 100*time.Microsecond + d.dice.around(d.slow)
	if h := time.Until(d.hang); h > 0 {
		wait += h
	}
	d.mu.Unlock()
	limit := time.NewTimer(wait)
	defer limit.Stop()
	select {
	case <-limit.C:
	case <-d.dead:
	}
	d.mu.Lock()
	delete(d.pending, c)
	c.make(d.img)
	if d.lag > 0 {
		c.at = time.Now()
		d.recent = append(d.recent, c)
		d.settle()
	}
	d.mu.Unlock()
	d.steps.step(d.name)
	return nil
}

// settle makes old changes safe. Call it with mu held.
func (d *disk) settle() {
	for len(d.recent) > 0 && time.Since(d.recent[0].at) > d.lag {
		d.recent[0].make(d.safe)
		d.recent = d.recent[1:]
	}
}

// crash is the disk as the next process finds it: each write that was under way is there or not.
func (d *disk) crash() *image {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := d.img
	if d.lag > 0 {
		d.settle()
		left = d.safe
	}
	left = left.clone()
	for c := range d.pending {
		if d.dice.chance(0.5) && d.lag == 0 {
			c.make(left)
		}
	}
	close(d.dead)
	return left
}

func (d *disk) setSlow(mean time.Duration, hang time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow, d.hang = mean, hang
}

// read looks at the image.
func read[T any](d *disk, f func(*image) (T, error)) (T, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return f(d.img)
}

func (d *disk) FirstIndex() (uint64, error) {
	return read(d, func(i *image) (uint64, error) { return i.first, nil })
}

func (d *disk) LastIndex() (uint64, error) {
	return read(d, func(i *image) (uint64, error) { return i.last, nil })
}

func (d *disk) GetLog(index uint64, l *raft.Log) error {
	_, err := read(d, func(i *image) (_ struct{}, err error) {
		e, ok := i.logs[index]
		if !ok {
			err = raft.ErrLogNotFound
		}
		*l = e
		return
	})
	return err
}

func (d *disk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

func (d *disk) StoreLogs(logs []*raft.Log) error {
	copies := make([]raft.Log, len(logs))
	for i, l := range logs {
		copies[i] = *l
	}
	return d.write(logFile, func(i *image) {
		for _, l := range copies {
			i.logs[l.Index] = l
			if i.first == 0 {
				i.first = l.Index
			}
			i.first, i.last = min(i.first, l.Index), max(i.last, l.Index)
		}
	})
}

func (d *disk) DeleteRange(from, to uint64) error {
	return d.write(logFile, func(i *image) {
		for n := from; n <= to; n++ {
			delete(i.logs, n)
		}
		i.first, i.last = 0, 0
		for n := range i.logs {
			if i.first == 0 || n < i.first {
				i.first = n
			}
			i.last = max(i.last, n)
		}
	})
}

// errNoValue has the text that Raft compares with.
var errNoValue = errors.New("not found")

func (d *disk) Get(key []byte) ([]byte, error) {
	return read(d, func(i *image) ([]byte, error) {
		if v, ok := i.values[string(key)]; ok {
			return v, nil
		}
		return nil, errNoValue
	})
}

func (d *disk) Set(key, value []byte) error {
	k, v := string(key), slices.Clone(value)
	return d.write(stableFile, func(i *image) { i.values[k] = v })
}

func (d *disk) GetUint64(key []byte) (uint64, error) {
	v, err := d.Get(key)
	if err != nil {
		return 0, err
	}
	var n uint64
	_, err = fmt.Sscan(string(v), &n)
	return n, err
}

func (d *disk) SetUint64(key []byte, n uint64) error { return d.Set(key, fmt.Append(nil, n)) }

// sink writes a snapshot, which is there once it is closed.
type sink struct {
	bytes.Buffer
	d    *disk
	meta raft.SnapshotMeta
}

func (d *disk) Create(version raft.SnapshotVersion, index, term uint64, servers raft.Configuration, at uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	return &sink{d: d, meta: raft.SnapshotMeta{
		Version: version, ID: fmt.Sprintf("%d-%d-%d", term, index, time.Now().UnixNano()),
		Index: index, Term: term, Configuration: servers.Clone(), ConfigurationIndex: at,
	}}, nil
}

func (s *sink) ID() string    { return s.meta.ID }
func (s *sink) Cancel() error { return nil }

func (s *sink) Close() error {
	s.meta.Size = int64(s.Len())
	snap := snapshot{s.meta, slices.Clone(s.Bytes())}
	return s.d.write(snapshotFile, func(i *image) {
		list := append([]snapshot{snap}, i.snapshots...) // of two of one index the newer is first, as Raft's own store has it
		slices.SortStableFunc(list, func(a, b snapshot) int {
			if a.meta.Term != b.meta.Term {
				return int(b.meta.Term) - int(a.meta.Term)
			}
			return int(b.meta.Index) - int(a.meta.Index)
		})
		i.snapshots = list[:min(len(list), s.d.keep)]
	})
}

func (d *disk) List() ([]*raft.SnapshotMeta, error) {
	return read(d, func(i *image) (list []*raft.SnapshotMeta, _ error) {
		for _, s := range i.snapshots {
			m := s.meta
			list = append(list, &m)
		}
		return list, nil
	})
}

func (d *disk) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s, err := read(d, func(i *image) (snapshot, error) {
		for _, s := range i.snapshots {
			if s.meta.ID == id {
				return s, nil
			}
		}
		return snapshot{}, fmt.Errorf("snapshot %s is gone", id)
	})
	return &s.meta, io.NopCloser(bytes.NewReader(s.data)), err
}
