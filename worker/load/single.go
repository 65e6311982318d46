package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

// endedLook is how often it is asked whether the last requests have ended.
const endedLook = 5 * time.Millisecond

// RequestsIn says whether a session has any request in the state.
type RequestsIn func(ctx context.Context, session string, state wire.State) (bool, error)

// Singly submits each job as a request by itself, in a session of their own: at most inFlight submits are unanswered, spread
// over the clients. It waits until all have ended, and says how long that took. Any job that is not done is an error.
func Singly(ctx context.Context, clients []*client.Client, r Run, inFlight int, any RequestsIn) (time.Duration, error) {
	name := fmt.Sprintf("bench-single-%d", time.Now().UnixNano())
	opened, err := clients[0].OpenSession(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("open a session: %w", err)
	}
	defer func() { _ = clients[0].CloseSession(ctx, opened.ID) }()
	id := opened.ID.String()
	start := time.Now()
	if err := submitSingly(ctx, clients, r, inFlight, name); err != nil {
		return 0, err
	}
	if err := awaitNone(ctx, id, wire.Running, any); err != nil {
		return 0, err
	}
	took := time.Since(start)
	for _, bad := range []wire.State{wire.Failed, wire.Cancelled} {
		if some, err := any(ctx, id, bad); err != nil {
			return 0, err
		} else if some {
			return 0, fmt.Errorf("session %s has requests that are %s", name, bad)
		}
	}
	return took, nil
}

func submitSingly(ctx context.Context, clients []*client.Client, r Run, inFlight int, session string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var left atomic.Int64
	left.Store(int64(r.Jobs))
	var wg sync.WaitGroup
	for i := range inFlight {
		c := clients[i%len(clients)]
		wg.Go(func() {
			for ctx.Err() == nil && left.Add(-1) >= 0 {
				if _, err := c.Submit(ctx, client.Request{Name: "bench", Session: session, Jobs: r.request(1)}); err != nil {
					cancel(fmt.Errorf("submit a job: %w", err))
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func awaitNone(ctx context.Context, session string, state wire.State, any RequestsIn) error {
	tick := time.NewTicker(endedLook)
	defer tick.Stop()
	for {
		some, err := any(ctx, session, state)
		if err != nil || !some {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
