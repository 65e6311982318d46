package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// The disk reserve: below it submits are refused, so that the node can still finish what it has, take a snapshot and
// compact its log. It is one part in diskReserveShare of the file system, within the two bounds.
const (
	diskReserveMin   = 64 << 20
	diskReserveMax   = 1 << 30
	diskReserveShare = 100
	diskLookEvery    = time.Second
)

// diskSpace watches the free space of a directory's file system.
type diskSpace struct {
	dir  string
	log  hclog.Logger
	stat func(dir string) (free, total uint64, err error)
	free atomic.Uint64
	few  atomic.Bool
}

// newDiskSpace looks once; run keeps looking.
func newDiskSpace(dir string, log hclog.Logger) (*diskSpace, error) {
	d := &diskSpace{dir: dir, log: log, stat: statDisk}
	if err := d.look(); err != nil {
		return nil, err
	}
	return d, nil
}

// low says whether less than the reserve was free at the last look.
func (d *diskSpace) low() bool { return d.few.Load() }

// freeBytes is what was free at the last look.
func (d *diskSpace) freeBytes() uint64 { return d.free.Load() }

// run looks each second until ctx ends.
func (d *diskSpace) run(ctx context.Context) error {
	tick := time.NewTicker(diskLookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := d.look(); err != nil {
				d.log.Warn("look at free disk space", "error", err)
			}
		}
	}
}

func (d *diskSpace) look() error {
	free, total, err := d.stat(d.dir)
	if err != nil {
		return fmt.Errorf("free space of %s: %w", d.dir, err)
	}
	reserve := diskReserve(total)
	d.free.Store(free)
	few := free < reserve
	if d.few.Swap(few) != few {
		if few {
			d.log.Error("disk almost full: new requests are refused; make room", "data", d.dir, "free", free, "reserve", reserve)
		} else {
			d.log.Info("enough disk space again", "data", d.dir, "free", free)
		}
	}
	return nil
}

// diskReserve is never more than a tenth, so that a small test volume can still be used.
func diskReserve(total uint64) uint64 {
	return min(max(total/diskReserveShare, diskReserveMin), diskReserveMax, total/10)
}

func statDisk(dir string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	size := uint64(s.Bsize)
	return s.Bavail * size, s.Blocks * size, nil
}
