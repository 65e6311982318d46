package lazydisk

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
)

const (
	pageBytes   = 4096
	sectorBytes = 512 // what a disk writes whole or not at all
)

// pages is what a file would be after a power loss, as far as it differs from what it is now. It belongs to the journal.
type pages struct {
	inode uint64
	opens int
	file  *os.File         // beneath, open for as long as there is something to lose; else nil
	size  int64            // that is durable
	was   map[int64][]byte // what a page written since is on the disk, up to the end of the file
	never map[int64][]byte // the same of pages that an fsync failed to write: the next one does not try them again
}

// own keeps the file open beyond whoever writes to it.
func (p *pages) own(f *os.File) error {
	if p.file != nil {
		return nil
	}
	fd, err := syscall.Dup(int(f.Fd()))
	if err == nil {
		p.file = os.NewFile(uintptr(fd), f.Name())
	}
	return err
}

// touch keeps what the pages of a range are before they change.
func (p *pages) touch(f *os.File, off, n int64) error {
	if err := p.own(f); err != nil {
		return err
	}
	for page := off / pageBytes; page*pageBytes < off+n; page++ {
		if _, known := p.was[page]; known {
			continue
		}
		if old, lost := p.never[page]; lost {
			delete(p.never, page)
			p.was[page] = old
			continue
		}
		old, err := p.read(page)
		if err != nil {
			return err
		}
		p.was[page] = old
	}
	return nil
}

// read reads a page as it is, up to the end of the file.
func (p *pages) read(page int64) ([]byte, error) {
	buf := make([]byte, pageBytes)
	n, err := syscall.Pread(int(p.file.Fd()), buf, page*pageBytes)
	return buf[:max(n, 0)], err
}

func (p *pages) current() (int64, error) {
	st, err := p.file.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// durable is a successful fsync.
func (p *pages) durable() (err error) {
	if p.file == nil {
		return nil
	}
	if p.size, err = p.current(); err != nil {
		return err
	}
	clear(p.was)
	if len(p.never) == 0 {
		p.close()
	}
	return nil
}

// failed is an fsync that failed.
func (p *pages) failed() {
	maps.Copy(p.never, p.was)
	clear(p.was)
}

func (p *pages) close() {
	if p.file != nil {
		_ = p.file.Close()
		p.file = nil
	}
}

// chances are how likely a page was written by itself before the power went.
var chances = []float64{0, 0.5, 0.9}

// lose makes the file what it is after a power loss.
func (p *pages) lose(random *rand.Rand, loss *Loss) error {
	if p.file == nil {
		return nil
	}
	now, err := p.current()
	if err != nil {
		return err
	}
	size, chance := p.size, 0.0
	if random != nil {
		chance = chances[random.IntN(len(chances))]
		if random.Float64() < chance {
			size = now
		}
	}
	if err := p.file.Truncate(max(size, now)); err != nil {
		return err
	}
	for _, page := range slices.Sorted(maps.Keys(p.was)) {
		kept := 0
		if random != nil && page*pageBytes < now {
			switch f := random.Float64(); {
			case f < chance*0.9:
				kept = pageBytes
			case f < chance:
				kept = sectorBytes * (1 + random.IntN(pageBytes/sectorBytes-1))
				loss.Torn++
			}
		}
		if kept < pageBytes {
			loss.Pages++
			if err := p.revert(page, p.was[page], kept); err != nil {
				return err
			}
		}
	}
	for page, old := range p.never {
		loss.Pages++
		if err := p.revert(page, old, 0); err != nil {
			return err
		}
	}
	clear(p.was)
	clear(p.never)
	p.size = size
	err = p.file.Truncate(size)
	p.close()
	return err
}

// revert makes a page what it was, but for its first bytes.
func (p *pages) revert(page int64, was []byte, kept int) error {
	whole := make([]byte, pageBytes) // nothing is there beyond the end that the file had
	copy(whole, was)
	_, err := p.file.WriteAt(whole[kept:], page*pageBytes+int64(kept))
	return err
}
