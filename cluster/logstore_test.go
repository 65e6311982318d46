package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// reasons is a fatalFunc that remembers.
type reasons struct {
	mu   sync.Mutex
	list []string
}

func (r *reasons) fatal(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, reason)
}

func (r *reasons) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.list, "\n")
}

// deletes is an in-memory store that remembers each DeleteRange, and fails or hangs on demand.
type deletes struct {
	*raft.InmemStore
	ranges []string
	fail   error
	hang   chan struct{}
}

func (d *deletes) DeleteRange(lo, hi uint64) error {
	d.ranges = append(d.ranges, fmt.Sprintf("%d-%d", lo, hi))
	return d.InmemStore.DeleteRange(lo, hi)
}

func (d *deletes) StoreLogs(logs []*raft.Log) error {
	if d.hang != nil {
		<-d.hang
	}
	if d.fail != nil {
		return d.fail
	}
	return d.InmemStore.StoreLogs(logs)
}

func newTestLog(r *reasons) (*logStore, *deletes) {
	d := &deletes{InmemStore: raft.NewInmemStore()}
	return newLogStore(d, &diskGuard{path: "log.db", fatal: r.fatal, limit: time.Second}), d
}

func entries(from, to uint64) []*raft.Log {
	var list []*raft.Log
	for i := from; i <= to; i++ {
		list = append(list, &raft.Log{Index: i, Term: 1, Data: fmt.Append(nil, "entry ", i)})
	}
	return list
}

func TestLogStoreGivesBackWhatWasStored(t *testing.T) {
	s, _ := newTestLog(new(reasons))
	in := &raft.Log{Index: 1, Term: 3, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: time.Unix(5, 0)}
	none := &raft.Log{Index: 2, Term: 3, Type: raft.LogNoop}
	if err := s.StoreLogs([]*raft.Log{in, none}); err != nil {
		t.Fatal(err)
	}
	if string(in.Extensions) != "ext" {
		t.Fatalf("the entry that Raft holds was changed: %q", in.Extensions)
	}
	for _, want := range []*raft.Log{in, none} {
		var got raft.Log
		if err := s.GetLog(want.Index, &got); err != nil {
			t.Fatal(err)
		}
		if got.Term != want.Term || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Extensions, want.Extensions) {
			t.Fatalf("got %+v, want %+v", got, *want)
		}
	}
	if err := s.GetLog(3, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) || errors.Is(err, ErrCorruptEntry) {
		t.Fatalf("entry that is not there: %v", err)
	}
	if got := s.appendedBytes(); got != 4+2*entryOverheadBytes {
		t.Fatalf("appended %d bytes", got)
	}
}

// Whatever changes on disk, it is named by its index and never handed out.
func TestLogStoreNamesCorruption(t *testing.T) {
	for name, damage := range map[string]func(*raft.Log){
		"data":           func(l *raft.Log) { l.Data[0] ^= 1 },
		"lost data":      func(l *raft.Log) { l.Data = nil },
		"term":           func(l *raft.Log) { l.Term++ },
		"type":           func(l *raft.Log) { l.Type = raft.LogBarrier },
		"index":          func(l *raft.Log) { l.Index++ },
		"checksum":       func(l *raft.Log) { l.Extensions[2] ^= 1 },
		"no checksum":    func(l *raft.Log) { l.Extensions = nil },
		"newer version":  func(l *raft.Log) { l.Extensions[0]++ },
		"more extension": func(l *raft.Log) { l.Extensions = append(l.Extensions, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			var r reasons
			s, inner := newTestLog(&r)
			if err := s.StoreLogs(entries(7, 7)); err != nil {
				t.Fatal(err)
			}
			var stored raft.Log
			if err := inner.GetLog(7, &stored); err != nil {
				t.Fatal(err)
			}
			stored.Data, stored.Extensions = slices.Clone(stored.Data), slices.Clone(stored.Extensions)
			damage(&stored)
			broken := &brokenStore{InmemStore: inner.InmemStore, entry: stored}
			s.inner = broken
			var got raft.Log
			err := s.GetLog(7, &got)
			if !errors.Is(err, ErrCorruptEntry) || !strings.Contains(err.Error(), "index 7") {
				t.Fatalf("error %v", err)
			}
			if got.Data != nil || got.Index != 0 {
				t.Fatalf("corrupt data was handed out: %+v", got)
			}
			if !strings.Contains(r.all(), "joins anew") {
				t.Fatalf("fatal: %q", r.all())
			}
		})
	}
}

// brokenStore gives one entry for every index; without one it panics.
type brokenStore struct {
	*raft.InmemStore
	entry raft.Log
}

func (b *brokenStore) GetLog(_ uint64, l *raft.Log) error {
	if b.entry.Index == 0 {
		panic("slice bounds out of range")
	}
	*l = b.entry
	return nil
}

