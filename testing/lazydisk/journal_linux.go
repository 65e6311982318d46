package lazydisk

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
)

// Loss is what a power loss took.
type Loss struct {
	Pages int // pages of files that are as they were, or in part
	Torn  int // of these, in part
	Names int // of what was created, renamed or removed
}

func (l Loss) String() string {
	return fmt.Sprintf("%d pages lost (%d torn), %d names", l.Pages, l.Torn, l.Names)
}

// PowerLoss takes what was not fsynced: all of it, or, with a random, what chance decides. No process may use the disk.
// The disk is healed and mounted anew.
func (d *Disk) PowerLoss(random *rand.Rand) (Loss, error) {
	d.Heal()
	if err := d.unmount(); err != nil {
		return Loss{}, err
	}
	loss, err := d.journal.lose(random)
	return loss, errors.Join(err, d.mount())
}

// Settle makes all that is there durable, as if everything had been fsynced.
func (d *Disk) Settle() error {
	j := d.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range j.files {
		clear(p.never)
		if err := p.durable(); err != nil {
			return err
		}
	}
	return j.commit()
}

// journal knows what of the disk is not durable.
type journal struct {
	removed string // a directory of files that may have to come back

	mu    sync.Mutex // guards what is below, and every change of the files
	files map[uint64]*pages
	undo  []func() error // of what was done to names since the last fsync, in order
	count int            // of files put into removed
}

func newJournal(removed string) (*journal, error) {
	if err := os.Mkdir(removed, 0o700); err != nil {
		return nil, err
	}
	return &journal{removed: removed, files: map[uint64]*pages{}}, nil
}

// pagesOf is what is known of an open file, which is told when it is closed.
func (j *journal) pagesOf(f *os.File) (*pages, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.open(f)
}

func (j *journal) open(f *os.File) (*pages, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	inode := st.Sys().(*syscall.Stat_t).Ino
	p := j.files[inode]
	if p == nil {
		p = &pages{inode: inode, size: st.Size(), was: map[int64][]byte{}, never: map[int64][]byte{}}
		j.files[inode] = p
	}
	p.opens++
	return p, nil
}

func (j *journal) release(p *pages) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p.opens--
	j.forget(p)
}

// forget drops what is known of a file that nobody has open and that has nothing to lose, or is gone itself.
func (j *journal) forget(p *pages) {
	if p.opens > 0 {
		return
	}
	if p.file != nil {
		var st syscall.Stat_t
		if err := syscall.Fstat(int(p.file.Fd()), &st); err != nil || st.Nlink > 0 {
			return
		}
		p.close()
	}
	delete(j.files, p.inode)
}

func (j *journal) write(p *pages, f *os.File, off, n int64, do func() error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := p.touch(f, off, n); err != nil {
		return err
	}
	return do()
}

func (j *journal) resize(p *pages, f *os.File, size int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := p.own(f); err != nil {
		return err
	}
	now, err := p.current()
	if err != nil {
		return err
	}
	if err := p.touch(f, size, max(0, now-size)); err != nil {
		return err
	}
	return f.Truncate(size)
}

// durable is an fsync of a file, or of a directory: nil.
func (j *journal) durable(p *pages) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if p != nil {
		if err := p.durable(); err != nil {
			return err
		}
	}
	return j.commit()
}

func (j *journal) failed(p *pages) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p.failed()
}

// commit makes what was done to names durable.
func (j *journal) commit() error {
	j.undo = nil
	if j.count == 0 {
		return nil
	}
	for n := range j.count {
		if err := os.Remove(j.grave(n)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	j.count = 0
	for _, p := range slices.Collect(maps.Values(j.files)) {
		j.forget(p)
	}
	return nil
}

func (j *journal) grave(n int) string { return filepath.Join(j.removed, strconv.Itoa(n)) }

// create makes a file or a directory where there may be none.
func (j *journal) create(path string, do func() error) error {
	j.mu.Lock()
	_, err := os.Lstat(path)
	j.mu.Unlock()
	if err == nil {
		return do()
	}
	if err := do(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.undo = append(j.undo, func() error { return os.RemoveAll(path) })
	return nil
}

// bury keeps a file under another name, to bring it back. The caller holds mu.
func (j *journal) bury(path string) (back func() error, err error) {
	grave := j.grave(j.count)
	if err := os.Link(path, grave); err != nil {
		return nil, err
	}
	j.count++
	return func() error { return os.Rename(grave, path) }, nil
}

func (j *journal) remove(path string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	back, err := j.bury(path)
	if err != nil {
		return err
	}
	j.undo = append(j.undo, back)
	return syscall.Unlink(path)
}

func (j *journal) removeDir(path string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := syscall.Rmdir(path); err != nil {
		return err
	}
	j.undo = append(j.undo, func() error { return os.Mkdir(path, 0o700) })
	return nil
}

func (j *journal) rename(from, to string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	back := func() error { return nil }
	if st, err := os.Lstat(to); err == nil && !st.IsDir() {
		if back, err = j.bury(to); err != nil {
			return err
		}
	}
	if err := syscall.Rename(from, to); err != nil {
		return err
	}
	j.undo = append(j.undo, func() error { return errors.Join(os.Rename(to, from), back()) })
	return nil
}

// lose makes everything what it is after a power loss.
func (j *journal) lose(random *rand.Rand) (loss Loss, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := 0
	if random != nil {
		kept = random.IntN(len(j.undo) + 1)
	}
	for len(j.undo) > kept {
		last := j.undo[len(j.undo)-1]
		j.undo = j.undo[:len(j.undo)-1]
		loss.Names++
		if err := last(); err != nil {
			return loss, fmt.Errorf("undo a change of names: %w", err)
		}
	}
	for _, inode := range slices.Sorted(maps.Keys(j.files)) {
		if err := j.files[inode].lose(random, &loss); err != nil {
			return loss, fmt.Errorf("undo writes: %w", err)
		}
	}
	clear(j.files)
	return loss, j.commit()
}
