package load

import (
	"context"
	"fmt"
	"time"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

// parkedPerRequest is how many parked jobs one request has.
const parkedPerRequest = 100_000

// Park puts n ready jobs on the board, in a queue that no worker serves, where they stay until release is called.
func Park(ctx context.Context, c *client.Client, n int) (release func(context.Context) error, err error) {
	r := Run{Handler: "noop", Queue: fmt.Sprintf("bench-parked-%d", time.Now().UnixNano())}
	var parked []wire.RequestID
	release = func(ctx context.Context) error {
		for _, id := range parked {
			if err := c.Cancel(ctx, id); err != nil {
				return fmt.Errorf("cancel the parked jobs: %w", err)
			}
		}
		return nil
	}
	for n > 0 {
		part := min(n, parkedPerRequest)
		s, err := c.Submit(ctx, client.Request{Name: "bench-parked", Session: session, Jobs: r.request(part)})
		if err != nil {
			return release, fmt.Errorf("park %d jobs: %w", part, err)
		}
		parked = append(parked, s.ID)
		n -= part
	}
	return release, nil
}
