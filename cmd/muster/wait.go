package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

func newWait(a *app) *cobra.Command {
	var limit time.Duration
	c := &cobra.Command{
		Use: "wait REQUEST", Short: "wait until a request ends", Args: cobra.ExactArgs(1),
		Long: `Waits until a request ends, over leader changes and lost coordinators.

Exits 0 when it is done, 1 when it failed or was cancelled, 124 when --timeout ran out before; the request goes on then.`,
		Example: "  muster wait @last\n  muster wait r0000000012 --timeout 10m",
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			defer client.Close()
			return a.waitWithin(c.Context(), client, args[0], limit)
		},
	}
	c.Flags().DurationVar(&limit, "timeout", 0, "wait no longer than this (default: without end)")
	return c
}

func (a *app) waitWithin(ctx context.Context, c *rest.Client, ref string, limit time.Duration) error {
	errLimit := &timeoutError{fmt.Sprintf("request %s has not ended within %s; it goes on", ref, limit)}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errLimit)
		defer cancel()
	}
	err := a.resolveAndWait(ctx, c, ref)
	if err != nil && !isWorkError(err) && errors.Is(context.Cause(ctx), errLimit) {
		return errLimit
	}
	return err
}

func (a *app) resolveAndWait(ctx context.Context, c *rest.Client, ref string) error {
	bounded, cancel := a.patient(ctx)
	id, err := requestID(bounded, c, ref)
	cancel()
	if err != nil {
		return err
	}
	return a.waitFor(ctx, c, id, false)
}

// waitFor follows a request to its end and says how it ended.
func (a *app) waitFor(ctx context.Context, c *rest.Client, id string, replay bool) error {
	r, err := a.follow(ctx, c, id, replay)
	if err != nil {
		a.goesOn(ctx, id)
		return err
	}
	if a.output != "table" && !replay {
		if err := a.show(r, func(io.Writer) {}); err != nil {
			return err
		}
	}
	return a.outcome(ctx, c, r)
}
