package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

func newRequests(a *app) *cobra.Command {
	var p pageFlags
	var q rest.RequestQuery
	c := &cobra.Command{
		Use: "requests", Short: "list the requests, newest first", Args: cobra.NoArgs,
		Example: "  muster requests --state failed\n  muster requests --session nightly --limit 5",
		RunE: func(c *cobra.Command, _ []string) error {
			q.Page = p.page()
			list, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (rest.Requests, error) {
				return c.Requests(ctx, q)
			})
			if err != nil {
				return err
			}
			return a.showPage(list, list.Next, func(w io.Writer) {
				renderRequests(w, painter(a.colour(w)), time.Now(), list.Requests)
			})
		},
	}
	c.Flags().StringVar(&q.Session, "session", "", "of this session only (id or name)")
	c.Flags().StringVar(&q.State, "state", "", "in this state only: running, done, failed or cancelled")
	p.register(c)
	return c
}

func renderRequests(w io.Writer, p painter, now time.Time, list []rest.Request) {
	lines := make([][]string, len(list))
	for i, r := range list {
		lines[i] = []string{r.ID, oneLine(r.Name), oneLine(r.SessionName), p.state(r.State),
			fmt.Sprintf("%d/%d", r.Counts.Ended(), r.Jobs), ago(now, r.Created), took(now, r.Created, r.Ended)}
	}
	rows(w, []string{"ID", "REQUEST", "SESSION", "STATE", "JOBS", "AGE", "TOOK"}, lines)
}

func newRequest(a *app) *cobra.Command {
	c := &cobra.Command{Use: "request", Short: "show a request"}
	c.AddCommand(requestVerb(a, "show ID", "show a request", (*rest.Client).Request))
	return c
}

func newCancel(a *app) *cobra.Command {
	return requestVerb(a, "cancel ID", "cancel every job of a request that has not ended", (*rest.Client).CancelRequest)
}

func newPause(a *app) *cobra.Command {
	return requestVerb(a, "pause ID", "keep the jobs of a request from workers; what runs goes on", (*rest.Client).PauseRequest)
}

func newResume(a *app) *cobra.Command {
	return requestVerb(a, "resume ID", "end the pause of a request, or the hold on which it was submitted", (*rest.Client).ResumeRequest)
}

func requestVerb(a *app, use, short string, do func(*rest.Client, context.Context, string) (rest.Request, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1), Long: sentence(short) + "\nID is a request's id, or @last for the newest one.",
		RunE: func(c *cobra.Command, args []string) error {
			r, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (rest.Request, error) {
				id, err := requestID(ctx, c, args[0])
				if err != nil {
					return rest.Request{}, err
				}
				return do(c, ctx, id)
			})
			if err != nil {
				return err
			}
			return a.show(r, func(w io.Writer) { renderRequest(w, painter(a.colour(w)), time.Now(), r) })
		},
	}
}

func newRetry(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "retry ID", Short: "run the failed jobs of an ended request again, and what was cancelled with them", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (rest.Retried, error) {
				id, err := requestID(ctx, c, args[0])
				if err != nil {
					return rest.Retried{}, err
				}
				return c.RetryRequest(ctx, id)
			})
			if err != nil {
				return err
			}
			return a.show(r, func(w io.Writer) {
				fmt.Fprintf(w, "%d %s of %s at work again; follow with: muster wait %s\n", r.Revived, plural(int(r.Revived), "job"), r.Request.ID, r.Request.ID)
			})
		},
	}
}

func renderRequest(w io.Writer, p painter, now time.Time, r rest.Request) {
	state := p.state(r.State)
	if r.Pause != "" {
		state += ", " + r.Pause
	}
	if r.Reason != "" {
		state += ": " + printable(r.Reason)
	}
	limit := ""
	if r.MaxRunning > 0 {
		limit = fmt.Sprintf("%d at once", r.MaxRunning)
	}
	pairs(w, [][2]string{
		{"Request", r.ID},
		{"Name", oneLine(r.Name)},
		{"Session", fmt.Sprintf("%s (%s)", oneLine(r.SessionName), r.Session)},
		{"State", state},
		{"Jobs", fmt.Sprintf("%d: %s", r.Jobs, countsText(r.Counts))},
		{"Progress", fmt.Sprintf("%d%%", r.Progress)},
		{"Max running", limit},
		{"On failure", r.OnFailure},
		{"Key", r.IdempotencyKey},
		{"Created", stamp(now, r.Created)},
		{"Ended", stamp(now, r.Ended)},
		{"Took", took(now, r.Created, r.Ended)},
	})
}

// stamp is a time and how long ago that was.
func stamp(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format(time.RFC3339), ago(now, t))
}

func sentence(short string) string {
	return string(short[0]-'a'+'A') + short[1:] + "."
}
