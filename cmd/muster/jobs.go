package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

func newJobs(a *app) *cobra.Command {
	var p pageFlags
	var state string
	c := &cobra.Command{
		Use: "jobs [REQUEST]", Short: "list the jobs of a request, or of all", Args: cobra.MaximumNArgs(1),
		Example: "  muster jobs @last\n  muster jobs @last --state failed",
		RunE: func(c *cobra.Command, args []string) error {
			list, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (_ rest.Jobs, err error) {
				q := rest.JobQuery{State: state, Page: p.page()}
				if len(args) == 1 {
					if q.Request, err = requestID(ctx, c, args[0]); err != nil {
						return rest.Jobs{}, err
					}
				}
				return c.Jobs(ctx, q)
			})
			if err != nil {
				return err
			}
			return a.showPage(list, list.Next, func(w io.Writer) {
				renderJobs(w, painter(a.colour(w)), time.Now(), list.Jobs)
			})
		},
	}
	c.Flags().StringVar(&state, "state", "", "in this state only: waiting, ready, delayed, picked, running, done, failed or cancelled")
	p.register(c)
	return c
}

func renderJobs(w io.Writer, p painter, now time.Time, list []rest.Job) {
	lines := make([][]string, len(list))
	for i, j := range list {
		lines[i] = []string{j.ID, oneLine(j.Name), p.state(j.State), count(uint64(j.Attempt)), oneLine(j.WorkerName),
			progressText(j), took(now, j.Times.Started, j.Times.Ended), oneLine(note(j))}
	}
	rows(w, []string{"ID", "JOB", "STATE", "ATTEMPT", "WORKER", "PROGRESS", "RAN", "NOTE"}, lines)
}

func progressText(j rest.Job) string {
	if j.State == rest.StateRunning || j.State == rest.StatePicked {
		return fmt.Sprintf("%d%%", j.Progress)
	}
	return ""
}

// note is what there is to say about a job in a few words.
func note(j rest.Job) string {
	switch j.State {
	case rest.StateFailed:
		return failure(j)
	case rest.StateCancelled:
		if j.Cause != nil {
			return fmt.Sprintf("%s: %s", firstOf(j.Reason, "because of"), j.Cause.Name)
		}
		return j.Reason
	case rest.StateRunning:
		return j.ProgressText
	case rest.StateDelayed:
		return "until " + j.Times.NotBefore.UTC().Format(time.RFC3339)
	}
	return ""
}

// failure is why a job failed: its own words if it left some, and its exit code.
func failure(j rest.Job) string {
	var parts []string
	if j.ExitCode != nil {
		parts = append(parts, fmt.Sprintf("exit code %d", *j.ExitCode))
	}
	if j.Reason != "" && j.Reason != "error" {
		parts = append(parts, j.Reason)
	}
	if e := strings.TrimSpace(j.Error); e != "" && !(len(parts) > 0 && strings.HasPrefix(e, "exit ")) {
		parts = append(parts, e)
	}
	return strings.Join(parts, ": ")
}

func newJob(a *app) *cobra.Command {
	c := &cobra.Command{Use: "job", Short: "show a job, or what happened to it",
		Long: "JOB is a job's id, or REQUEST/NAME, where REQUEST may be @last."}
	c.AddCommand(&cobra.Command{
		Use: "show JOB", Short: "show a job", Args: cobra.ExactArgs(1), Example: "  muster job show @last/report",
		RunE: func(c *cobra.Command, args []string) error {
			j, err := askJob(c.Context(), a, args[0], (*rest.Client).Job)
			if err != nil {
				return err
			}
			return a.show(j, func(w io.Writer) { renderJob(w, painter(a.colour(w)), time.Now(), j) })
		},
	}, &cobra.Command{
		Use: "history JOB", Short: "show each step of a job, with its place in the log", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := askJob(c.Context(), a, args[0], (*rest.Client).JobHistory)
			if err != nil {
				return err
			}
			return a.show(h, func(w io.Writer) { renderHistory(w, painter(a.colour(w)), h) })
		},
	})
	return c
}

