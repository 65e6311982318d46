package cluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/config"
)

func TestRaftConfig(t *testing.T) {
	c := raftConfig(config.DefaultCoordinator().Raft, "id", testLog(t))
	if err := raft.ValidateConfig(c); err != nil {
		t.Fatal(err)
	}
	if c.PreVoteDisabled || c.NoSnapshotRestoreOnStart || c.ShutdownOnRemove || !c.BatchApplyCh || !c.NoLegacyTelemetry {
		t.Errorf("configuration %+v", c)
	}
}

// Bytes of log call for a snapshot, and a newcomer gets it instead of a log that is gone: with either log store.
func TestSnapshotByBytesReachesANewcomer(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{logStoreBolt, logStoreWAL} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t, 1)
			cfg.Raft.LogStore, cfg.Raft.SnapshotBytes, cfg.Raft.TrailingLogs = kind, 64<<10, 2
			first := start(t, cfg, false)
			leaderOf(t, first)
			payload := bytes.Repeat([]byte("x"), 4<<10)
			for range 32 {
				must(t, first.node.apply(payload, time.Second).Error())
			}
			eventually(t, "a snapshot", func() bool {
				list, err := first.node.stores.snapshots.List()
				at, _ := first.node.stores.log.FirstIndex()
				return err == nil && len(list) > 0 && at > 1
			})
			late := testConfig(t, 0)
			late.Raft.LogStore, late.Coordinators = kind, []string{first.rpc()}
			second := start(t, late, false)
			oneCluster(t, first, second)
			eventually(t, "the state arrives", func() bool { n, size := second.fsm.sum(); return n == 32 && size == 32*4<<10 })
			// raft-wal still reads what it has cut off while it is in a segment with the rest, so the log serves as well.
			if list, err := second.node.stores.snapshots.List(); kind == logStoreBolt && (err != nil || len(list) == 0) {
				t.Errorf("the newcomer has no snapshot: %v", err)
			}
			must(t, first.node.apply(payload, time.Second).Error())
			eventually(t, "what comes after it arrives", func() bool { n, _ := second.fsm.sum(); return n == 33 })
		})
	}
}

// A node that was removed stays out: it is not taken in again on its own.
func TestMembershipLeavesARemovedServerOut(t *testing.T) {
	t.Parallel()
	var rigs []*rig
	for _, cfg := range staticConfigs(t, 3, 3) {
		rigs = append(rigs, start(t, cfg, false))
	}
	leader := oneCluster(t, rigs...)
	out := rigs[0]
	if out == leader {
		out = rigs[1]
	}
	must(t, leader.node.raft.RemoveServer(out.node.id, 0, time.Second).Error())
	m := newMembership(leader.peers, leader.dir, leader.node, leader.log)
	for range promoteAfter + 1 {
		must(t, m.step(context.Background()))
	}
	if got := leader.voters(); got != 2 {
		t.Fatalf("%d voters, want 2", got)
	}
}

func TestStoresCloseOnce(t *testing.T) {
	t.Parallel()
	d := openTestDir(t, "m", "")
	cfg := config.DefaultCoordinator().Raft
	st, err := openStores(cfg, d, testLog(t), failOnFatal(t))
	must(t, err)
	must(t, st.close())
	must(t, st.close())
	cfg.LogStore = "tape"
	if _, err := openStores(cfg, d, testLog(t), failOnFatal(t)); err == nil {
		t.Error("an unknown log store was opened")
	}
}

// A snapshot whose last bytes do not fit is not left behind as a whole one.
func TestBufferedSinkCancelsWhenItCannotWrite(t *testing.T) {
	sink := &failingSink{}
	b, err := newSnapshotStore(sinkStore{sink: sink}, nil, 0, testLog(t), failOnFatal(t))
	must(t, err)
	s, err := b.Create(1, 1, 1, raft.Configuration{}, 1, nil)
	must(t, err)
	if _, err := s.Write([]byte("some")); err != nil {
		t.Fatalf("written through: %v", err)
	}
	if err := s.Close(); !errors.Is(err, os.ErrClosed) || !sink.cancelled || sink.closed {
		t.Fatalf("close: %v, cancelled %v, closed %v", err, sink.cancelled, sink.closed)
	}
}

type sinkStore struct {
	raft.SnapshotStore
	sink raft.SnapshotSink
}

func (sinkStore) List() ([]*raft.SnapshotMeta, error) { return nil, nil }

func (s sinkStore) Create(raft.SnapshotVersion, uint64, uint64, raft.Configuration, uint64, raft.Transport) (raft.SnapshotSink, error) {
	return s.sink, nil
}

type failingSink struct{ cancelled, closed bool }

func (s *failingSink) Write([]byte) (int, error) { return 0, os.ErrClosed }
func (s *failingSink) Close() error              { s.closed = true; return nil }
func (s *failingSink) Cancel() error             { s.cancelled = true; return nil }
func (s *failingSink) ID() string                { return "" }

func TestDiskSpace(t *testing.T) {
	t.Parallel()
	d, err := newDiskSpace(t.TempDir(), testLog(t))
	must(t, err)
	if d.freeBytes() == 0 {
		t.Error("nothing free on the test's own disk")
	}
	free := uint64(10 << 30)
	d.stat = func(string) (uint64, uint64, error) { return free, 20 << 30, nil } // the reserve is 1 %
	for _, c := range []struct {
		free uint64
		low  bool
	}{{10 << 30, false}, {205 << 20, false}, {204 << 20, true}, {0, true}, {1 << 30, false}} {
		free = c.free
		must(t, d.look())
		if d.low() != c.low || d.freeBytes() != c.free {
			t.Errorf("%d bytes free: low %v", c.free, d.low())
		}
	}
	for _, c := range []struct{ total, reserve uint64 }{
		{100 << 20, 10 << 20}, {4 << 30, 64 << 20}, {20 << 30, 20 << 30 / 100}, {1 << 50, 1 << 30},
	} {
		if got := diskReserve(c.total); got != c.reserve {
			t.Errorf("reserve of %d is %d, want %d", c.total, got, c.reserve)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = d.run(ctx) })
	cancel()
	done.Wait()
	if _, err := newDiskSpace(filepath.Join(t.TempDir(), "missing"), testLog(t)); err == nil {
		t.Error("a directory that is not there has space")
	}
}
