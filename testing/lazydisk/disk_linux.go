package lazydisk

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// fsName is what the table of mounts shows.
const fsName = "lazydisk"

// Suffixes of what lies beside a mounted directory.
const (
	beneathSuffix = ".beneath" // what the disk has
	removedSuffix = ".removed" // what was removed and may come back
)

// Disk is a mounted directory. Its methods may be called from any goroutine; those that mount and unmount, one at a time.
type Disk struct {
	dir     string
	server  *fuse.Server
	beneath string
	journal *journal

	mu       sync.Mutex // guards what is below
	delay    time.Duration
	failing  int
	full     bool
	ignoring bool
	released chan struct{} // closed when nothing hangs
}

// Mount puts a Disk over a directory; what was in it is on the Disk. Unmount undoes it.
func Mount(dir string) (*Disk, error) {
	sweep()
	d := &Disk{dir: dir, beneath: dir + beneathSuffix, released: make(chan struct{})}
	close(d.released)
	var err error
	if d.journal, err = newJournal(dir + removedSuffix); err != nil {
		return nil, err
	}
	if err := os.Rename(dir, d.beneath); err != nil {
		return nil, fmt.Errorf("move %s beneath the disk: %w", dir, err)
	}
	err = os.Mkdir(dir, 0o700)
	if err == nil {
		err = d.mount()
	}
	if err != nil {
		return nil, errors.Join(err, d.restore())
	}
	return d, nil
}

// cacheTimeout is how long the kernel may believe what it knows: nobody changes the files but through it.
const cacheTimeout = time.Hour

func (d *Disk) mount() error {
	var st syscall.Stat_t
	if err := syscall.Stat(d.beneath, &st); err != nil {
		return err
	}
	root := &fs.LoopbackRoot{Path: d.beneath, Dev: st.Dev}
	top := &node{&fs.LoopbackNode{RootData: root}, d}
	root.RootNode = top
	timeout := cacheTimeout
	server, err := fs.Mount(d.dir, top, &fs.Options{
		AttrTimeout: &timeout, EntryTimeout: &timeout,
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: fsName, Name: fsName, DisableXAttrs: true},
	})
	if err != nil {
		return fmt.Errorf("mount a disk over %s: %w", d.dir, err)
	}
	d.server = server
	return nil
}

// Unmount makes the directory an ordinary one again, with what is on the disk.
func (d *Disk) Unmount() error {
	d.Heal()
	return errors.Join(d.unmount(), d.restore())
}

func (d *Disk) unmount() error {
	if err := d.server.Unmount(); err == nil {
		return nil
	}
	// Somebody still looks at it: they keep the old mount, whoever comes next gets the new one.
	if err := unix.Unmount(d.dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	return nil
}

func (d *Disk) restore() error {
	return errors.Join(os.Remove(d.dir), os.Rename(d.beneath, d.dir), os.RemoveAll(d.journal.removed))
}

// SlowSync makes each fsync take that much longer.
func (d *Disk) SlowSync(delay time.Duration) { d.set(func() { d.delay = delay }) }

// FailSync makes the next n fsyncs of files answer EIO. What they should have made durable is not, whatever later ones
// answer, until it is written anew.
func (d *Disk) FailSync(n int) { d.set(func() { d.failing = n }) }

// Fill says whether nothing more can be written: ENOSPC, and no space is free.
func (d *Disk) Fill(full bool) { d.set(func() { d.full = full }) }

// IgnoreSync says whether fsync makes nothing durable and answers that it did.
func (d *Disk) IgnoreSync(ignore bool) { d.set(func() { d.ignoring = ignore }) }

// Hang makes every fsync wait until Heal, and with it whoever writes to the same file: the rest goes through the system's
// memory. A process that waits so cannot be ended before that.
func (d *Disk) Hang() {
	d.set(func() {
		select {
		case <-d.released:
			d.released = make(chan struct{})
		default:
		}
	})
}

// Hangs says whether fsyncs hang.
func (d *Disk) Hangs() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.released:
		return false
	default:
		return true
	}
}

// Heal ends whatever is wrong with the disk.
func (d *Disk) Heal() {
	d.set(func() {
		d.delay, d.failing, d.full, d.ignoring = 0, 0, false, false
		select {
		case <-d.released:
		default:
			close(d.released)
		}
	})
}

func (d *Disk) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// change is what everything that takes space goes through first.
func (d *Disk) change() syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return syscall.ENOSPC
	}
	return fs.OK
}

// state is how the disk is at a moment.
type state struct {
	delay    time.Duration
	ignoring bool
}

// pass waits while the disk hangs and tells how it is then.
func (d *Disk) pass() state {
	for {
		d.mu.Lock()
		released := d.released
		s := state{d.delay, d.ignoring}
		d.mu.Unlock()
		select {
		case <-released:
			return s
		default:
			<-released
		}
	}
}

// fails says whether an fsync is one of those that fail.
func (d *Disk) fails() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing == 0 {
		return false
	}
	d.failing--
	return true
}

// sync is an fsync of a file, or of a directory.
func (d *Disk) sync(file *pages) syscall.Errno {
	s := d.pass()
	if s.delay > 0 {
		t := time.NewTimer(s.delay)
		<-t.C
		s = d.pass()
	}
	switch {
	case s.ignoring:
		return fs.OK
	case file != nil && d.fails():
		d.journal.failed(file)
		return syscall.EIO
	}
	return fs.ToErrno(d.journal.durable(file))
}

// sweep unmounts what processes that were killed have left behind: nobody serves it any more.
func sweep() {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return // then there is no telling, and no harm but a directory that cannot be looked into
	}
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != fsName || f[2] != "fuse."+fsName {
			continue
		}
		if _, err := os.Stat(f[1]); errors.Is(err, syscall.ENOTCONN) {
			_ = unix.Unmount(f[1], unix.MNT_DETACH) // another process may sweep the same one
		}
	}
}

// Allowed says whether this machine lets a test mount a Disk, or why not: it takes Linux, /dev/fuse and root.
var Allowed = sync.OnceValue(func() error {
	parent, err := os.MkdirTemp("", "lazydisk-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(parent)
	dir := parent + "/disk"
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	d, err := Mount(dir)
	if err != nil {
		return err
	}
	return d.Unmount()
})
