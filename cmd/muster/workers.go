package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

func newWorkers(a *app) *cobra.Command {
	var p pageFlags
	c := &cobra.Command{
		Use: "workers", Short: "list the workers", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (rest.Workers, error) {
				return c.Workers(ctx, p.page())
			})
			if err != nil {
				return err
			}
			return a.showPage(list, list.Next, func(w io.Writer) {
				renderWorkers(w, painter(a.colour(w)), time.Now(), list.Workers)
			})
		},
	}
	p.register(c)
	return c
}

func (p *pageFlags) register(c *cobra.Command) {
	c.Flags().IntVar(&p.limit, "limit", 100, "how many to list at most")
	c.Flags().StringVar(&p.after, "after", "", "go on after this one, as a shorter list told")
}

// showPage shows a list and says how to see the rest of it.
func (a *app) showPage(doc any, next string, table func(io.Writer)) error {
	if err := a.show(doc, table); err != nil {
		return err
	}
	if next != "" && a.output == "table" {
		fmt.Fprintf(a.err, "there are more: --after %s\n", next)
	}
	return nil
}

func renderWorkers(w io.Writer, p painter, now time.Time, list []rest.Worker) {
	lines := make([][]string, len(list))
	for i, k := range list {
		lines[i] = []string{k.Name, p.state(k.State), fmt.Sprintf("%d/%d", k.Used, k.Slots), fmt.Sprint(k.Running),
			strings.Join(k.Queues, ","), labelsText(k.Labels), ago(now, k.Joined), k.ID}
	}
	rows(w, []string{"WORKER", "STATE", "SLOTS", "JOBS", "QUEUES", "LABELS", "JOINED", "ID"}, lines)
}

func labelsText(labels map[string]string) string {
	list := make([]string, 0, len(labels))
	for k, v := range labels {
		list = append(list, k+"="+v)
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

func newDrain(a *app) *cobra.Command {
	return workerVerb(a, "drain", "give a worker no further jobs; what it runs goes on", (*rest.Client).DrainWorker)
}

func newUndrain(a *app) *cobra.Command {
	return workerVerb(a, "undrain", "give a worker jobs again", (*rest.Client).UndrainWorker)
}

func workerVerb(a *app, verb, short string, do func(*rest.Client, context.Context, string) (rest.Worker, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " WORKER", Short: short, Args: cobra.ExactArgs(1), Example: "  muster " + verb + " worker-1   # a name, or an id of muster workers",
		RunE: func(c *cobra.Command, args []string) error {
			k, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (rest.Worker, error) {
				id, err := workerID(ctx, c, args[0])
				if err != nil {
					return rest.Worker{}, err
				}
				return do(c, ctx, id)
			})
			if err != nil {
				return err
			}
			return a.show(k, func(w io.Writer) { renderWorkers(w, painter(a.colour(w)), time.Now(), []rest.Worker{k}) })
		},
	}
}
