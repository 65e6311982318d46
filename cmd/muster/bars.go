package main

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/musterhq/muster/rpc/rest"
)

const (
	barsMax  = 8 // running jobs that are drawn at once
	barWidth = 40
)

// bars is a view that draws: one bar for the request, and one for each running job.
type bars struct {
	p       *mpb.Progress
	whole   *mpb.Bar
	total   int64
	ended   int64
	running map[string]*runningJob // by id
	order   []string               // ids of running jobs as they came
	drawn   int
	count   atomic.Int64 // of running jobs, for the drawing goroutine
}

type runningJob struct {
	name, worker string
	progress     int64
	bar          *mpb.Bar // nil: not drawn
}

func newBars(w io.Writer, options ...mpb.ContainerOption) *bars {
	options = append([]mpb.ContainerOption{mpb.WithOutput(w), mpb.WithWidth(barWidth)}, options...)
	return &bars{p: mpb.New(options...), running: make(map[string]*runningJob)}
}

func (b *bars) start(r rest.Request) {
	b.total = int64(r.Jobs)
	b.whole = b.p.AddBar(b.total,
		mpb.BarPriority(-1),
		mpb.PrependDecorators(
			decor.Name(firstOf(oneLine(r.Name), r.ID)+"  "),
			decor.CountersNoUnit("%d/%d jobs"),
			decor.Any(func(decor.Statistics) string { return fmt.Sprintf("  %d running ", b.count.Load()) }),
		),
		mpb.AppendDecorators(decor.Percentage(), decor.Elapsed(decor.ET_STYLE_GO, decor.WCSyncSpace)),
	)
}

func (b *bars) event(e rest.Event) {
	if e.Type != rest.EventJob && e.Type != rest.EventProgress {
		return
	}
	switch {
	case e.Type == rest.EventProgress:
		b.progress(e)
	case e.State == rest.StateRunning:
		b.add(e)
	case e.State == rest.StateDone || e.State == rest.StateFailed || e.State == rest.StateCancelled:
		b.ended++
		b.whole.SetCurrent(min(b.ended, b.total))
		b.remove(e.Job)
		if e.State == rest.StateFailed {
			fmt.Fprintf(b.p, "job %s failed%s\n", e.JobName, eventDetails(e))
		}
	default: // back on the board
		b.remove(e.Job)
	}
	b.fill()
	b.count.Store(int64(len(b.running)))
}

func (b *bars) progress(e rest.Event) {
	if j := b.running[e.Job]; j != nil {
		j.progress = int64(e.Progress)
		if j.bar != nil {
			j.bar.SetCurrent(min(j.progress, 99)) // a full bar would be taken for a finished job
		}
	}
}

func (b *bars) add(e rest.Event) {
	if b.running[e.Job] == nil {
		b.running[e.Job] = &runningJob{name: e.JobName, worker: e.WorkerName}
		b.order = append(b.order, e.Job)
	}
}

func (b *bars) remove(id string) {
	j := b.running[id]
	if j == nil {
		return
	}
	delete(b.running, id)
	if j.bar != nil {
		j.bar.Abort(true)
		b.drawn--
	}
}

// fill draws running jobs while there is room.
func (b *bars) fill() {
	for b.drawn < barsMax && len(b.order) > 0 {
		j := b.running[b.order[0]]
		b.order = b.order[1:]
		if j == nil || j.bar != nil {
			continue
		}
		j.bar = b.p.AddBar(100,
			mpb.PrependDecorators(decor.Name("  "+oneLine(j.name), decor.WCSyncSpaceR), decor.Name(" "+j.worker, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Percentage(), decor.Elapsed(decor.ET_STYLE_GO, decor.WCSyncSpace)))
		j.bar.SetCurrent(min(j.progress, 99))
		b.drawn++
	}
}

func (b *bars) reread(r rest.Request) {
	b.ended = int64(r.Counts.Ended())
	b.whole.SetCurrent(min(b.ended, b.total))
}

func (b *bars) stop() {
	for id := range b.running {
		b.remove(id)
	}
	if b.whole != nil && !b.whole.Completed() {
		b.whole.Abort(false)
	}
	b.p.Wait()
}
