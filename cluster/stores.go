package cluster

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"github.com/musterhq/muster/config"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Kinds of log store, as raft.log_store names them.
const (
	logStoreBolt = "boltdb"
	logStoreWAL  = "wal"
)

const (
	boltLockTimeout = time.Second // a second process fails instead of waiting for ever
	boltMmapBytes   = 1 << 30     // address space, not memory: growing the map would wait for every reader
	stableMmapBytes = 1 << 20
	logCacheBytes   = 32 << 20 // of the newest entries, at their target size
	logCacheMin     = 32       // entries
	logCacheMax     = 512      // entries
)

// stores is what Raft keeps on disk, opened and closed together.
type stores struct {
	log       *logStore
	cache     *raft.LogCache // log with its newest entries in memory
	stable    *stableStore
	snapshots raft.SnapshotStore
	newest    *snapshotMark
	replay    int64 // bytes of log after the newest snapshot

	guards  []*diskGuard
	closers []func() error
	once    sync.Once
}

// openStores opens what is in the data directory, after checking that Raft can start on it.
func openStores(cfg config.Raft, d *dataDir, log hclog.Logger, fatal fatalFunc) (_ *stores, err error) {
	if err := checkFiles(cfg, d); err != nil {
		return nil, err
	}
	s := new(stores)
	defer func() {
		if p := recover(); p != nil { // bbolt panics on pages that make no sense
			err = fmt.Errorf("open the stores in %s: %v: move the directory away and start again, so that the node joins anew", d.path, p)
		}
		if err != nil {
			_ = s.close()
		}
	}()
	// The log before the stable store, see checkFiles.
	if err := s.openLog(cfg, d, log, fatal); err != nil {
		return nil, err
	}
	if err := checkVotes(d, s.log); err != nil {
		return nil, err
	}
	if err := s.openStable(cfg, d, fatal); err != nil {
		return nil, err
	}
	var term uint64
	if s.replay, term, err = checkData(d, s.log, log); err != nil {
		return nil, err
	}
	if err := s.stable.check(term); err != nil {
		return nil, err
	}
	files, err := raft.NewFileSnapshotStoreWithLogger(d.path, max(cfg.SnapshotsRetain, 1), log.Named("snapshots"))
	if err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	if err := s.keepSnapshots(files, cfg, log, fatal); err != nil {
		return nil, err
	}
	s.quiet(false)
	return s, nil
}

func (s *stores) keepSnapshots(in raft.SnapshotStore, cfg config.Raft, log hclog.Logger, fatal fatalFunc) error {
	store, err := newSnapshotStore(in, s.cache, cfg.TrailingLogs, log, fatal)
	s.snapshots, s.newest = store, store.newest
	return err
}

func (s *stores) openLog(cfg config.Raft, d *dataDir, log hclog.Logger, fatal fatalFunc) error {
	guard := s.guard("", cfg, fatal)
	var inner raft.LogStore
	switch cfg.LogStore {
	case logStoreBolt:
		guard.path = d.file(boltLogFile)
		b, err := openBolt(guard.path, boltMmapBytes)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, b.Close)
		inner = b
	case logStoreWAL:
		guard.path = d.file(walLogDir)
		if err := os.MkdirAll(guard.path, 0o700); err != nil {
			return fmt.Errorf("make log directory: %w", err)
		}
		w, err := wal.Open(guard.path, wal.WithLogger(log.Named("wal")))
		if err != nil {
			return fmt.Errorf("open log %s: %w", guard.path, err)
		}
		s.closers = append(s.closers, w.Close)
		inner = w
	default:
		return fmt.Errorf("raft.log_store %q: want %s or %s", cfg.LogStore, logStoreBolt, logStoreWAL)
	}
	s.log = newLogStore(inner, guard)
	return s.cacheLog(cfg)
}

// cacheLog puts the newest entries of the log into memory.
func (s *stores) cacheLog(cfg config.Raft) (err error) {
	entries := logCacheMin
	if cfg.EntryBytes > 0 {
		entries = min(max(logCacheBytes/cfg.EntryBytes, logCacheMin), logCacheMax)
	}
	s.cache, err = raft.NewLogCache(entries, s.log)
	return err
}

func (s *stores) openStable(cfg config.Raft, d *dataDir, fatal fatalFunc) error {
	guard := s.guard(d.file(stableFile), cfg, fatal)
	b, err := openBolt(guard.path, stableMmapBytes)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, b.Close)
	s.stable = &stableStore{b, guard}
	return nil
}

func openBolt(path string, mmap int) (*raftboltdb.BoltStore, error) {
	if err := checkBolt(path); err != nil {
		return nil, err
	}
	b, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
		Timeout: boltLockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mmap,
	}})
	if err != nil {
		next := rejoin
		if errors.Is(err, bolterrors.ErrTimeout) {
			next = "another process has it open"
		}
		return nil, fmt.Errorf("open %s: %w: %s", path, err, next)
	}
	return b, nil
}

// guard makes one that is quiet until the stores are open.
func (s *stores) guard(path string, cfg config.Raft, fatal fatalFunc) *diskGuard {
	g := &diskGuard{limit: cfg.DiskStallLimit, fatal: fatal, path: path}
	g.quiet.Store(true)
	s.guards = append(s.guards, g)
	return g
}

func (s *stores) quiet(on bool) {
	for _, g := range s.guards {
		g.quiet.Store(on)
	}
}

// close closes everything, once. Raft must have ended.
func (s *stores) close() error {
	var errs []error
	s.once.Do(func() {
		s.quiet(true)
		for _, f := range s.closers {
			errs = append(errs, f())
		}
	})
	return errors.Join(errs...)
}
