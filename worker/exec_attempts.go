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

// attempts are the attempts that run and the output of those that ended: a directory of mode 0700 each, under the
// worker's data directory, from the first byte of output on.
type attempts struct {
	log       hclog.Logger
	dir       string
	root      *os.Root
	exchanges *exchanges
	logBytes  int64 // of output kept for each attempt

	mu    sync.Mutex // guards the fields below
	live  map[string]*attemptDir
	ended map[string]int64 // bytes of output
	order []string         // of ended, oldest first
	bytes int64            // sum of ended
}

// attemptDir is what an attempt has of directories while it runs.
type attemptDir struct {
	of       *attempts
	name     string
	exchange *exchange
	logs     [2]*capture
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
	exchanges, err := openExchanges(data, log)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	as := &attempts{log: log, dir: dir, root: root, exchanges: exchanges, logBytes: logBytes,
		live: make(map[string]*attemptDir), ended: make(map[string]int64)}
	if err := as.adopt(); err != nil {
		return nil, errors.Join(err, as.close())
	}
	return as, nil
}

func (as *attempts) close() error { return errors.Join(as.exchanges.close(), as.root.Close()) }

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
		n := as.outputBytes(e.Name())
		if n == 0 {
			as.remove(e.Name())
		}
		as.keep(e.Name(), n)
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

// begin makes what an attempt needs. Its end must follow.
func (as *attempts) begin(job Job) (*attemptDir, error) {
	a := &attemptDir{of: as, name: attemptName(job.ID, job.Attempt)}
	as.forget(a.name)
	var err error
	if a.exchange, err = as.exchanges.begin(jobInput(job)); err != nil {
		return nil, err
	}
	for stream, file := range streamFiles {
		a.logs[stream] = &capture{limit: as.logBytes / int64(len(streamFiles)),
			create: func() (*os.File, error) { return as.create(a.name, file) }}
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	as.live[a.name] = a
	return a, nil
}

// create makes a file for output.
func (as *attempts) create(name, file string) (*os.File, error) {
	if err := as.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return as.root.OpenFile(name+"/"+file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

func attemptName(job string, attempt int) string { return job + "." + strconv.Itoa(attempt) }

// end keeps the output and nothing else, and lets old output go.
func (a *attemptDir) end() {
	var n int64
	var incomplete error
	for _, c := range a.logs {
		size, err := c.end()
		incomplete = errors.Join(incomplete, err)
		n += size
	}
	if incomplete != nil {
		a.of.log.Warn("output of an attempt is incomplete", "attempt", a.name, "error", incomplete)
	}
	if incomplete != nil && n == 0 {
		a.of.remove(a.name) // there may be an empty file
	}
	a.exchange.end()
	a.of.keep(a.name, n)
}

// keep records an ended attempt with n bytes of output.
func (as *attempts) keep(name string, n int64) {
	as.mu.Lock()
	defer as.mu.Unlock()
	delete(as.live, name)
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
	n := as.ended[name]
	as.bytes -= n
	delete(as.ended, name)
	if i := slices.Index(as.order, name); i == 0 {
		as.order = as.order[1:] // the usual case, of many
	} else {
		as.order = slices.Delete(as.order, i, i+1)
	}
	if n > 0 {
		as.remove(name)
	}
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
