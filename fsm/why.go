package fsm

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CauseKind is what holds a job up, or what became of it. The words are those of the HTTP API and never change.
type CauseKind string

// The causes of a job that has not ended.
const (
	CauseNeeds      CauseKind = "needs"       // Jobs are not yet as it needs them
	CauseNeedsAny   CauseKind = "needs_any"   // none of Jobs is yet as it needs one of them
	CauseSettling   CauseKind = "settling"    // its needs are met; its large request is worked off in steps
	CauseEnding     CauseKind = "ending"      // its request is about to end as State
	CausePaused     CauseKind = "paused"      // a person paused its request
	CauseHeld       CauseKind = "held"        // its request was submitted on hold
	CauseBackoff    CauseKind = "backoff"     // not before Until, after a failed attempt
	CauseStartAfter CauseKind = "start_after" // not before Until, as it was submitted
	CauseMaxRunning CauseKind = "max_running" // its request runs Limit jobs already: Jobs
	CauseNoWorker   CauseKind = "no_worker"   // no worker can run it; Workers has the one that lacks least, if any
	CauseDrained    CauseKind = "drained"     // Workers could run it and are drained
	CauseNoSlots    CauseKind = "no_slots"    // Workers could run it and have too few slots free
	CauseNotAsking  CauseKind = "not_asking"  // Workers could run it and have slots free, and do not ask for jobs
	CauseQueue      CauseKind = "queue"       // Count ready jobs like it come first
	CausePicked     CauseKind = "picked"      // Workers[0] was given it and has not reported START
	CauseRunning    CauseKind = "running"     // Workers[0] runs it
)

// The causes of a job that has ended.
const (
	CauseDone      CauseKind = "done"
	CauseFailed    CauseKind = "failed"
	CauseCancelled CauseKind = "cancelled" // Jobs leads to the cause, nearest first
)

// What became of earlier attempts. These come last, oldest first.
const (
	CauseMoved   CauseKind = "moved"   // it left Workers[0] without an end: lost, returned or restored
	CauseRetried CauseKind = "retried" // it failed, and was tried again
	CauseRevived CauseKind = "revived" // it had ended, and a person had its request retried
)

// Cause is one reason why a job is where it is. Its slices are the caller's.
type Cause struct {
	Kind     CauseKind
	Jobs     []CauseJob
	Workers  []CauseWorker
	Left     uint32 // further ones that Jobs or Workers leaves out
	Limit    uint32 // of max_running, or of retries for CauseFailed
	Count    uint32
	AtLeast  bool // Count is only as far as was looked
	State    State
	Reason   Reason
	Attempt  uint32
	Error    string
	ExitCode int32
	At       time.Time // since when, or when that was
	Until    time.Time
}

// CauseJob is a job that a Cause names.
type CauseJob struct {
	ID     JobID
	Name   string
	When   When // the condition, for CauseNeeds and CauseNeedsAny
	State  State
	Reason Reason
	Error  string
	Worker WorkerID // that holds it; 0: none
}

// CauseWorker is a worker that a Cause names.
type CauseWorker struct {
	WorkerInfo
	Lacks []Lack
}

// Lack is one thing for which a worker cannot run a job.
type Lack struct {
	What string // alive, queue, label or slots
	Key  string // of the label
	Want string
	Has  string
}

const (
	causeListMax = 20      // jobs or workers that one Cause names
	causeChain   = 100     // jobs on the way to the first cause that are followed
	queueLooks   = 1 << 20 // jobs that are looked at to find a place in the queue
)

// Why tells what a job waits for, or why it ended as it did, and what became of its earlier attempts.
func (v *View) Why(id JobID) ([]Cause, bool) {
	r := v.request(id.Request)
	if r == nil || id.Index >= r.len() {
		return nil, false
	}
	y := &why{v: v, r: r, i: id.Index, j: r.job(id.Index)}
	y.now()
	y.past()
	return y.causes, true
}

type why struct {
	v      *View
	r      *request
	i      uint32
	j      *job
	causes []Cause
}

func (y *why) add(c Cause) { y.causes = append(y.causes, c) }

