package worker

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// ErrNoLog is returned when a worker has no output of an attempt: it never ran it, or keeps it no longer.
var ErrNoLog = errors.New("no output of this attempt is kept")

// What a worker keeps of ended attempts. The oldest go first.
const (
	attemptsKept     = 4096
	attemptBytesKept = 1 << 30
)

const attemptsDir = "attempts"

// attempts are the directories of attempts under the worker's data directory: one each, of mode 0700, with the
// files of the exec contract while it runs and its output for some time longer.
type attempts struct {
	log      hclog.Logger
	dir      string
	root     *os.Root // confines every access, whatever links a job leaves behind
	logBytes int64    // of output kept for each attempt

	mu    sync.Mutex // guards the fields below
	live  map[string]*attemptDir
	ended map[string]int64 // bytes of output
	order []string         // of ended, oldest first
	bytes int64            // sum of ended
}

// attemptDir is the directory of an attempt that runs.
type attemptDir struct {
	of   *attempts
	root *os.Root
	name string
	logs [2]*capture
}

func openAttempts(data string, logBytes int64, log hclog.Logger) (*attempts, error) {
	dir, err := filepath.Abs(filepath.Join(data, attemptsDir))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	as := &attempts{log: log, dir: dir, root: root, logBytes: logBytes,
		live: make(map[string]*attemptDir), ended: make(map[string]int64)}
	if err := as.adopt(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return as, nil
}

func (as *attempts) close() error { return as.root.Close() }

// adopt takes over what an earlier process left behind.
func (as *attempts) adopt() error {
	entries, err := fs.ReadDir(as.root.FS(), ".")
	if err != nil {
		return err
	}
	ages := make(map[string]int64, len(entries))
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			ages[e.Name()] = info.ModTime().UnixNano()
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(ages[a.Name()], ages[b.Name()]) })
	for _, e := range entries {
		a := &attemptDir{of: as, root: as.root, name: e.Name()}
		a.removeExchange()
		as.keep(a.name, as.outputBytes(a.name))
	}
	return nil
}

func (as *attempts) outputBytes(name string) (n int64) {
	for stream := range streamFiles {
		if info, err := as.root.Lstat(name + "/" + streamFiles[stream]); err == nil {
			n += info.Size()
		}
	}
	return n
}

// begin makes the directory of an attempt. Its end must follow.
func (as *attempts) begin(job Job) (*attemptDir, error) {
	a := &attemptDir{of: as, root: as.root, name: attemptName(job.ID, job.Attempt)}
	as.forget(a.name)
	if err := as.root.Mkdir(a.name, 0o700); err != nil {
		return nil, err
	}
	if err := a.createExchange(job); err != nil {
		return nil, errors.Join(err, as.root.RemoveAll(a.name))
	}
	for stream, file := range streamFiles {
		a.logs[stream] = &capture{limit: as.logBytes / int64(len(streamFiles)), create: func() (*os.File, error) {
			return as.root.OpenFile(a.name+"/"+file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		}}
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	as.live[a.name] = a
	return a, nil
}

func attemptName(job string, attempt int) string { return job + "." + strconv.Itoa(attempt) }

// path is the absolute path of a file in the directory, for the job.
func (a *attemptDir) path(file string) string { return filepath.Join(a.of.dir, a.name, file) }

// end clears the directory but for the output, and lets old ones go.
func (a *attemptDir) end() {
	var n int64
	for _, c := range a.logs {
		size, err := c.end()
		if err != nil {
			a.of.log.Warn("output of an attempt is incomplete", "attempt", a.name, "error", err)
		}
		n += size
	}
	a.removeExchange()
	a.of.keep(a.name, n)
}

// keep records an ended attempt with n bytes of output.
func (as *attempts) keep(name string, n int64) {
	as.mu.Lock()
	defer as.mu.Unlock()
	delete(as.live, name)
	if n == 0 {
		as.remove(name)
	}
	as.ended[name] = n
	as.order = append(as.order, name)
	as.bytes += n
	for len(as.order) > attemptsKept || as.bytes > attemptBytesKept {
		as.dropLocked(as.order[0])
	}
}

// forget lets go of an ended attempt of that name; there is one only if the cluster was made anew.
func (as *attempts) forget(name string) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if _, ok := as.ended[name]; ok {
		as.dropLocked(name)
	}
}

func (as *attempts) dropLocked(name string) {
	as.bytes -= as.ended[name]
	delete(as.ended, name)
	i := slices.Index(as.order, name)
	as.order = slices.Delete(as.order, i, i+1)
	as.remove(name)
}

func (as *attempts) remove(name string) {
	if err := as.root.RemoveAll(name); err != nil {
		as.log.Warn("remove an old attempt", "attempt", name, "error", err)
	}
}

// readLog reads up to limit bytes of an attempt's output from offset on. eof says that nothing will follow.
func (as *attempts) readLog(job string, attempt, stream int, offset int64, limit int) (data []byte, eof bool, err error) {
	if stream < 0 || stream >= len(streamFiles) || offset < 0 {
		return nil, false, fmt.Errorf("stream %d at offset %d: %w", stream, offset, ErrNoLog)
	}
	name := attemptName(job, attempt)
	as.mu.Lock()
	a := as.live[name]
	_, ended := as.ended[name]
	as.mu.Unlock()
	switch {
	case a != nil:
		return a.logs[stream].readAt(offset, limit)
	case !ended:
		return nil, false, fmt.Errorf("job %s attempt %d: %w", job, attempt, ErrNoLog)
	}
	f, err := as.root.Open(name + "/" + streamFiles[stream])
	if err != nil {
		return nil, true, ignoreMissing(err)
	}
	defer f.Close()
	return readSection(f, offset, limit, true)
}