func TestLogStoreSurvivesAPanickingDecoder(t *testing.T) {
	var r reasons
	s, _ := newTestLog(&r)
	s.inner = &brokenStore{}
	if err := s.GetLog(4, new(raft.Log)); !errors.Is(err, ErrCorruptEntry) || !strings.Contains(err.Error(), "index 4") {
		t.Fatalf("error %v", err)
	}
}

// At each moment what is left has no gap: a prefix goes from the old end, anything with the newest entry from the new end.
func TestLogStoreDeletesInChunks(t *testing.T) {
	for _, c := range []struct {
		name   string
		lo, hi uint64
		want   string
		left   [2]uint64
	}{
		{"prefix", 1, 600, "1-256 257-512 513-600", [2]uint64{601, 1000}},
		{"prefix from before the log", 0, 300, "1-256 257-300", [2]uint64{301, 1000}},
		{"suffix", 400, 1000, "745-1000 489-744 400-488", [2]uint64{1, 399}},
		{"suffix beyond the log", 900, 5000, "900-1000", [2]uint64{1, 899}},
		{"all", 1, 1000, "745-1000 489-744 233-488 1-232", [2]uint64{0, 0}},
		{"nothing", 5, 4, "", [2]uint64{1, 1000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, inner := newTestLog(new(reasons))
			if err := s.StoreLogs(entries(1, 1000)); err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteRange(c.lo, c.hi); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(inner.ranges, " "); got != c.want {
				t.Errorf("deleted %q, want %q", got, c.want)
			}
			first, _ := s.FirstIndex()
			last, _ := s.LastIndex()
			if c.left[0] != 0 && (first != c.left[0] || last != c.left[1]) {
				t.Errorf("left %d to %d, want %v", first, last, c.left)
			}
		})
	}
	empty, inner := newTestLog(new(reasons))
	if err := empty.DeleteRange(1, 10); err != nil || len(inner.ranges) > 0 {
		t.Errorf("empty log: %v, %v", err, inner.ranges)
	}
}

func TestDiskGuardEndsANodeWhoseWriteFails(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("input/output error"), "see to the disk"},
		{fmt.Errorf("write log.db: %w", syscall.ENOSPC), "the disk is full: make room"},
	} {
		var r reasons
		s, inner := newTestLog(&r)
		inner.fail = c.err
		if err := s.StoreLog(entries(1, 1)[0]); !errors.Is(err, c.err) {
			t.Errorf("error %v", err)
		}
		if got := r.all(); !strings.Contains(got, "log.db") || !strings.Contains(got, c.want) {
			t.Errorf("fatal %q", got)
		}
		if s.appendedBytes() != 0 {
			t.Error("a failed write was counted")
		}
		s.guard.quiet.Store(true)
		before := r.all()
		_ = s.StoreLog(entries(1, 1)[0])
		if r.all() != before {
			t.Error("a write after close ended the node")
		}
	}
}

func TestDiskGuardEndsANodeWhoseWriteHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reasons
		s, inner := newTestLog(&r)
		if err := s.StoreLog(entries(1, 1)[0]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := r.all(); got != "" {
			t.Fatalf("a finished write: %q", got)
		}
		inner.hang = make(chan struct{})
		go func() { _ = s.StoreLog(entries(2, 2)[0]) }()
		time.Sleep(999 * time.Millisecond)
		if got := r.all(); got != "" {
			t.Fatalf("too early: %q", got)
		}
		time.Sleep(2 * time.Millisecond)
		if got := r.all(); !strings.Contains(got, "hanging for 1s") || !strings.Contains(got, "disk_stall_limit") {
			t.Fatalf("fatal %q", got)
		}
		close(inner.hang)
	})
}

func TestStableStoreIsGuarded(t *testing.T) {
	var r reasons
	s := &stableStore{failingStable{raft.NewInmemStore()}, &diskGuard{path: "stable.db", fatal: r.fatal}}
	if s.Set([]byte("k"), nil) == nil || s.SetUint64([]byte("k"), 1) == nil {
		t.Fatal("no error")
	}
	if got := r.all(); strings.Count(got, "stable.db") != 2 {
		t.Fatalf("fatal %q", got)
	}
}

type failingStable struct{ *raft.InmemStore }

func (failingStable) Set([]byte, []byte) error       { return syscall.EIO }
func (failingStable) SetUint64([]byte, uint64) error { return syscall.EIO }

// A node that ends itself says why and where it was, with a status of its own.
func TestExitOnFatal(t *testing.T) {
	if os.Getenv("MUSTER_TEST_FATAL") != "" {
		exitOnFatal(hclog.New(&hclog.LoggerOptions{Output: os.Stderr}))("the disk hangs")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestExitOnFatal$")
	cmd.Env = append(os.Environ(), "MUSTER_TEST_FATAL=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitDisk {
		t.Fatalf("%v: %s", err, out)
	}
	if !bytes.Contains(out, []byte("the disk hangs")) || !bytes.Contains(out, []byte("TestExitOnFatal")) {
		t.Errorf("output: %s", out)
	}
}
