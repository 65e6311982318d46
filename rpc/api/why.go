package api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

func (s *Server) getWhy(w http.ResponseWriter, r *http.Request) error {
	return describe(s, w, r, job, func(v *fsm.View, info fsm.JobInfo) any {
		causes, _ := v.Why(info.ID)
		return whyOf(info, causes)
	})
}

func whyOf(i fsm.JobInfo, causes []fsm.Cause) rest.Why {
	doc := rest.Why{
		Job: i.ID.String(), Name: i.Name, Request: i.ID.Request.String(), State: i.State.String(), Reason: i.Reason.String(),
		Causes: make([]rest.Cause, len(causes)),
	}
	for n := range causes {
		doc.Causes[n] = causeOf(&causes[n])
	}
	return doc
}

func causeOf(c *fsm.Cause) rest.Cause {
	doc := rest.Cause{
		Kind: string(c.Kind), Left: c.Left, Limit: c.Limit, Count: c.Count, AtLeast: c.AtLeast, Reason: c.Reason.String(),
		Attempt: c.Attempt, Error: c.Error, At: c.At, Until: c.Until, ExitCode: exitCodeOf(c.State, c.Reason, c.ExitCode),
	}
	switch c.Kind {
	case fsm.CauseEnding, fsm.CauseMoved, fsm.CauseRetried, fsm.CauseRevived:
		doc.State = c.State.String()
	}
	for i := range c.Jobs {
		doc.Jobs = append(doc.Jobs, causeJobOf(&c.Jobs[i], c.Kind == fsm.CauseNeeds || c.Kind == fsm.CauseNeedsAny))
	}
	for i := range c.Workers {
		doc.Workers = append(doc.Workers, causeWorkerOf(&c.Workers[i]))
	}
	doc.Text = causeText(&doc)
	return doc
}

func causeJobOf(j *fsm.CauseJob, needed bool) rest.CauseJob {
	doc := rest.CauseJob{ID: j.ID.String(), Name: j.Name, State: j.State.String(), Reason: j.Reason.String(), Error: j.Error}
	if needed {
		doc.When = whenWords[j.When]
	}
	if j.Worker != 0 {
		doc.Worker = j.Worker.String()
	}
	return doc
}

func causeWorkerOf(w *fsm.CauseWorker) rest.CauseWorker {
	doc := rest.CauseWorker{ID: w.ID.String(), Name: w.Name, State: workerState(w.WorkerInfo), Slots: w.Slots, Used: w.Used}
	for _, l := range w.Lacks {
		doc.Lacks = append(doc.Lacks, rest.Lack(l))
	}
	return doc
}

// causeText is a cause in one sentence.
func causeText(c *rest.Cause) string {
	switch c.Kind {
	case rest.CauseNeeds:
		return "it needs " + jobsText(c, needText)
	case rest.CauseNeedsAny:
		return "it needs one of " + jobsText(c, needText)
	case rest.CauseSettling:
		return "its needs are met; its request is large, and the coordinators are working through it"
	case rest.CauseEnding:
		return "its request is about to end as " + c.State
	case rest.CausePaused:
		return "its request is paused; go on with: muster resume REQUEST"
	case rest.CauseHeld:
		return "its request was submitted on hold; let it go with: muster resume REQUEST"
	case rest.CauseBackoff:
		return fmt.Sprintf("it is tried again after %s: attempt %d %s", timeText(c.Until), c.Attempt, endText(c))
	case rest.CauseStartAfter:
		return "it starts after " + timeText(c.Until)
	case rest.CauseMaxRunning:
		return fmt.Sprintf("its request runs %d jobs, and max_running is %d: %s", c.Count, c.Limit, jobsText(c, holderText))
	case rest.CauseNoWorker:
		return noWorkerText(c)
	case rest.CauseDrained:
		return "drained, so not given any job: " + workersText(c) + "; undo with: muster undrain WORKER"
	case rest.CauseNoSlots:
		return "too few slots are free on " + workersText(c)
	case rest.CauseNotAsking:
		return "could run it, but do not ask for jobs now: " + workersText(c)
	case rest.CauseQueue:
		return queueText(c)
	}
	return pastText(c)
}

