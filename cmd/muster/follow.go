package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/musterhq/muster/rpc/rest"
)

const (
	// replayTime is how long the events of a request that has already ended are waited for.
	replayTime = 2 * time.Second
	// failuresShown is how many failed jobs are told of when a request fails.
	failuresShown = 10
)

// view shows how a request goes. Its methods are called by one goroutine.
type view interface {
	start(rest.Request)
	event(rest.Event)
	// reread says how the request is after events were missed.
	reread(rest.Request)
	stop()
}

// view is bars where they can be drawn, lines elsewhere: also on a terminal that does not tell its size.
func (a *app) view() view {
	if a.terminal(a.err) && columns(a.err) > 0 {
		return newBars(a.err)
	}
	return &lines{w: a.err}
}

// follow shows a request until it ends and gives it as it is then. With replay, one that ended before we looked is
// shown too.
func (a *app) follow(ctx context.Context, c *rest.Client, id string, replay bool) (rest.Request, error) {
	r, err := a.firstLook(ctx, c, id)
	if err != nil || r.Over() && !replay {
		return r, err
	}
	if r.Over() {
		replayed, cancel := context.WithTimeout(ctx, replayTime)
		defer cancel()
		return r, ignoreEnd(replayed, a.watch(replayed, c, &r))
	}
	return r, a.watch(ctx, c, &r)
}

// firstLook is bounded by --timeout, unlike the watch after it: a wrong address shall be told soon.
func (a *app) firstLook(ctx context.Context, c *rest.Client, id string) (rest.Request, error) {
	ctx, cancel := a.patient(ctx)
	defer cancel()
	return c.Request(ctx, id)
}

// ignoreEnd forgives an error that comes from ctx's own end.
func ignoreEnd(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return nil
	}
	return err
}

// watch shows the events of a request from its submission on until it has ended, and keeps *r up to date.
func (a *app) watch(ctx context.Context, c *rest.Client, r *rest.Request) error {
	v := a.view()
	defer v.stop()
	v.start(*r)
	for e, err := range c.Watch(ctx, rest.WatchQuery{Request: r.ID, From: max(r.Index, 1) - 1}) {
		if err != nil {
			return err
		}
		reset, ended := e.Type == rest.EventReset, e.Type == rest.EventRequest && e.State != rest.StateRunning
		if !reset {
			v.event(e)
		}
		if !reset && !ended {
			continue
		}
		now, err := c.Request(ctx, r.ID)
		if err != nil {
			return err
		}
		*r = now
		if reset {
			v.reread(now)
		}
		if now.Over() { // it may have been retried since that event
			return nil
		}
	}
	return context.Cause(ctx)
}

// lines is a view that writes one line a change, for logs.
type lines struct {
	w     io.Writer
	begin uint64 // index of the submission, which start tells
}

func (l *lines) start(r rest.Request) {
	l.begin = r.Index
	fmt.Fprintf(l.w, "%s request=%s state=%s jobs=%d\n", stampLine(r.Created), r.ID, rest.StateRunning, r.Jobs)
}

func (l *lines) event(e rest.Event) {
	switch e.Type {
	case rest.EventProgress:
		fmt.Fprintf(l.w, "%s job=%s progress=%d%%\n", stampLine(e.Time), e.JobName, e.Progress)
	case rest.EventJob:
		if !quietState(e.State) {
			fmt.Fprintf(l.w, "%s job=%s state=%s%s\n", stampLine(e.Time), e.JobName, e.State, eventDetails(e))
		}
	case rest.EventRequest:
		if e.Index == l.begin {
			return
		}
		state := e.State
		if e.Pause != "" {
			state = e.Pause
		}
		fmt.Fprintf(l.w, "%s request=%s state=%s\n", stampLine(e.Time), e.Request, state)
	}
}

func (l *lines) reread(r rest.Request) {
	fmt.Fprintf(l.w, "%s request=%s state=%s jobs=%d ended=%d (changes in between were missed)\n",
		stampLine(time.Now()), r.ID, r.State, r.Jobs, r.Counts.Ended())
}

func (l *lines) stop() {}

// quietState is a state that is passed through on the way to one that matters.
func quietState(s string) bool {
	return s == rest.StateWaiting || s == rest.StateReady || s == rest.StatePicked
}

func eventDetails(e rest.Event) string {
	s := ""
	if e.Attempt > 0 {
		s += fmt.Sprintf(" attempt=%d", e.Attempt)
	}
	if e.WorkerName != "" {
		s += " worker=" + e.WorkerName
	}
	if e.Reason != "" {
		s += " reason=" + e.Reason
	}
	return s
}

func stampLine(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// outcome says how a request ended and what to try next. It returns a *workError unless the request is done.
func (a *app) outcome(ctx context.Context, c *rest.Client, r rest.Request) error {
	fmt.Fprintf(a.err, "request %s %s after %s: %s\n", r.ID, r.State, rough(r.Ended.Sub(r.Created)), countsText(r.Counts))
	if r.State == rest.StateDone {
		return nil
	}
	ctx, cancel := a.patient(ctx)
	defer cancel()
	list, err := c.Jobs(ctx, rest.JobQuery{Request: r.ID, State: rest.StateFailed, Page: rest.Page{Limit: failuresShown}})
	if err != nil {
		return err
	}
	renderFailures(a.err, list)
	if len(list.Jobs) > 0 && !a.leaving {
		fmt.Fprintf(a.err, "next: muster logs %s --stderr · muster graph %s · muster retry %s\n", list.Jobs[0].ID, r.ID, r.ID)
	}
	return &workError{exitFailed}
}

func renderFailures(w io.Writer, failed rest.Jobs) {
	for _, j := range failed.Jobs {
		fmt.Fprintf(w, "  %s failed on attempt %d at %s: %s\n", j.Name, j.Attempt, dash(j.WorkerName), oneLine(dash(failure(j))))
	}
	if failed.Next != "" {
		fmt.Fprintln(w, "  and more")
	}
}

// goesOn tells a person who interrupted a wait that the work has not been interrupted.
func (a *app) goesOn(ctx context.Context, id string) {
	if errors.Is(context.Cause(ctx), errInterrupted) {
		fmt.Fprintf(a.err, "request %s goes on; muster wait %s · muster cancel %s\n", id, id, id)
	}
}
