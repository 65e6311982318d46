package worker

import (
	"os"
	"sync"
	"time"
)

const (
	// progressPoll is how often the progress files of running processes are looked at.
	progressPoll = 200 * time.Millisecond
	// progressTail is how much of the end of a progress file is read: a line and its text.
	progressTail = progressTextMax + 256
)

// progressPoller watches the progress files of all running processes from one goroutine, which sleeps while there
// are none.
type progressPoller struct {
	wake chan struct{} // capacity 1: there is something to watch
	end  chan struct{}
	done chan struct{}

	mu      sync.Mutex // guards the fields below
	watched map[*attemptDir]*progressWatch
}

// progressWatch is what was last seen of one file.
type progressWatch struct {
	tell  func(percent int, text ...string)
	size  int64
	mtime time.Time
	line  string
}

func startProgressPoller() *progressPoller {
	pp := &progressPoller{wake: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{}),
		watched: make(map[*attemptDir]*progressWatch)}
	go pp.run()
	return pp
}

func (pp *progressPoller) close() {
	close(pp.end)
	<-pp.done
}

func (pp *progressPoller) add(a *attemptDir, tell func(int, ...string)) {
	pp.mu.Lock()
	pp.watched[a] = &progressWatch{tell: tell}
	pp.mu.Unlock()
	select {
	case pp.wake <- struct{}{}:
	default:
	}
}

// remove ends the watch on a's file. What it says is not told any more after remove returned.
func (pp *progressPoller) remove(a *attemptDir) {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	delete(pp.watched, a)
}

func (pp *progressPoller) run() {
	defer close(pp.done)
	tick := time.NewTicker(progressPoll)
	defer tick.Stop()
	for {
		select {
		case <-pp.end:
			return
		case <-tick.C:
			if pp.look() == 0 {
				tick.Stop()
			}
		case <-pp.wake:
			tick.Reset(progressPoll)
		}
	}
}

// look reads every file once and returns how many there are.
func (pp *progressPoller) look() int {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	for a, w := range pp.watched {
		w.look(a)
	}
	return len(pp.watched)
}

func (w *progressWatch) look(a *attemptDir) {
	info, err := a.exchange.root.Lstat(progressFile)
	if err != nil || info.Size() == w.size && info.ModTime().Equal(w.mtime) {
		return
	}
	w.size, w.mtime = info.Size(), info.ModTime()
	f, err := a.exchange.open(progressFile)
	if err != nil {
		return // a job that spoils its progress file has no progress
	}
	defer f.Close()
	line := readLastLine(f, w.size)
	percent, text, ok := ParseProgress(line)
	if !ok || line == w.line {
		return
	}
	w.line = line
	w.tell(percent, text)
}

// readLastLine reads the last line of a file of the given size. Of a longer line only the end is seen.
func readLastLine(f *os.File, size int64) string {
	tail := make([]byte, min(size, progressTail))
	n, _ := f.ReadAt(tail, size-int64(len(tail)))
	return lastLine(tail[:n])
}
