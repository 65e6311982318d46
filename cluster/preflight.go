package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/config"
)

// Raft panics, or takes itself for a new node, when its files do not fit together. So they are checked before it starts,
// and what is wrong is said with the file and the next step.

const rejoin = "move the data directory away and start again, so that the node joins anew and gets its state from the others"

// Names inside a snapshot's directory, fixed by raft.FileSnapshotStore.
const (
	snapshotMeta  = "meta.json"
	snapshotState = "state.bin"
	snapshotTmp   = ".tmp"
)

// checkFiles looks for stores that were removed one without the other. The log is made first and the stable store next:
// only a crash between the two leaves an empty log alone.
func checkFiles(cfg config.Raft, d *dataDir) error {
	logPath := d.file(boltLogFile)
	if cfg.LogStore == logStoreWAL {
		logPath = d.file(walLogDir)
	}
	if exists(d.file(stableFile)) && !hasData(logPath) {
		return fmt.Errorf("%s is missing or empty but %s is there: restore it, or %s", logPath, d.file(stableFile), rejoin)
	}
	if !hasData(logPath) && exists(d.file(snapshotsDir)) {
		return fmt.Errorf("%s is missing or empty but %s is there: restore it, or %s", logPath, d.file(snapshotsDir), rejoin)
	}
	return nil
}