func askJob[T any](ctx context.Context, a *app, ref string, do func(*rest.Client, context.Context, string) (T, error)) (T, error) {
	return ask(ctx, a, func(ctx context.Context, c *rest.Client) (T, error) {
		id, err := jobID(ctx, c, ref)
		if err != nil {
			var none T
			return none, err
		}
		return do(c, ctx, id)
	})
}

func renderJob(w io.Writer, p painter, now time.Time, j rest.Job) {
	state := p.state(j.State)
	if n := note(j); n != "" {
		state += ": " + printable(n)
	}
	worker := ""
	if j.Worker != "" {
		worker = fmt.Sprintf("%s (%s)", j.WorkerName, j.Worker)
	}
	pairs(w, [][2]string{
		{"Job", j.ID},
		{"Name", j.Name},
		{"Request", j.Request},
		{"State", state},
		{"Attempt", attemptText(j)},
		{"Worker", worker},
		{"Progress", strings.TrimSpace(fmt.Sprintf("%d%% %s", j.Progress, oneLine(j.ProgressText)))},
		{"Needs", needsText(j.Needs)},
		{"Any of", needsText(j.NeedsAny)},
		{"Does", oneLine(actionText(j.Spec))},
		{"Queue", j.Spec.Queue},
		{"Labels", labelsText(j.Spec.Labels)},
		{"Submitted", stamp(now, j.Times.Submitted)},
		{"Started", stamp(now, j.Times.Started)},
		{"Ended", stamp(now, j.Times.Ended)},
		{"Ran", took(now, j.Times.Started, j.Times.Ended)},
		{"Result", resultText(j)},
	})
	switch {
	case j.State == rest.StateFailed:
		fmt.Fprintf(w, "\nNext: muster logs %s --stderr · muster job history %s · muster retry %s\n", j.ID, j.ID, j.Request)
	case j.State == rest.StateCancelled && j.Cause != nil:
		fmt.Fprintf(w, "\nNext: muster job show %s\n", j.Cause.ID)
	}
}

func attemptText(j rest.Job) string {
	if j.Attempt == 0 {
		return ""
	}
	s := fmt.Sprint(j.Attempt)
	if j.Retries > 0 {
		s += fmt.Sprintf(", %d after failures", j.Retries)
	}
	if j.Lost > 0 {
		s += fmt.Sprintf(", %d after lost workers", j.Lost)
	}
	return s
}

func needsText(needs []rest.Need) string {
	names := make([]string, len(needs))
	for i, n := range needs {
		names[i] = needText(n)
	}
	return strings.Join(names, ", ")
}

func needText(n rest.Need) string {
	if n.When == "" || n.When == rest.WhenDone {
		return n.Job
	}
	return n.Job + " (" + n.When + ")"
}

func actionText(w rest.Work) string {
	switch {
	case w.Handler != "":
		return "handler " + w.Handler
	case w.Shell != "":
		return w.Shell
	}
	return strings.Join(w.Command, " ")
}

// resultText is a result for people: JSON as it is, and text as itself.
func resultText(j rest.Job) string {
	b, err := j.ResultBytes()
	if err != nil {
		return err.Error()
	}
	if j.ResultEncoding != "" {
		return fmt.Sprintf("%d bytes that are not text", len(b))
	}
	return printable(plainText(b))
}

func renderHistory(w io.Writer, p painter, h rest.History) {
	lines := make([][]string, len(h.Steps))
	for i, s := range h.Steps {
		lines[i] = []string{fmt.Sprint(s.Index), s.Time.UTC().Format("2006-01-02T15:04:05.000Z"), p.state(s.State),
			count(uint64(s.Attempt)), stepProgress(s), s.Worker, s.Reason, exitText(s.ExitCode), oneLine(s.Error)}
	}
	rows(w, []string{"INDEX", "TIME", "STATE", "ATTEMPT", "PROGRESS", "WORKER", "REASON", "EXIT", "ERROR"}, lines)
}

func stepProgress(s rest.Step) string {
	if s.State != rest.StateRunning || s.Progress == 0 {
		return ""
	}
	return fmt.Sprintf("%d%%", s.Progress)
}

func exitText(code *int32) string {
	if code == nil {
		return ""
	}
	return fmt.Sprint(*code)
}
