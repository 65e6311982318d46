package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

// idleJoining is how many idle workers join at once.
const idleJoining = 64

// idle is a worker that waits for jobs of a queue that has none.
type idle struct {
	joined chan struct{} // of capacity 1
}

func (w *idle) Granted(wire.Granted) {}
func (w *idle) Stop([]wire.Attempt)  {}
func (w *idle) Held() []wire.Attempt { return nil }
func (w *idle) Accepting() bool      { return true }
func (w *idle) Disconnected(error)   {}
func (w *idle) Connected(wire.Joined, string) {
	select {
	case w.joined <- struct{}{}:
	default:
	}
}

func (w *idle) ReadLog(context.Context, wire.ReadLog) (wire.LogChunk, error) {
	return wire.LogChunk{}, errors.New("an idle worker has no logs")
}

// Idle has n workers, each with a connection of its own, joined to the cluster while it runs during. They beat and wait for
// jobs, and get none.
func Idle(ctx context.Context, cfg client.Config, n int, during func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	links := make([]*client.Link, n)
	var joining errgroup.Group
	joining.SetLimit(idleJoining)
	for i := range links {
		w := &idle{joined: make(chan struct{}, 1)}
		name := fmt.Sprintf("bench-idle-%d", i)
		own := cfg
		own.Name = name
		c := client.New(own)
		defer c.Close()
		links[i] = c.WorkerLink(wire.Join{Name: name, Process: rand.Uint64(), Queues: []string{"bench-idle"}, Slots: 1}, w)
		joining.Go(func() error {
			running.Go(func() {
				if err := links[i].Run(ctx); err != nil {
					cancel(fmt.Errorf("%s: %w", name, err))
				}
			})
			select {
			case <-w.joined:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}
	err := joining.Wait()
	if err == nil {
		err = during(ctx)
	}
	if err == nil {
		err = leave(ctx, links)
	}
	cancel(nil)
	running.Wait()
	return err
}

func leave(ctx context.Context, links []*client.Link) error {
	var leaving errgroup.Group
	leaving.SetLimit(idleJoining)
	for _, l := range links {
		leaving.Go(func() error { return l.Leave(ctx) })
	}
	return leaving.Wait()
}