// pastText is causeText for what has happened.
func pastText(c *rest.Cause) string {
	switch c.Kind {
	case rest.CausePicked:
		return fmt.Sprintf("attempt %d was given to %s at %s, which has not reported START yet", c.Attempt, workersText(c), timeText(c.At))
	case rest.CauseRunning:
		return fmt.Sprintf("attempt %d runs on %s since %s", c.Attempt, workersText(c), timeText(c.At))
	case rest.CauseDone:
		return fmt.Sprintf("it is done, by %s on attempt %d", workersText(c), c.Attempt)
	case rest.CauseFailed:
		return failedText(c)
	case rest.CauseCancelled:
		return cancelledText(c)
	case rest.CauseMoved:
		return fmt.Sprintf("attempt %d left %s: %s", c.Attempt, workersText(c), endText(c))
	case rest.CauseRetried:
		return fmt.Sprintf("attempt %d on %s %s", c.Attempt, workersText(c), endText(c))
	case rest.CauseRevived:
		return fmt.Sprintf("it had ended as %s (%s) at %s, and its request was retried", c.State, c.Reason, timeText(c.At))
	}
	return c.Kind
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func needText(j *rest.CauseJob) string {
	if j.When == rest.WhenDone {
		return fmt.Sprintf("%s (%s)", j.Name, j.State)
	}
	return fmt.Sprintf("%s to be %s (%s)", j.Name, j.When, j.State)
}

func holderText(j *rest.CauseJob) string { return fmt.Sprintf("%s on %s", j.Name, j.Worker) }

func jobsText(c *rest.Cause, one func(*rest.CauseJob) string) string {
	parts := make([]string, len(c.Jobs))
	for i := range c.Jobs {
		parts[i] = one(&c.Jobs[i])
	}
	return listText(parts, c.Left)
}

func workersText(c *rest.Cause) string {
	parts := make([]string, len(c.Workers))
	for i, w := range c.Workers {
		parts[i] = w.Name
		switch {
		case w.Name == "":
			parts[i] = w.ID
		case c.Kind == rest.CauseNoSlots:
			parts[i] = fmt.Sprintf("%s (%d of %d taken)", w.Name, w.Used, w.Slots)
		}
	}
	return listText(parts, c.Left)
}

func listText(parts []string, left uint32) string {
	text := strings.Join(parts, ", ")
	if left > 0 {
		text += fmt.Sprintf(" and %d more", left)
	}
	return text
}

func noWorkerText(c *rest.Cause) string {
	if len(c.Workers) == 0 {
		return "no worker is registered: start one with: muster worker"
	}
	w := &c.Workers[0]
	parts := make([]string, len(w.Lacks))
	for i, l := range w.Lacks {
		parts[i] = lackText(&l)
	}
	return fmt.Sprintf("no worker can run it; nearest is %s, which %s", w.Name, strings.Join(parts, " and "))
}

func lackText(l *rest.Lack) string {
	switch {
	case l.What == rest.LackAlive:
		return "is lost"
	case l.What == rest.LackQueue:
		return fmt.Sprintf("serves %s, not the queue %s", l.Has, l.Want)
	case l.What == rest.LackSlots:
		return fmt.Sprintf("has %s slots, not %s", l.Has, l.Want)
	case l.Has == "":
		return fmt.Sprintf("has no label %s=%s", l.Key, l.Want)
	}
	return fmt.Sprintf("has the label %s=%s, not %s", l.Key, l.Has, l.Want)
}

func queueText(c *rest.Cause) string {
	switch {
	case c.AtLeast:
		return fmt.Sprintf("at least %d ready jobs like it come first", c.Count)
	case c.Count == 0:
		return "it is the first of its kind on the board"
	case c.Count == 1:
		return "1 ready job like it comes first"
	}
	return fmt.Sprintf("%d ready jobs like it come first", c.Count)
}

// endText is how an attempt ended.
func endText(c *rest.Cause) string {
	text := map[string]string{
		"error": "failed", "timeout": "ran into its timeout", "lost": "its worker was lost", "returned": "it was handed back unrun",
		"restored": "a saved state was restored",
	}[c.Reason]
	if c.ExitCode != nil {
		text += fmt.Sprintf(" with exit code %d", *c.ExitCode)
	}
	if c.Error != "" {
		text += ": " + c.Error
	}
	return text
}

func failedText(c *rest.Cause) string {
	text := fmt.Sprintf("attempt %d on %s %s", c.Attempt, workersText(c), endText(c))
	if c.Reason == "lost" {
		return fmt.Sprintf("%s; %d of %d lost workers that it may survive", text, c.Count, c.Limit)
	}
	return fmt.Sprintf("%s; %d of %d retries were spent", text, c.Count, c.Limit)
}

func cancelledText(c *rest.Cause) string {
	text := map[string]string{
		"user": "a person cancelled its request", "stopped": "its request has on_failure: stop",
		"needs": "a need can no longer be met", "unneeded": "unneeded: the condition under which it runs was not met",
	}[c.Reason]
	for i := range c.Jobs {
		j := &c.Jobs[i]
		text += fmt.Sprintf("; %s is %s", j.Name, j.State)
		if j.Reason != "" {
			text += " (" + j.Reason + ")"
		}
		if j.Error != "" {
			text += ": " + j.Error
		}
	}
	return text
}
