package worker

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/wire"
)

const (
	// reportsPerCall and reportBytesPerCall bound one call of Report, far below what a frame may hold.
	reportsPerCall     = 4096
	reportBytesPerCall = 1 << 20
	// reportRetryPause is waited when a call failed in a way that the link does not mend by itself.
	reportRetryPause = 500 * time.Millisecond
	// gatherTurns bounds how often other goroutines are let through before a call.
	gatherTurns = 16
	// progressEvery is the shortest time between two pushes of progress.
	progressEvery = 100 * time.Millisecond
)

// reporter is the StatusReporter: it tells the leader what becomes of attempts until it is acknowledged. While one
// call is under way it gathers what comes, and the next call carries all of it: group commit on the worker's side.
//
// One call at a time keeps the words on an attempt in order. What is queued is bounded by what the worker holds: two
// words for each attempt.
type reporter struct {
	log      hclog.Logger
	link     reportLink
	answered func(r *run, said wire.JobReport, code wire.Code) // may call add
	wake     chan struct{}                                     // capacity 1: there is something to say
	words    []word                                            // of the call under way; run's own
	reports  []wire.JobReport                                  // likewise

	mu       sync.Mutex // guards the fields below, and those of runs that say so
	queue    []word
	progress map[*run]note // newest of each run
}

// reportLink is what the reporter needs of the link to the leader.
type reportLink interface {
	Report(ctx context.Context, reports []wire.JobReport) ([]wire.Code, error)
	Progress(items []wire.ProgressItem) bool
}

type word struct {
	run    *run
	report wire.JobReport
}

type note struct {
	percent int
	text    string
}

func newReporter(link reportLink, log hclog.Logger, answered func(*run, wire.JobReport, wire.Code)) *reporter {
	return &reporter{log: log, link: link, answered: answered, wake: make(chan struct{}, 1),
		progress: make(map[*run]note)}
}

// add queues a word on r. It does not block.
func (rep *reporter) add(r *run, said wire.JobReport) {
	rep.mu.Lock()
	rep.queue = append(rep.queue, word{r, said})
	if said.Kind != wire.ReportStart {
		r.said = true
		delete(rep.progress, r)
	}
	rep.mu.Unlock()
	rep.signal()
}

// tell notes r's progress in place of what was noted before. It does not block.
func (rep *reporter) tell(r *run, percent int, text string) {
	rep.mu.Lock()
	if r.said {
		rep.mu.Unlock()
		return
	}
	rep.progress[r] = note{percent, text}
	rep.mu.Unlock()
	rep.signal()
}

// drop forgets the progress of a run of which nothing will be said any more.
func (rep *reporter) drop(r *run) {
	rep.mu.Lock()
	defer rep.mu.Unlock()
	r.said = true
	delete(rep.progress, r)
}

func (rep *reporter) signal() {
	select {
	case rep.wake <- struct{}{}:
	default:
	}
}

// run reports until ctx ends; what is unsaid then stays unsaid.
func (rep *reporter) run(ctx context.Context) {
	timer := time.NewTimer(0) // for the next push of progress
	defer timer.Stop()
	var pushed time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-rep.wake:
		case <-timer.C:
		}
		for more := true; more && ctx.Err() == nil; {
			more = rep.say(ctx)
			if wait := progressEvery - time.Since(pushed); wait > 0 {
				timer.Reset(wait)
			} else if rep.push() {
				pushed = time.Now()
			}
		}
	}
}

// say makes one call for what is queued. It returns false if nothing is.
func (rep *reporter) say(ctx context.Context) bool {
	rep.gather()
	words := rep.take(rep.words[:0])
	if len(words) == 0 {
		return false
	}
	reports := rep.reports[:0]
	for i := range words {
		reports = append(reports, words[i].report)
	}
	codes := rep.deliver(ctx, reports)
	rep.noteStarted(words, codes)
	for i, code := range codes {
		rep.answered(words[i].run, words[i].report, code)
	}
	clear(words) // do not keep results alive
	clear(reports)
	rep.words, rep.reports = words, reports
	return true
}

