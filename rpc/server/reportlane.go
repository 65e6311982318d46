package server

import (
	"context"
	"sync"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

const (
	// laneReportsMax is how many reports become one command, unless one frame has more.
	laneReportsMax = 4096
	// laneBytesMax is how many bytes of results become one command, unless one frame has more.
	laneBytesMax = 256 << 10
)

// reportLane keeps the reports of one connection in order: START of an attempt is proposed before its DONE. While one
// command is being committed it gathers what arrives; all of it becomes the next command.
type reportLane struct {
	mu      sync.Mutex
	waiting []laneReport
	busy    bool
	running sync.WaitGroup
}

// laneReport is one frame's reports.
type laneReport struct {
	id     uint64 // of the call
	report *wire.Report
}

// report takes a frame of reports; the lane answers it.
func (c *connection) report(in duplex.Incoming) (duplex.Work, error) {
	q := new(wire.Report)
	if err := wire.Decode(in.Body, q); err != nil {
		return nil, err
	}
	if err := c.speaksFor(q.Worker, q.Incarnation); err != nil {
		return nil, err
	}
	l := &c.reports
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, laneReport{in.ID, q})
	if !l.busy {
		l.busy = true
		l.running.Go(func() { c.runReports() })
	}
	return nil, nil
}

// wait returns when nothing is under way.
func (l *reportLane) wait() { l.running.Wait() }

// runReports proposes what waits until nothing does.
func (c *connection) runReports() {
	for batch := c.reports.take(); len(batch) > 0; batch = c.reports.take() {
		c.propose(c.ctx, batch)
	}
}

// take is what becomes the next command: reports of one worker, in order.
func (l *reportLane) take() (batch []laneReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reports, bytes := 0, 0
	for i, next := range l.waiting {
		reports += len(next.report.Reports)
		bytes += resultBytes(next.report)
		first := l.waiting[0].report
		if i > 0 && (reports > laneReportsMax || bytes > laneBytesMax ||
			next.report.Worker != first.Worker || next.report.Incarnation != first.Incarnation) {
			break
		}
		batch = l.waiting[:i+1]
	}
	if l.waiting = l.waiting[len(batch):]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	l.busy = len(batch) > 0
	return batch
}

func resultBytes(r *wire.Report) (n int) {
	for i := range r.Reports {
		n += len(r.Reports[i].Result) + len(r.Reports[i].Error)
	}
	return n
}

// propose replicates a batch and answers each of its calls.
func (c *connection) propose(ctx context.Context, batch []laneReport) {
	v, err := c.server.tasker.Propose(ctx, jobStates(batch))
	_, err = refused(nil, err)
	codes, ok := v.([]fsm.Code)
	if err == nil && (!ok || len(codes) != reportCount(batch)) {
		err = wire.Errorf(wire.CodeInternal, "%d reports were answered with %d codes", reportCount(batch), len(codes))
	}
	for _, b := range batch {
		if err != nil {
			c.conn.Answer(b.id, wire.MethodReport, nil, err)
			continue
		}
		n := len(b.report.Reports)
		c.conn.Answer(b.id, wire.MethodReport, &wire.Reported{Codes: wireCodes(codes[:n])}, nil)
		codes = codes[n:]
	}
}

func reportCount(batch []laneReport) (n int) {
	for _, b := range batch {
		n += len(b.report.Reports)
	}
	return n
}
