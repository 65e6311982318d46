package lazydisk

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or a directory. What it does not say itself is passed on.
type node struct {
	*fs.LoopbackNode
	disk *Disk
}

var (
	_ fs.NodeWrapChilder    = (*node)(nil)
	_ fs.NodeOpener         = (*node)(nil)
	_ fs.NodeCreater        = (*node)(nil)
	_ fs.NodeSetattrer      = (*node)(nil)
	_ fs.NodeUnlinker       = (*node)(nil)
	_ fs.NodeRmdirer        = (*node)(nil)
	_ fs.NodeMkdirer        = (*node)(nil)
	_ fs.NodeRenamer        = (*node)(nil)
	_ fs.NodeStatfser       = (*node)(nil)
	_ fs.NodeOpendirHandler = (*node)(nil)
)

// WrapChild makes a node of what the loopback has found or made.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{ops.(*fs.LoopbackNode), n.disk}
}

// path is where it is beneath the disk.
func (n *node) path(name ...string) string {
	return filepath.Join(append([]string{n.disk.beneath, n.Path(n.RootData.RootNode.EmbeddedInode())}, name...)...)
}

// Open opens a file; one that is written to is also read, for what its pages were before.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	mode := os.O_RDONLY
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		mode = os.O_RDWR
	}
	h, err := n.disk.open(n.path(), mode, 0)
	if err == nil && flags&syscall.O_TRUNC != 0 {
		if errno := h.resize(0); errno != fs.OK {
			return nil, 0, errno
		}
	}
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	return h, 0, fs.OK
}

// Create makes a file and opens it.
func (n *node) Create(ctx context.Context, name string, _ uint32, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.disk.change(); errno != fs.OK {
		return nil, nil, 0, errno
	}
	path := n.path(name)
	var h *handle
	err := n.disk.journal.create(path, func() (err error) {
		h, err = n.disk.open(path, os.O_RDWR|os.O_CREATE, os.FileMode(mode))
		return err
	})
	if err != nil {
		return nil, nil, 0, fs.ToErrno(err)
	}
	child, errno := n.Lookup(ctx, name, out)
	if errno != fs.OK {
		return nil, nil, 0, errno
	}
	return child, h, 0, fs.OK
}

// Setattr changes what is known of a file, its length among it.
func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		h, _ := f.(*handle)
		if h == nil {
			var err error
			if h, err = n.disk.open(n.path(), os.O_RDWR, 0); err != nil {
				return fs.ToErrno(err)
			}
			defer h.Release(ctx)
		}
		if errno := h.resize(int64(size)); errno != fs.OK {
			return errno
		}
		in.Valid &^= fuse.FATTR_SIZE
	}
	if h, ok := f.(*handle); ok {
		return h.under.Setattr(ctx, in, out)
	}
	return n.LoopbackNode.Setattr(ctx, nil, in, out)
}

// Unlink removes a file, on a full disk too.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return fs.ToErrno(n.disk.journal.remove(n.path(name)))
}

// Rmdir removes a directory.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return fs.ToErrno(n.disk.journal.removeDir(n.path(name)))
}

// Mkdir makes a directory.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	if errno := n.disk.change(); errno != fs.OK {
		return nil, errno
	}
	err := n.disk.journal.create(n.path(name), func() error {
		if child, errno = n.LoopbackNode.Mkdir(ctx, name, mode, out); errno != fs.OK {
			return errno
		}
		return nil
	})
	return child, fs.ToErrno(err)
}

// Rename moves a file or a directory, over another one too.
func (n *node) Rename(_ context.Context, name string, parent fs.InodeEmbedder, to string, flags uint32) syscall.Errno {
	other, ok := parent.(*node)
	if !ok || flags != 0 {
		return syscall.EINVAL
	}
	if errno := n.disk.change(); errno != fs.OK {
		return errno
	}
	return fs.ToErrno(n.disk.journal.rename(n.path(name), other.path(to)))
}

// Statfs tells of no free space while the disk is full.
func (n *node) Statfs(ctx context.Context, out *fuse.StatfsOut) syscall.Errno {
	errno := n.LoopbackNode.Statfs(ctx, out)
	n.disk.set(func() {
		if n.disk.full {
			out.Bfree, out.Bavail = 0, 0
		}
	})
	return errno
}

// directory is an open directory.
type directory struct {
	fs.FileReaddirenter
	fs.FileSeekdirer
	fs.FileReleasedirer
	disk *Disk
}

// OpendirHandle opens a directory.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	under, out, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != fs.OK {
		return nil, 0, errno
	}
	all, ok := under.(interface {
		fs.FileReaddirenter
		fs.FileSeekdirer
		fs.FileReleasedirer
	})
	if !ok {
		return nil, 0, syscall.ENOTSUP
	}
	return &directory{all, all, all, n.disk}, out, fs.OK
}

// Fsyncdir is an fsync of the directory.
func (d *directory) Fsyncdir(context.Context, uint32) syscall.Errno { return d.disk.sync(nil) }