func (y *why) now() {
	j := y.j
	if !j.state.Terminal() && y.r.halted() {
		y.add(Cause{Kind: CauseEnding, State: y.r.endingAs(), Reason: y.r.halting().reason})
		return
	}
	if !j.state.Terminal() && !j.state.Assigned() {
		y.paused()
	}
	switch j.state {
	case Waiting:
		y.needs()
	case Delayed:
		y.delayed()
	case Ready:
		y.ready()
	case Picked:
		y.add(Cause{Kind: CausePicked, Attempt: j.attempt, Workers: y.holder(j.worker), At: wallTime(j.picked.at)})
	case Running:
		y.add(Cause{Kind: CauseRunning, Attempt: j.attempt, Workers: y.holder(j.worker), At: wallTime(j.started.at)})
	case Done:
		y.add(Cause{Kind: CauseDone, Attempt: j.attempt, Workers: y.holder(j.worker), At: wallTime(j.ended.at)})
	case Failed:
		c := Cause{Kind: CauseFailed, Attempt: j.attempt, Workers: y.holder(j.worker), At: wallTime(j.ended.at), Reason: j.reason,
			Count: uint32(j.retries), Limit: y.r.spec(y.i).Retry.Limit}
		if j.reason == ReasonLost {
			c.Count, c.Limit = uint32(j.lost), y.r.spec(y.i).LostLimit
		}
		if j.more != nil {
			c.Error, c.ExitCode = j.more.err, j.more.exit
		}
		y.add(c)
	case Cancelled:
		y.cancelled()
	}
}

func (y *why) paused() {
	switch y.r.pause {
	case Paused:
		y.add(Cause{Kind: CausePaused})
	case Held:
		y.add(Cause{Kind: CauseHeld})
	}
}

func (y *why) holder(id WorkerID) []CauseWorker {
	w, ok := y.v.Worker(id)
	if !ok {
		w = WorkerInfo{ID: id, Lost: true} // forgotten
	}
	return []CauseWorker{{WorkerInfo: w}}
}

func (y *why) name(i uint32) CauseJob {
	j := y.r.job(i)
	c := CauseJob{ID: JobID{y.r.id, i}, Name: y.r.dag.name(i), State: j.state, Reason: j.reason}
	if j.state.Assigned() {
		c.Worker = j.worker
	}
	if j.more != nil && j.state == Failed {
		c.Error = j.more.err
	}
	return c
}

// list adds a job to those that a cause names, as long as they are few.
func (c *Cause) list(j CauseJob) {
	if len(c.Jobs) < causeListMax {
		c.Jobs = append(c.Jobs, j)
	} else {
		c.Left++
	}
}

func (y *why) needs() {
	all, anyOf := Cause{Kind: CauseNeeds}, Cause{Kind: CauseNeedsAny}
	for _, n := range y.r.dag.needsOf(y.i) {
		j := y.name(n.Job)
		j.When = n.When
		switch v := n.judge(j.State); {
		case v == met && !n.Any:
		case !n.Any:
			all.list(j)
		case v == pending && y.j.hopes > 0:
			anyOf.list(j)
		}
	}
	if len(all.Jobs) > 0 {
		y.add(all)
	}
	if len(anyOf.Jobs) > 0 {
		y.add(anyOf)
	}
	if len(all.Jobs)+len(anyOf.Jobs) == 0 {
		y.add(Cause{Kind: CauseSettling})
	}
}

func (y *why) delayed() {
	c := Cause{Kind: CauseStartAfter, Until: wallTime(y.j.due)}
	if p := y.lastPast(); p != nil && p.to == Delayed {
		c.Kind, c.Attempt, c.Reason, c.Error, c.ExitCode = CauseBackoff, p.attempt, p.reason, p.err, p.exit
	}
	y.add(c)
}

func (y *why) lastPast() *pastAttempt {
	if y.j.more == nil || len(y.j.more.past) == 0 {
		return nil
	}
	return &y.j.more.past[len(y.j.more.past)-1]
}

func (y *why) ready() {
	if y.r.maxRunning > 0 && y.r.assigned() >= y.r.maxRunning {
		y.full()
	}
	y.fitting()
	if y.r.pause == NotPaused {
		y.place()
	}
}

// full names the jobs for which max_running leaves no room.
func (y *why) full() {
	c := Cause{Kind: CauseMaxRunning, Limit: y.r.maxRunning, Count: y.r.assigned()}
	for i := uint32(0); i < y.r.len() && uint32(len(c.Jobs))+c.Left < c.Count; i++ {
		if y.r.job(i).state.Assigned() {
			c.list(y.name(i))
		}
	}
	y.add(c)
}

