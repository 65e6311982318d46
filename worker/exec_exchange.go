package worker

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"
)

const (
	exchangesDir = "exchange"
	// exchangesIdleMax is how many directories are kept for attempts to come.
	exchangesIdleMax = 256
)

// exchanges are the directories by which jobs and their worker talk, under the worker's data directory: one of mode
// 0700 for each attempt while it runs. A directory and its input file are used again by attempts to come: to make and
// remove them costs most of what a short job costs, the more the more were removed lately (ext4 passes over the inodes
// of the last minutes one by one). What else a job left there is removed.
//
// Invariant: no path is given to two attempts, so that a process which left its job's group finds nothing there later.
// Invariant: an input file is used again only if nobody else has it open or bears a name of it.
type exchanges struct {
	log  hclog.Logger
	dir  string
	root *os.Root // confines every access, whatever links a job leaves behind

	mu   sync.Mutex // guards the fields below
	last uint64     // number in the newest name
	idle []*exchange
}

// exchange is one directory. All but its name stays the same when it is used again.
type exchange struct {
	of    *exchanges
	name  string
	root  *os.Root
	list  *os.File // the directory, to read its names
	input *os.File
	made  os.FileInfo // of input
}

// openExchanges makes them anew: what an earlier process left there is of no use.
func openExchanges(data string, log hclog.Logger) (*exchanges, error) {
	dir, err := filepath.Abs(filepath.Join(data, exchangesDir))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &exchanges{log: log, dir: dir, root: root}, nil
}

// close removes what is idle; nothing may be in use.
func (xs *exchanges) close() error {
	for _, e := range xs.idle {
		xs.remove(e)
	}
	xs.idle = nil
	return xs.root.Close()
}

// begin gives a directory that holds nothing but the input. Its end must follow.
func (xs *exchanges) begin(input []byte) (*exchange, error) {
	xs.mu.Lock()
	xs.last++
	name := strconv.FormatUint(xs.last, 10)
	var e *exchange
	if n := len(xs.idle); n > 0 {
		e, xs.idle = xs.idle[n-1], xs.idle[:n-1]
	}
	xs.mu.Unlock()
	if e != nil && !e.rename(name) {
		xs.remove(e)
		e = nil
	}
	if e == nil {
		var err error
		if e, err = xs.make(name); err != nil {
			return nil, err
		}
	}
	if _, err := e.input.WriteAt(input, 0); err != nil {
		xs.remove(e)
		return nil, err
	}
	return e, nil
}

// rename gives an idle directory a new name. It returns false if it is not what it was when it became idle.
func (e *exchange) rename(name string) bool {
	if e.of.root.Rename(e.name, name) != nil {
		return false
	}
	e.name = name
	left, err := e.names()
	return err == nil && len(left) == 1 && left[0] == inputFile
}

func (xs *exchanges) make(name string) (e *exchange, err error) {
	e = &exchange{of: xs, name: name}
	if err := xs.root.Mkdir(name, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			xs.remove(e)
		}
	}()
	if e.root, err = xs.root.OpenRoot(name); err != nil {
		return nil, err
	}
	if e.list, err = e.root.Open("."); err != nil {
		return nil, err
	}
	if e.input, err = e.root.OpenFile(inputFile, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	e.made, err = e.input.Stat()
	return e, err
}

// path is the absolute path of a file in the directory, for the job.
func (e *exchange) path(file string) string { return filepath.Join(e.of.dir, e.name, file) }

func (e *exchange) names() ([]string, error) {
	if _, err := e.list.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return e.list.Readdirnames(-1)
}

// end clears the directory, and keeps it for another attempt or removes it.
func (e *exchange) end() {
	xs := e.of
	if e.clear() {
		xs.mu.Lock()
		kept := len(xs.idle) < exchangesIdleMax
		if kept {
			xs.idle = append(xs.idle, e)
		}
		xs.mu.Unlock()
		if kept {
			return
		}
	}
	xs.remove(e)
}

// clear removes what the job left and empties its input. It returns false if the directory cannot be used again.
func (e *exchange) clear() bool {
	names, err := e.names()
	if err != nil {
		return false
	}
	for _, name := range names {
		if name != inputFile && e.root.RemoveAll(name) != nil {
			return false
		}
	}
	now, err := e.root.Lstat(inputFile)
	if err != nil || !os.SameFile(now, e.made) || now.Mode() != e.made.Mode() || links(now) != 1 || openElsewhere(e.input) {
		return false
	}
	return e.input.Truncate(0) == nil
}

func links(info os.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 0
}

// remove gets rid of a directory, whatever became of it.
func (xs *exchanges) remove(e *exchange) {
	err := closeAll([]*os.File{e.list, e.input})
	if e.root != nil {
		err = errors.Join(err, e.root.Close())
	}
	if err = errors.Join(err, xs.root.RemoveAll(e.name)); err != nil {
		xs.log.Warn("remove the directory of an attempt", "directory", e.name, "error", err)
	}
}

// open opens what the job left under a name. It may be anything: no link is followed, no pipe waited on.
func (e *exchange) open(name string) (*os.File, error) {
	before, err := e.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("is not a regular file but %v", before.Mode().Type())
	}
	f, err := e.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) { // the umask of the job may be any
		if err = e.root.Chmod(name, 0o600); err == nil {
			f, err = e.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		}
	}
	if err != nil {
		return nil, err
	}
	// Invariant: what we read is what we looked at; a link put there meanwhile leads elsewhere.
	if after, err := f.Stat(); err != nil || !os.SameFile(before, after) {
		return nil, errors.Join(errors.New("was replaced while it was read"), err, f.Close())
	}
	return f, nil
}
