package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

// eventsIdle is how long the next event is waited for before what is remembered counts as told, unless it is followed.
const eventsIdle = 2 * time.Second

type eventsFlags struct {
	follow           bool
	request, session string
	from             uint64
}

func newEvents(a *app) *cobra.Command {
	var f eventsFlags
	c := &cobra.Command{
		Use: "events", Short: "print what happens, one event a line", Args: cobra.NoArgs,
		Long: `Prints events: what jobs, requests and workers went through, each with the index of its log entry.

Coordinators remember the newest events only. Without -f those that are remembered are printed; with -f what happens from now on, over
changes of the leader, until Ctrl-C. Where events were left out, because the coordinators no longer had them, a line says "reset":
whoever keeps something by them reads it anew. With -o json each line is a JSON document, as GET /v1/events sends it.`,
		Example: "  muster events -f\n  muster events -f --request @last -o json | jq -c 'select(.type == \"job\")'\n  muster events --from 1200",
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			defer client.Close()
			return a.events(c.Context(), client, f)
		},
	}
	c.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on with what happens, until Ctrl-C")
	c.Flags().StringVar(&f.request, "request", "", "of this request only (id or @last)")
	c.Flags().StringVar(&f.session, "session", "", "of this session only (id or name)")
	c.Flags().Uint64Var(&f.from, "from", 0, "after this log index (default: with -f from now, else all that are remembered)")
	return c
}

func (a *app) events(ctx context.Context, c *rest.Client, f eventsFlags) error {
	q := rest.WatchQuery{Session: f.session, From: f.from}
	if q.From == 0 && !f.follow {
		q.From = 1 // the stream's first index
	}
	bounded, cancel := a.patient(ctx)
	defer cancel()
	if f.request != "" {
		id, err := requestID(bounded, c, f.request)
		if err != nil {
			return err
		}
		if _, err := c.Request(bounded, id); err != nil {
			return err // rather than to wait for what is not there
		}
		q.Request = id
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	idle := time.AfterFunc(eventsIdle, stop)
	defer idle.Stop()
	if f.follow {
		idle.Stop()
	}
	for e, err := range c.Watch(watching, q) {
		if err != nil && ctx.Err() == nil && watching.Err() != nil {
			return nil // nothing more is remembered
		}
		if err != nil {
			return err
		}
		if !f.follow {
			idle.Reset(eventsIdle)
		}
		if err := a.showEvent(e); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// showEvent prints an event as one line, or, as YAML, as a document.
func (a *app) showEvent(e rest.Event) error {
	switch a.output {
	case "json":
		w := json.NewEncoder(a.out)
		w.SetEscapeHTML(false)
		return w.Encode(e)
	case "yaml":
		if _, err := io.WriteString(a.out, "---\n"); err != nil {
			return err
		}
		return writeYAML(a.out, e)
	}
	_, err := fmt.Fprintln(a.out, eventLine(e))
	return err
}

func eventLine(e rest.Event) string {
	s := fmt.Sprintf("%s %d ", stampLine(e.Time), e.Index)
	switch e.Type {
	case rest.EventReset:
		return s + "reset: events were left out"
	case rest.EventWorker:
		return s + fmt.Sprintf("worker=%s state=%s", oneLine(e.WorkerName), e.State)
	case rest.EventRequest:
		s += fmt.Sprintf("request=%s name=%s state=%s", e.Request, oneLine(dash(e.RequestName)), e.State)
		if e.Pause != "" {
			s += " pause=" + e.Pause
		}
		return s
	case rest.EventProgress:
		return s + fmt.Sprintf("job=%s name=%s progress=%d%%%s", e.Job, oneLine(e.JobName), e.Progress, eventDetails(e))
	}
	return s + fmt.Sprintf("job=%s name=%s state=%s%s", e.Job, oneLine(e.JobName), e.State, eventDetails(e))
}
