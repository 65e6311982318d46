package lazydisk

import (
	"context"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// handle is an open file. It is not the loopback's own: that lets the kernel write past us.
type handle struct {
	disk  *Disk
	file  *os.File // beneath
	under *fs.LoopbackFile
	pages *pages
}

var (
	_ fs.FileReader    = (*handle)(nil)
	_ fs.FileWriter    = (*handle)(nil)
	_ fs.FileGetattrer = (*handle)(nil)
	_ fs.FileAllocater = (*handle)(nil)
	_ fs.FileFsyncer   = (*handle)(nil)
	_ fs.FileFlusher   = (*handle)(nil)
	_ fs.FileLseeker   = (*handle)(nil)
	_ fs.FileReleaser  = (*handle)(nil)
)

func (d *Disk) open(path string, mode int, perm os.FileMode) (*handle, error) {
	f, err := os.OpenFile(path, mode, perm)
	if err != nil {
		return nil, err
	}
	p, err := d.journal.pagesOf(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &handle{disk: d, file: f, under: fs.NewLoopbackFileFromOS(f), pages: p}, nil
}

func (h *handle) Read(ctx context.Context, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return h.under.Read(ctx, buf, off)
}

func (h *handle) Write(_ context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := h.disk.change(); errno != fs.OK {
		return 0, errno
	}
	n := 0
	err := h.disk.journal.write(h.pages, h.file, off, int64(len(data)), func() (err error) {
		n, err = h.file.WriteAt(data, off)
		return err
	})
	return uint32(n), fs.ToErrno(err)
}

// resize truncates or extends the file.
func (h *handle) resize(size int64) syscall.Errno {
	if errno := h.disk.change(); errno != fs.OK {
		return errno
	}
	return fs.ToErrno(h.disk.journal.resize(h.pages, h.file, size))
}

func (h *handle) Allocate(_ context.Context, off, size uint64, mode uint32) syscall.Errno {
	if errno := h.disk.change(); errno != fs.OK {
		return errno
	}
	if mode&^unix.FALLOC_FL_KEEP_SIZE != 0 {
		return syscall.ENOTSUP // punching holes and the like
	}
	err := h.disk.journal.write(h.pages, h.file, int64(off), 0, func() error {
		return unix.Fallocate(int(h.file.Fd()), mode, int64(off), int64(size))
	})
	return fs.ToErrno(err)
}

func (h *handle) Getattr(ctx context.Context, out *fuse.AttrOut) syscall.Errno {
	return h.under.Getattr(ctx, out)
}

func (h *handle) Fsync(context.Context, uint32) syscall.Errno { return h.disk.sync(h.pages) }

func (h *handle) Flush(context.Context) syscall.Errno { return fs.OK }

func (h *handle) Lseek(ctx context.Context, off uint64, whence uint32) (uint64, syscall.Errno) {
	return h.under.Lseek(ctx, off, whence)
}

func (h *handle) Release(ctx context.Context) syscall.Errno {
	h.disk.journal.release(h.pages)
	return h.under.Release(ctx)
}
