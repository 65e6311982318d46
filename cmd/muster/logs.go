package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/rpc/rest"
)

// attemptEvery is how often it is asked what became of an attempt whose output has ended.
const attemptEvery = 100 * time.Millisecond

func newLogs(a *app) *cobra.Command {
	var follow, stderr bool
	var attempt uint32
	c := &cobra.Command{
		Use: "logs JOB", Short: "print the output of a job", Args: cobra.ExactArgs(1),
		Long: `Prints the output of a job, of its newest attempt unless --attempt says otherwise. The worker that ran it keeps it.

JOB is a job's id, REQUEST/NAME, or a request that has one job only; REQUEST may be @last.`,
		Example: "  muster logs @last/report -f\n  muster logs j0000000012-00003 --stderr --attempt 1",
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			defer client.Close()
			q := rest.LogQuery{Stream: "stdout", Attempt: attempt, Follow: follow}
			if stderr {
				q.Stream = "stderr"
			}
			return a.logs(c.Context(), client, args[0], q)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "wait for the job to start and print what comes, until the attempt ends")
	c.Flags().BoolVar(&stderr, "stderr", false, "its standard error instead of its standard output")
	c.Flags().Uint32Var(&attempt, "attempt", 0, "of this attempt (default: the newest)")
	return c
}

func (a *app) logs(ctx context.Context, c *rest.Client, ref string, q rest.LogQuery) error {
	bounded, cancel := a.patient(ctx)
	defer cancel()
	id, err := jobID(bounded, c, ref)
	if err != nil {
		return err
	}
	if !q.Follow {
		ctx = bounded
	}
	return copyLog(ctx, a.out, c, id, q)
}

func copyLog(ctx context.Context, w io.Writer, c *rest.Client, job string, q rest.LogQuery) error {
	l, err := c.JobLogs(ctx, job, q)
	if err != nil {
		return err
	}
	defer l.Close()
	_, err = io.Copy(w, l)
	return err
}

// streamJob prints what a job writes, attempt after attempt, and gives the job as it ended.
func (a *app) streamJob(ctx context.Context, c *rest.Client, id string) (rest.Job, error) {
	for attempt := uint32(1); ; attempt++ {
		if err := a.streamAttempt(ctx, c, id, attempt); err != nil {
			return rest.Job{}, err
		}
		j, err := awaitAttempt(ctx, c, id, attempt)
		if err != nil || j.Attempt <= attempt {
			return j, err
		}
		fmt.Fprintf(a.err, "attempt %d begins\n", attempt+1)
	}
}

// streamAttempt prints both streams of an attempt until it ends. Output that is lost with its worker is no error: the
// job's outcome does not depend on it.
func (a *app) streamAttempt(ctx context.Context, c *rest.Client, id string, attempt uint32) error {
	g, ctx := errgroup.WithContext(ctx)
	for stream, w := range map[string]io.Writer{"stdout": a.out, "stderr": a.err} {
		g.Go(func() error {
			return copyLog(ctx, w, c, id, rest.LogQuery{Stream: stream, Attempt: attempt, Follow: true})
		})
	}
	err := g.Wait()
	var p *rest.Problem
	if errors.As(err, &p) && (p.Code == rest.CodeNotFound || p.Code == rest.CodeConflict) && ctx.Err() != nil {
		if p.Code == rest.CodeNotFound {
			fmt.Fprintln(a.err, "no more output:", p.Detail)
		}
		return nil
	}
	return err
}

// awaitAttempt waits until the job has ended or a later attempt has begun.
func awaitAttempt(ctx context.Context, c *rest.Client, id string, attempt uint32) (rest.Job, error) {
	tick := time.NewTicker(attemptEvery)
	defer tick.Stop()
	for {
		j, err := c.Job(ctx, id)
		if err != nil || ended(j.State) || j.Attempt > attempt {
			return j, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return j, context.Cause(ctx)
		}
	}
}

// ended says whether a job's state is final.
func ended(state string) bool {
	return state == rest.StateDone || state == rest.StateFailed || state == rest.StateCancelled
}
