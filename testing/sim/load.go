package sim

import (
	"fmt"
	"time"

	"github.com/musterhq/muster/fsm"
)

const (
	queueName = "default"
	labelKey  = "has"
)

// draw makes a request: a DAG with all that a spec may say, small enough to end within a minute.
func draw(d dice, session, key string, jobsMax int) fsm.SubmitRequest {
	c := fsm.SubmitRequest{Session: session, Name: key, Key: key, Body: d.Uint64()}
	if d.chance(0.2) {
		c.MaxRunning = 1 + d.Uint32N(4)
	}
	if d.chance(0.2) {
		c.OnFailure = fsm.StopRequest
	}
	for range 1 + d.IntN(3) {
		c.Specs = append(c.Specs, drawSpec(d))
	}
	n := 1 + d.IntN(jobsMax)
	density := d.Float64() * 0.6
	for i := range n {
		j := fsm.JobEntry{Name: fmt.Sprintf("j%d", i), Spec: d.Uint32N(uint32(len(c.Specs)))}
		for on := range i {
			if d.chance(density) {
				j.Needs = append(j.Needs, fsm.Need{Job: uint32(on)})
			}
		}
		if d.chance(0.3) {
			j.Payload = fmt.Appendf(nil, `{"pad":"%0*d"}`, 1+d.IntN(2000), i)
		}
		c.Jobs = append(c.Jobs, j)
	}
	return c
}

func drawSpec(d dice) fsm.JobSpec {
	s := fsm.JobSpec{Kind: fsm.WorkHandler, Args: []string{"work"}, Queue: queueName, Slots: 1, LostLimit: d.Uint32N(6), Priority: int8(d.IntN(3) - 1)}
	if d.chance(0.2) {
		s.Slots = 2
	}
	if d.chance(0.2) {
		s.Labels = []fsm.Pair{{Key: labelKey, Value: "gpu"}}
	}
	if d.chance(0.2) {
		s.StartAfter = d.between(time.Millisecond, 3*time.Second)
	}
	if d.chance(0.3) {
		s.Timeout = d.between(500*time.Millisecond, 4*time.Second)
	}
	if d.chance(0.5) {
		s.Retry = fsm.Retry{Limit: d.Uint32N(4), Backoff: d.between(0, time.Second), Factor: 2000, Max: 4 * time.Second}
	}
	return s
}

// deed is how one attempt of a job goes.
type deed struct {
	takes    time.Duration
	kind     fsm.ReportKind
	noRetry  bool
	progress bool
	kills    bool // its worker dies of it
	deaf     bool // it goes on when it is told to stop
	twice    bool // its last word is said again
}

func (s *Sim) deedOf(g fsm.Grant) deed {
	d := newDice(s.opt.Seed, fmt.Sprint("deed ", g.Job, g.Attempt))
	w := deed{takes: min(d.around(300*time.Millisecond), 3*time.Second), kind: fsm.ReportDone, progress: d.chance(0.2), deaf: d.chance(0.2), twice: d.chance(0.1)}
	switch {
	case d.chance(0.02):
		w.takes = 20 * time.Second // longer than its timeout, if it has one
	case d.chance(0.06):
		w.kind, w.noRetry = fsm.ReportFailed, d.chance(0.3)
	case d.chance(0.03):
		w.kind = fsm.ReportReturn
	case d.chance(0.01):
		w.kills = true
	}
	return w
}
