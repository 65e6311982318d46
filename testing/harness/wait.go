package harness

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// BoundDefault ends a wait for something that a healthy cluster does within a second or two, on a machine that
	// runs several clusters on two cores.
	BoundDefault = 60 * time.Second
	// pollEvery is how often a condition is tried.
	pollEvery = 10 * time.Millisecond
)

// Until tries cond until it returns nil. After bound, or when the test is over, it fails the test with what it waited
// for and why that was not so.
func Until(tb TB, bound time.Duration, what string, cond func() error) {
	tb.Helper()
	if err := poll(tb.Context(), bound, cond); err != nil {
		tb.Fatalf("waited %v for %s: %v", bound, what, err)
	}
}

// poll tries cond until it returns nil or one of final, which is returned as any other error that is still there at the end.
func poll(ctx context.Context, bound time.Duration, cond func() error, final ...error) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil || slices.Contains(final, err) {
			return err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return errors.Join(err, ctx.Err())
			}
			return err
		case <-tick.C:
		}
	}
}
