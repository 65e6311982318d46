package main

import (
	"context"
	"iter"

	"github.com/musterhq/muster/rpc/rest"
)

// paged gives the items of all pages, one after the other. fetch gives one page and what to ask the next one with.
func paged[T any](fetch func(after string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		after := ""
		for {
			items, next, err := fetch(after)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			after = next
		}
	}
}

// nodes gives the DAG of a request.
func nodes(ctx context.Context, c *rest.Client, request string) iter.Seq2[rest.Node, error] {
	return paged(func(after string) ([]rest.Node, string, error) {
		g, err := c.Graph(ctx, request, rest.Page{After: after, Limit: pageSize})
		return g.Jobs, g.Next, err
	})
}

// jobsOf gives the jobs of a request, in that state unless it is empty.
func jobsOf(ctx context.Context, c *rest.Client, request, state string) iter.Seq2[rest.Job, error] {
	return paged(func(after string) ([]rest.Job, string, error) {
		l, err := c.Jobs(ctx, rest.JobQuery{Request: request, State: state, Page: rest.Page{After: after, Limit: pageSize}})
		return l.Jobs, l.Next, err
	})
}

// pageFlags are the flags of commands that list.
type pageFlags struct {
	limit int
	after string
}

func (p pageFlags) page() rest.Page { return rest.Page{Limit: p.limit, After: p.after} }
