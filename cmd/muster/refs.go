package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/musterhq/muster/rpc/rest"
)

// lastRef names the newest request.
const lastRef = "@last"

// pageSize is how many things one call lists.
const pageSize = 1000

// requestID resolves what a person calls a request: an id, or @last.
func requestID(ctx context.Context, c *rest.Client, ref string) (string, error) {
	if ref != lastRef {
		return ref, nil
	}
	list, err := c.Requests(ctx, rest.RequestQuery{Page: rest.Page{Limit: 1}})
	if err != nil {
		return "", err
	}
	if len(list.Requests) == 0 {
		return "", notFound("there is no request yet; submit one with: muster submit FILE")
	}
	return list.Requests[0].ID, nil
}

// jobID resolves what a person calls a job: an id, REQUEST/NAME, or a request that has one job only.
func jobID(ctx context.Context, c *rest.Client, ref string) (string, error) {
	request, name, named := strings.Cut(ref, "/")
	if !named && !looksLikeRequest(ref) {
		return ref, nil
	}
	id, err := requestID(ctx, c, request)
	if err != nil {
		return "", err
	}
	var only rest.Node
	count := 0
	for n, err := range nodes(ctx, c, id) {
		if err != nil {
			return "", err
		}
		if named && n.Name == name {
			return n.ID, nil
		}
		only = n
		if count++; !named && count > 1 {
			return "", &usageError{fmt.Errorf("request %s has several jobs: name one as %s/NAME; list them with: muster jobs %s", id, ref, ref)}
		}
	}
	if named {
		return "", notFound("request %s has no job %q; list its jobs with: muster jobs %s", id, name, request)
	}
	return only.ID, nil
}

// looksLikeRequest tells requests from jobs by the shape of their ids, which starts with a letter for the kind.
func looksLikeRequest(ref string) bool { return ref == lastRef || strings.HasPrefix(ref, "r") }

// workerID resolves what a person calls a worker: an id or a name.
func workerID(ctx context.Context, c *rest.Client, ref string) (string, error) {
	var named []rest.Worker
	after := ""
	for {
		page, err := c.Workers(ctx, rest.Page{After: after, Limit: pageSize})
		if err != nil {
			return "", err
		}
		for _, w := range page.Workers {
			if w.ID == ref {
				return w.ID, nil
			}
			if w.Name == ref {
				named = append(named, w)
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	return onlyWorker(ref, named)
}

// onlyWorker picks the worker that is meant by a name: the one of that name, or the only one that is not lost.
func onlyWorker(name string, named []rest.Worker) (string, error) {
	if len(named) == 1 {
		return named[0].ID, nil
	}
	var there []rest.Worker
	for _, w := range named {
		if w.State != rest.WorkerLost {
			there = append(there, w)
		}
	}
	switch {
	case len(named) == 0:
		return "", notFound("there is no worker %q; list them with: muster workers", name)
	case len(there) == 1:
		return there[0].ID, nil
	}
	return "", &usageError{fmt.Errorf("%d workers are named %q: give an id; list them with: muster workers", len(named), name)}
}

// notFound is what a coordinator answers when it knows no such thing, said by us.
func notFound(format string, args ...any) error {
	return &notFoundError{fmt.Errorf(format, args...)}
}

// notFoundError is returned when a name stands for nothing.
type notFoundError struct{ error }

func (e *notFoundError) Unwrap() error { return e.error }

func isNotFound(err error) bool {
	var e *notFoundError
	return errors.As(err, &e)
}
