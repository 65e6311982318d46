package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/testing/harness"
)

// load keeps requests of jobs that do nothing under way. A request that does not end done is a failure.
type load struct {
	client *client.Client
	more   context.CancelFunc // ends submitting
	quit   context.CancelFunc // ends waiting, too
	users  sync.WaitGroup
	done   atomic.Int64 // jobs
}

// endBound is how long the requests under way may take to end.
const endBound = 2 * time.Minute

func startLoad(tb harness.TB, c *harness.Cluster, o options) *load {
	l := &load{client: newClient(c, "load")}
	ctx, quit := context.WithCancel(context.Background())
	more, stop := context.WithCancel(ctx)
	l.more, l.quit = stop, quit
	tb.Cleanup(func() {
		quit()
		l.users.Wait()
		l.client.Close()
	})
	for range o.submitters {
		l.users.Go(func() {
			for more.Err() == nil {
				if err := l.request(ctx, o.perRequest); err != nil && ctx.Err() == nil {
					tb.Errorf("load: %v", err)
					return
				}
			}
		})
	}
	return l
}

// request submits n jobs and waits for their end.
func (l *load) request(ctx context.Context, n int) error {
	jobs := make([]client.Job, n)
	for i := range jobs {
		jobs[i] = client.Job{Name: fmt.Sprintf("n%d", i), Handler: "noop", Queue: loadQueue}
	}
	s, err := l.client.Submit(ctx, client.Request{Name: "load", Session: "load", Jobs: jobs})
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	info, err := l.client.Wait(ctx, s.ID)
	if err != nil {
		return fmt.Errorf("wait for %s: %w", s.ID, err)
	}
	if info.State != wire.Done {
		return fmt.Errorf("request %s ended %s", s.ID, info.State)
	}
	l.done.Add(int64(n))
	return nil
}

// await waits until n further jobs are done.
func (l *load) await(tb harness.TB, n int) {
	want := l.done.Load() + int64(n)
	harness.Until(tb, endBound, fmt.Sprint(n, " jobs of the load"), func() error {
		if now := l.done.Load(); now < want {
			return fmt.Errorf("%d are to come", want-now)
		}
		return nil
	})
}

// end lets what is under way end.
func (l *load) end(tb harness.TB) {
	l.more()
	ended := make(chan struct{})
	go func() { l.users.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(endBound):
		tb.Errorf("the load did not end within %v", endBound)
	}
	l.quit()
	<-ended
}