// fitting looks at the workers: whether any could run the job, and what keeps those that could from it.
func (y *why) fitting() {
	s := y.r.spec(y.i)
	drained, busy, silent := Cause{Kind: CauseDrained}, Cause{Kind: CauseNoSlots}, Cause{Kind: CauseNotAsking}
	none := Cause{Kind: CauseNoWorker}
	fewest, asking := math.MaxInt, false
	y.v.workers.byID.Scan(func(_ WorkerID, w *worker) bool {
		lacks := w.lacks(s)
		into := &silent
		switch {
		case len(lacks) > 0:
			if len(lacks) < fewest {
				fewest = len(lacks)
				none.Workers = []CauseWorker{{workerInfo(w), lacks}}
			}
			return true
		case w.draining:
			into = &drained
		case w.slots-min(w.used, w.slots) < s.Slots:
			into = &busy
		case w.wants() >= s.Slots:
			asking = true
			return true
		}
		if len(into.Workers) < causeListMax {
			into.Workers = append(into.Workers, CauseWorker{WorkerInfo: workerInfo(w)})
		} else {
			into.Left++
		}
		return true
	})
	if asking {
		return
	}
	found := false
	for _, c := range []Cause{busy, silent, drained} {
		if len(c.Workers) > 0 {
			y.add(c)
			found = true
		}
	}
	if !found {
		y.add(none)
	}
}

// lacks is what a worker would have to have to run a job, were it idle and not drained.
func (w *worker) lacks(s *JobSpec) (list []Lack) {
	if w.gone {
		list = append(list, Lack{What: "alive"})
	}
	if !slices.Contains(w.queues, s.Queue) {
		list = append(list, Lack{What: "queue", Want: s.Queue, Has: strings.Join(w.queues, ", ")})
	}
	for _, need := range s.Labels {
		at := slices.IndexFunc(w.labels, func(l Pair) bool { return l.Key == need.Key })
		switch {
		case at < 0:
			list = append(list, Lack{What: "label", Key: need.Key, Want: need.Value})
		case w.labels[at].Value != need.Value:
			list = append(list, Lack{What: "label", Key: need.Key, Want: need.Value, Has: w.labels[at].Value})
		}
	}
	if w.slots < s.Slots {
		list = append(list, Lack{What: "slots", Want: strconv.Itoa(int(s.Slots)), Has: strconv.Itoa(int(w.slots))})
	}
	return list
}

// place counts the ready jobs that the same workers can run and that come before this one.
func (y *why) place() {
	s := y.r.spec(y.i)
	c := Cause{Kind: CauseQueue}
	left := queueLooks
	y.v.db.requests.Scan(func(_ RequestID, r *request) bool {
		if r.counts[Ready] == 0 || r.halted() || r.room() == 0 && r != y.r {
			left--
			return left > 0
		}
		for i, n := uint32(0), r.counts[Ready]; i < r.len() && n > 0 && left > 0; i++ {
			left--
			j := r.job(i)
			if j.state != Ready {
				continue
			}
			n--
			if o := r.spec(i); o.class == s.class && (o.Priority > s.Priority || o.Priority == s.Priority && j.order < y.j.order) {
				c.Count++
			}
		}
		return left > 0
	})
	c.AtLeast = left <= 0
	if c.Count > 0 || len(y.causes) == 0 {
		y.add(c)
	}
}

// cancelled follows the causes to the first.
func (y *why) cancelled() {
	c := Cause{Kind: CauseCancelled, Reason: y.j.reason, At: wallTime(y.j.ended.at)}
	for at := y.j.cause; at != 0 && len(c.Jobs) < causeChain; at = y.r.job(at - 1).cause {
		c.Jobs = append(c.Jobs, y.name(at-1))
		if y.r.job(at-1).state != Cancelled {
			break // what it says of a cause is of an earlier life
		}
	}
	y.add(c)
}

func (y *why) past() {
	m := y.j.more
	if m == nil {
		return
	}
	for i := range m.past {
		p := &m.past[i]
		c := Cause{Kind: CauseRetried, Attempt: p.attempt, Reason: p.reason, Error: p.err, ExitCode: p.exit, State: p.to, At: wallTime(p.ended.at)}
		switch {
		case p.to.Terminal():
			c.Kind = CauseRevived
		case p.reason == ReasonLost || p.reason == ReasonReturn || p.reason == ReasonRestore:
			c.Kind = CauseMoved
		}
		if p.picked != (stamp{}) {
			c.Workers = y.holder(p.worker)
		}
		y.add(c)
	}
}
