package fsm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"
)

func (p *play) show(d *datadriven.TestData) string {
	v := p.m.View()
	var b strings.Builder
	switch d.CmdArgs[0].Key {
	case "jobs":
		requests := v.Requests(RequestFilter{Limit: 1 << 20})
		slices.Reverse(requests)
		for _, r := range requests {
			fmt.Fprintf(&b, "%s %s\n", r.Name, r.State)
			for _, j := range v.Jobs(r.ID, JobFilter{After: -1, Limit: 1 << 20}) {
				b.WriteString("  " + p.describe(j) + "\n")
			}
		}
	case "workers":
		for _, w := range v.Workers() {
			held := []string{}
			for _, g := range v.Held(w.ID) {
				held = append(held, fmt.Sprintf("%s#%d", p.jobName(g.Job), g.Attempt))
			}
			slices.Sort(held)
			fmt.Fprintf(&b, "%s incarnation %d uses %d of %d, gone %v, draining %v, holds %v\n", w.Name, w.Incarnation, w.Used, w.Slots, w.Lost, w.Draining, held)
		}
	case "history":
		id, _ := p.what(d.CmdArgs[1].Key)
		for _, s := range v.History(id) {
			fmt.Fprintf(&b, "%d %s", s.Index, s.State)
			if s.Attempt > 0 {
				fmt.Fprintf(&b, " #%d %s", s.Attempt, p.workerName(s.Worker))
			}
			if s.Reason != NoReason {
				fmt.Fprintf(&b, " (%s)", s.Reason)
			}
			if s.Error != "" {
				fmt.Fprintf(&b, " %q", s.Error)
			}
			if s.Progress > 0 {
				fmt.Fprintf(&b, " %d%%", s.Progress)
			}
			b.WriteString("\n")
		}
	case "sessions":
		for _, s := range v.Sessions(0, 1<<20) {
			fmt.Fprintf(&b, "%s: %d requests, %d live, closed %v\n", s.Name, s.Requests, s.Live, s.Closed)
		}
	case "keys":
		p.m.db.keys.Scan(func(key string, k *keyed) bool {
			fmt.Fprintf(&b, "%s: request %d, kept %v\n", key, k.request, p.m.db.request(k.request) != nil)
			return true
		})
	case "deadline":
		if at, ok := p.m.NextDeadline(); ok {
			fmt.Fprintf(&b, "in %s\n", time.Duration(at-p.now))
		} else {
			b.WriteString("none\n")
		}
	default:
		p.fatal("unknown thing to show %q", d.CmdArgs[0].Key)
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

func (p *play) describe(j JobInfo) string {
	s := fmt.Sprintf("%s %s", j.Name, j.State)
	if j.Reason != NoReason {
		s += " (" + j.Reason.String() + ")"
	}
	if j.Cause != NoJob {
		s += " because of " + p.jobName(JobID{j.ID.Request, j.Cause})
	}
	if j.Attempt > 0 {
		s += fmt.Sprintf(" #%d %s", j.Attempt, p.workerName(j.Worker))
	}
	if j.Retries > 0 || j.Lost > 0 {
		s += fmt.Sprintf(" retries %d lost %d", j.Retries, j.Lost)
	}
	if j.State == Delayed {
		s += fmt.Sprintf(" in %s", j.Times.NotBefore.Sub(time.Unix(0, p.now)))
	}
	if len(j.Result) > 0 {
		s += fmt.Sprintf(" result %s", j.Result)
	}
	if j.Error != "" || j.ExitCode != 0 {
		s += fmt.Sprintf(" error %q exit %d", j.Error, j.ExitCode)
	}
	return s
}
