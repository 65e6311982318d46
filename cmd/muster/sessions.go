package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

func newSessions(a *app) *cobra.Command {
	return sessionList(a, "sessions")
}

func sessionList(a *app, use string) *cobra.Command {
	var p pageFlags
	c := &cobra.Command{
		Use: use, Short: "list the sessions", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (rest.Sessions, error) {
				return c.Sessions(ctx, p.page())
			})
			if err != nil {
				return err
			}
			return a.showPage(list, list.Next, func(w io.Writer) { renderSessions(w, time.Now(), list.Sessions) })
		},
	}
	p.register(c)
	return c
}

func renderSessions(w io.Writer, now time.Time, list []rest.Session) {
	lines := make([][]string, len(list))
	for i, s := range list {
		lines[i] = []string{s.ID, oneLine(s.Name), s.State, fmt.Sprint(s.Requests), fmt.Sprint(s.Live), ago(now, s.Created)}
	}
	rows(w, []string{"ID", "SESSION", "STATE", "REQUESTS", "RUNNING", "AGE"}, lines)
}

func newSession(a *app) *cobra.Command {
	c := &cobra.Command{Use: "session", Short: "list, show, open and close sessions",
		Long: "A session groups requests. Submitting a request opens its session if need be; a closed one takes no further requests."}
	c.AddCommand(sessionList(a, "list"),
		sessionVerb(a, "show ID|NAME", "show a session", (*rest.Client).Session),
		sessionVerb(a, "open NAME", "open a session, or show the open one of that name", (*rest.Client).OpenSession),
		sessionVerb(a, "close ID|NAME", "take no further requests into a session; what runs goes on", closeSession))
	return c
}

// closeSession takes a name too.
func closeSession(c *rest.Client, ctx context.Context, ref string) (rest.Session, error) {
	s, err := c.Session(ctx, ref)
	if err != nil {
		return s, err
	}
	return c.CloseSession(ctx, s.ID)
}

func sessionVerb(a *app, use, short string, do func(*rest.Client, context.Context, string) (rest.Session, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (rest.Session, error) {
				return do(c, ctx, args[0])
			})
			if err != nil {
				return err
			}
			return a.show(s, func(w io.Writer) { renderSessions(w, time.Now(), []rest.Session{s}) })
		},
	}
}