// checkVotes looks for a stable store that was removed beside a log: the node could vote twice in one term.
func checkVotes(d *dataDir, log *logStore) error {
	if hasData(d.file(stableFile)) {
		return nil
	}
	last, err := log.LastIndex()
	if err != nil {
		return fmt.Errorf("read %s: %w", log.guard.path, err)
	}
	if last > 0 || exists(d.file(snapshotsDir)) {
		return fmt.Errorf("%s is missing or empty but %s has entries: restore it, or %s", d.file(stableFile), log.guard.path, rejoin)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// hasData says whether a file or directory is there and, a file, not empty: Bolt would take an empty one for a new store.
func hasData(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && (info.IsDir() || info.Size() > 0)
}

// checkData makes sure that Raft can start from the newest snapshot and the log after it, mends what it safely can, and
// returns the bytes of log that will be replayed, and the term of the newest entry or snapshot.
func checkData(d *dataDir, log *logStore, logger hclog.Logger) (replay int64, term uint64, err error) {
	newest, damaged, err := newestSnapshot(d, logger)
	if err != nil {
		return 0, 0, err
	}
	if err := dropStaleLog(newest, log, logger); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", log.guard.path, err)
	}
	first, err := log.FirstIndex()
	if err != nil {
		return 0, 0, fmt.Errorf("read %s: %w", log.guard.path, err)
	}
	last, err := log.LastIndex()
	if err != nil {
		return 0, 0, fmt.Errorf("read %s: %w", log.guard.path, err)
	}
	if first > newest.Index+1 && last > newest.Index {
		return 0, 0, fmt.Errorf("%s begins at entry %d, but the newest readable snapshot in %s ends at %d: entries are missing; restore the snapshot, or %s",
			log.guard.path, first, d.file(snapshotsDir), newest.Index, rejoin)
	}
	if lost := lastIndexOf(damaged); lost > max(last, newest.Index) {
		return 0, 0, fmt.Errorf("%s cannot be read, and nothing else here reaches entry %d: restore it, or %s", strings.Join(damaged, ", "), lost, rejoin)
	}
	term = newest.Term
	for i := newest.Index + 1; i <= last; i++ {
		var e raft.Log
		if err := log.GetLog(i, &e); err != nil {
			return 0, 0, fmt.Errorf("read %s, entry %d of %d: %w: %s", log.guard.path, i, last, err, rejoin)
		}
		replay += int64(entrySize(&e))
		term = e.Term
	}
	return replay, term, setAside(d, damaged)
}

// dropStaleLog deletes what a log has up to the newest snapshot when it is not the log that the snapshot was made of: it may
// never have been committed. An entry of another term at the snapshot's index makes all of it another branch (Ongaro 2014,
// fig. 5.3, InstallSnapshot). Without an entry there, what is before it was left behind when a snapshot was installed.
func dropStaleLog(newest raft.SnapshotMeta, log raft.LogStore, logger hclog.Logger) error {
	if newest.Index == 0 {
		return nil
	}
	first, err := log.FirstIndex()
	if err != nil {
		return fmt.Errorf("first entry of the log: %w", err)
	}
	last, err := log.LastIndex()
	if err != nil {
		return fmt.Errorf("last entry of the log: %w", err)
	}
	if first == 0 || first > newest.Index {
		return nil
	}
	var e raft.Log
	err = log.GetLog(newest.Index, &e)
	switch {
	case errors.Is(err, raft.ErrLogNotFound):
		last = min(last, newest.Index)
		logger.Info("dropping what the log has in front of an installed snapshot", "index", newest.Index, "first", first, "last", last)
	case err != nil:
		return fmt.Errorf("read the log: %w: %s", err, rejoin)
	case e.Term == newest.Term:
		return nil
	default:
		logger.Warn("dropping a log that is of another branch than the snapshot", "index", newest.Index,
			"log_term", e.Term, "snapshot_term", newest.Term, "first", first, "last", last)
	}
	return log.DeleteRange(first, last)
}

// snapshotInfo is what raft.FileSnapshotStore writes about a snapshot.
type snapshotInfo struct {
	raft.SnapshotMeta
	CRC []byte
}

// newestSnapshot is the newest one that can be read, zero when there is none at all, and the paths of those that are newer
// or unknown and cannot. An older snapshot serves as well when the log goes on from it, which the caller checks.
func newestSnapshot(d *dataDir, logger hclog.Logger) (newest raft.SnapshotMeta, damaged []string, err error) {
	infos, damaged, err := listSnapshots(d, logger)
	if err != nil {
		return newest, nil, err
	}
	for _, info := range infos {
		path := filepath.Join(d.file(snapshotsDir), info.ID)
		err := verifySnapshot(path, info)
		if err == nil {
			return info.SnapshotMeta, damaged, nil
		}
		logger.Warn("snapshot cannot be read", "path", path, "error", err)
		damaged = append(damaged, path)
	}
	if len(damaged) > 0 {
		return newest, nil, fmt.Errorf("none of the snapshots %s can be read: restore one, or %s", strings.Join(damaged, ", "), rejoin)
	}
	return newest, nil, nil
}

// listSnapshots removes what is left of snapshots that were not finished, and returns the others, newest first.
func listSnapshots(d *dataDir, logger hclog.Logger) (infos []snapshotInfo, damaged []string, err error) {
	dir := d.file(snapshotsDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read snapshots: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case !e.IsDir():
		case strings.HasSuffix(e.Name(), snapshotTmp):
			logger.Info("removing a snapshot that was not finished", "path", path)
			if err := os.RemoveAll(path); err != nil {
				return nil, nil, fmt.Errorf("remove unfinished snapshot: %w", err)
			}
		default:
			info, err := readSnapshotInfo(path)
			if err != nil {
				logger.Warn("snapshot cannot be read", "path", path, "error", err)
				damaged = append(damaged, path)
				continue
			}
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, newerFirst)
	return infos, damaged, nil
}

// lastIndexOf is the highest log index in the names of snapshots, which are term-index-time.
func lastIndexOf(paths []string) uint64 {
	var last uint64
	for _, path := range paths {
		var term, index, at uint64
		if _, err := fmt.Sscanf(filepath.Base(path), "%d-%d-%d", &term, &index, &at); err == nil {
			last = max(last, index)
		}
	}
	return last
}

func newerFirst(a, b snapshotInfo) int {
	switch {
	case a.Term != b.Term:
		return compareDown(a.Term, b.Term)
	case a.Index != b.Index:
		return compareDown(a.Index, b.Index)
	}
	return strings.Compare(b.ID, a.ID)
}

func compareDown(a, b uint64) int {
	if a > b {
		return -1
	}
	return 1
}

func readSnapshotInfo(path string) (snapshotInfo, error) {
	var info snapshotInfo
	data, err := os.ReadFile(filepath.Join(path, snapshotMeta))
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return info, fmt.Errorf("%s: %w", snapshotMeta, err)
	}
	if info.ID != filepath.Base(path) || info.Version < raft.SnapshotVersionMin || info.Version > raft.SnapshotVersionMax {
		return info, fmt.Errorf("%s: it says it is %q, version %d", snapshotMeta, info.ID, info.Version)
	}
	return info, nil
}

// verifySnapshot reads the whole state and compares its checksum.
func verifySnapshot(path string, info snapshotInfo) error {
	f, err := os.Open(filepath.Join(path, snapshotState))
	if err != nil {
		return err
	}
	defer f.Close()
	sum := crc64.New(crc64.MakeTable(crc64.ECMA))
	n, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if n != info.Size || !bytes.Equal(sum.Sum(nil), info.CRC) {
		return fmt.Errorf("%s: %d bytes with checksum %x, want %d with %x", snapshotState, n, sum.Sum(nil), info.Size, info.CRC)
	}
	return nil
}

// setAside moves snapshots out of Raft's sight, for a person to look at.
func setAside(d *dataDir, paths []string) error {
	for _, path := range paths {
		if err := os.MkdirAll(d.file(damagedDir), 0o700); err != nil {
			return fmt.Errorf("set damaged snapshot aside: %w", err)
		}
		to := filepath.Join(d.file(damagedDir), filepath.Base(path))
		_ = os.RemoveAll(to) // from the last time
		if err := os.Rename(path, to); err != nil {
			return fmt.Errorf("set damaged snapshot aside: %w", err)
		}
	}
	return nil
}