// gather lets the runners have their turn as long as that yields further words: of a job that does next to nothing,
// START and DONE then go in one call, which halves what it costs the cluster.
func (rep *reporter) gather() {
	for turn, last := 0, -1; turn < gatherTurns; turn++ {
		n := rep.queued()
		if n == 0 || n == last || n >= reportsPerCall {
			return
		}
		last = n
		runtime.Gosched()
	}
}

func (rep *reporter) queued() int {
	rep.mu.Lock()
	defer rep.mu.Unlock()
	return len(rep.queue)
}

// take moves a call's worth of words from the queue to words.
func (rep *reporter) take(words []word) []word {
	rep.mu.Lock()
	defer rep.mu.Unlock()
	n, size := 0, 0
	for n < len(rep.queue) && n < reportsPerCall {
		size += len(rep.queue[n].report.Result) + len(rep.queue[n].report.Error)
		if n > 0 && size > reportBytesPerCall {
			break
		}
		n++
	}
	words = append(words, rep.queue[:n]...)
	rep.queue = slices.Delete(rep.queue, 0, n)
	return words
}

// noteStarted remembers which runs the leader knows to be running: progress of others would be passed over.
func (rep *reporter) noteStarted(words []word, codes []wire.Code) {
	rep.mu.Lock()
	defer rep.mu.Unlock()
	for i, code := range codes {
		if words[i].report.Kind == wire.ReportStart && code == wire.CodeOK {
			words[i].run.started = true
		}
	}
}

// deliver calls until it is answered, and returns a code for each report; none when ctx ended.
func (rep *reporter) deliver(ctx context.Context, reports []wire.JobReport) []wire.Code {
	for {
		codes, err := rep.link.Report(ctx, reports)
		if err == nil && len(codes) == len(reports) {
			return codes
		}
		if ctx.Err() != nil {
			return nil
		}
		if code, ok := refused(err); ok {
			return rep.divide(ctx, reports, code)
		}
		rep.log.Warn("reports were not taken, trying again", "reports", len(reports), "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reportRetryPause):
		}
	}
}

// divide finds out which of several reports a call was refused for. Stale and unknown is the worker as such: then
// each of its reports is.
func (rep *reporter) divide(ctx context.Context, reports []wire.JobReport, code wire.Code) []wire.Code {
	if len(reports) == 1 || code == wire.CodeStale || code == wire.CodeNotFound {
		return slices.Repeat([]wire.Code{code}, len(reports))
	}
	half := len(reports) / 2
	first := rep.deliver(ctx, reports[:half])
	if first == nil {
		return nil
	}
	second := rep.deliver(ctx, reports[half:])
	if second == nil {
		return first
	}
	return append(first, second...)
}

// refused says whether err is a no to what was said: saying it again would not help.
func refused(err error) (wire.Code, bool) {
	var e *wire.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	switch e.Code {
	case wire.CodeInvalid, wire.CodeNotFound, wire.CodeConflict, wire.CodeStale, wire.CodeLimit, wire.CodeMalformed:
		return e.Code, true
	}
	return 0, false
}

// push hands in the progress of all runs that the leader knows to be running. It returns false if there was none.
func (rep *reporter) push() bool {
	rep.mu.Lock()
	var items []wire.ProgressItem
	var runs []*run
	for r, n := range rep.progress {
		if r.started {
			items = append(items, wire.ProgressItem{Job: r.at.Job, Attempt: r.at.Attempt, Percent: uint8(n.percent), Text: n.text})
			runs = append(runs, r)
			delete(rep.progress, r)
		}
	}
	rep.mu.Unlock()
	if len(items) == 0 {
		return false
	}
	if !rep.link.Progress(items) {
		rep.restore(runs, items)
	}
	return true
}

// restore notes again what could not be handed in, unless there is newer word. It goes with the next push.
func (rep *reporter) restore(runs []*run, items []wire.ProgressItem) {
	rep.mu.Lock()
	defer rep.mu.Unlock()
	for i, r := range runs {
		if _, newer := rep.progress[r]; !newer && !r.said {
			rep.progress[r] = note{int(items[i].Percent), items[i].Text}
		}
	}
	rep.signal()
}
