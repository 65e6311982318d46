package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/musterhq/muster/cluster/backup"
	"github.com/musterhq/muster/fsm"
)

const (
	// restoreSpare is what the disk must have room for, in times the state's size: the file aside, and the log with it.
	restoreSpare = 2
	// restoreAhead is how far the time of a saved state may be ahead of the cluster's: time does not go back, so it would
	// stand still until it has caught up.
	restoreAhead = time.Minute
)

// errRestoring is returned for a second restore at the same time. It is an ErrOverloaded.
var errRestoring = fmt.Errorf("%w: a snapshot is being restored already", ErrOverloaded)

// Restore puts the state of a snapshot file in place of the cluster's, as one log entry: it takes effect on every coordinator
// or on none. The file is read to its end and checked before the log sees any of it. The snapshot of another cluster is taken
// only when forced. See fsm.CommitRestore for what is not as it was in the file.
//
// Errors: ErrBadSnapshot, ErrForeignSnapshot, ErrOverloaded, ErrDiskFull, *fsm.Refusal, *NotLeaderError (nothing was changed);
// ErrUnknownOutcome, and ctx's (it may have been).
func (t *Tasker) Restore(ctx context.Context, in io.Reader, force bool) (h backup.Header, done fsm.Restored, err error) {
	l := t.c.leading.Load()
	switch {
	case l == nil:
		return h, done, t.notLeader()
	case t.c.disk.low():
		return h, done, ErrDiskFull
	case t.c.memory.low():
		return h, done, ErrMemoryFull
	case !l.restoring.CompareAndSwap(false, true):
		return h, done, errRestoring
	}
	defer l.restoring.Store(false)
	file, size, err := spool(t.c.cfg.Data, in, t.c.applier.now().Limits().UploadBytes, t.c.disk.freeBytes())
	if err != nil {
		return h, done, err
	}
	defer file.Close()
	f, err := t.admit(file, size, l, force)
	if err != nil {
		return h, done, err
	}
	done, err = t.restoreInParts(ctx, l, f)
	if err == nil {
		t.c.log.Warn("the state of a snapshot is in place", "saved", f.Time, "cluster_id", f.ClusterID, "saved_at_index", f.Index,
			"requests", done.Requests, "returned_jobs", done.Returned)
	}
	return f.Header, done, err
}

// spool copies what comes, at most max bytes, to a file without a name in a directory with so many bytes free: it is gone
// with the process at the latest.
func spool(dir string, in io.Reader, max, free uint64) (f *os.File, size int64, err error) {
	if f, err = os.CreateTemp(dir, "restore-*"); err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, 0, err
	}
	limit := int64(min(max, free/restoreSpare))
	size, err = io.Copy(f, io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("%w: the file did not come to its end: %w", ErrBadSnapshot, err)
	case size > limit && limit < int64(max):
		return nil, 0, ErrDiskFull
	case size > limit:
		return nil, 0, fmt.Errorf("%w: it has more than %d bytes, the most that is restored", ErrBadSnapshot, max)
	}
	return f, size, nil
}

// admit checks a file: that it is whole, that it holds a state, and that it is the cluster's own unless forced.
func (t *Tasker) admit(in io.ReaderAt, size int64, l *leadership, force bool) (*backup.File, error) {
	f, err := backup.Open(in, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	own := t.c.dir.id
	if f.ClusterID != own.ClusterID && !force {
		return nil, fmt.Errorf("%w: it was saved in %s with id %s, this is %s with id %s", ErrForeignSnapshot, f.Cluster, f.ClusterID, own.Cluster, own.ClusterID)
	}
	if ahead := f.LogTime.Sub(time.Unix(0, l.clock.now())); ahead > restoreAhead {
		return nil, fmt.Errorf("%w: its state is of %s, which is %s ahead of this cluster's time: wait, or set the coordinators' clocks right",
			ErrBadSnapshot, f.LogTime.Format(time.RFC3339), ahead.Round(time.Second))
	}
	if _, err := f.Restore(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	return f, nil
}

// restoreInParts replicates a state, one part after the other. It takes effect with the last, or not at all; so only the
// last part's outcome may be unknown.
func (t *Tasker) restoreInParts(ctx context.Context, l *leadership, f *backup.File) (done fsm.Restored, err error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	id := binary.BigEndian.Uint64(random[:])
	state := f.State()
	step := func(cmd fsm.Command) error {
		_, err := t.proposePart(ctx, l, cmd)
		if errors.Is(err, ErrUnknownOutcome) {
			err = t.notLeader()
		}
		return err
	}
	defer func() {
		if err != nil {
			l.committer.drop(fsm.DropRestore{Restore: id})
		}
	}()
	if err := step(fsm.BeginRestore{Restore: id, Bytes: uint64(state.Size())}); err != nil {
		return done, err
	}
	buf := make([]byte, partBytesMax)
	for at := uint64(0); at < uint64(state.Size()); {
		n, err := io.ReadFull(state, buf)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return done, fmt.Errorf("read the file again: %w", err)
		}
		if err := step(fsm.RestorePart{Restore: id, Offset: at, Data: buf[:n]}); err != nil {
			return done, err
		}
		at += uint64(n)
	}
	value, err := t.proposePart(ctx, l, fsm.CommitRestore{Restore: id})
	done, _ = value.(fsm.Restored)
	return done, err
}
