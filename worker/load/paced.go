package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/rpc/client"
)

const (
	// pacedEvery is how often a paced load submits: what has become due goes in one request.
	pacedEvery = 10 * time.Millisecond
	// pacedMax is how many of its requests may be under way: a cluster that cannot keep up is not buried.
	pacedMax = 256
)

// Paced is a load of so many jobs a second.
type Paced struct {
	cancel context.CancelCauseFunc
	ctx    context.Context
	wg     sync.WaitGroup
	start  time.Time
	done   atomic.Int64
}

// NewPaced begins to load the cluster with jobs as r says, perSecond of them.
func NewPaced(ctx context.Context, c *client.Client, r Run, perSecond float64) *Paced {
	p := &Paced{start: time.Now()}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	p.wg.Go(func() { p.submit(c, r, perSecond) })
	return p
}

func (p *Paced) submit(c *client.Client, r Run, perSecond float64) {
	tick := time.NewTicker(pacedEvery)
	defer tick.Stop()
	free := make(chan struct{}, pacedMax)
	for submitted := 0; ; {
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return
		}
		due := int(time.Since(p.start).Seconds()*perSecond) - submitted
		if due <= 0 {
			continue
		}
		submitted += due
		select {
		case free <- struct{}{}:
		default:
			continue // left out: Stop tells the rate that was reached
		}
		p.wg.Go(func() {
			defer func() { <-free }()
			if err := through(p.ctx, c, r, due); err != nil {
				p.cancel(err)
				return
			}
			p.done.Add(int64(due))
		})
	}
}

// Stop ends the load, and says how many jobs a second were done. What is under way is left to itself.
func (p *Paced) Stop() (perSecond float64, err error) {
	took := time.Since(p.start)
	perSecond = float64(p.done.Load()) / took.Seconds()
	p.cancel(context.Canceled)
	p.wg.Wait()
	if err := context.Cause(p.ctx); !errors.Is(err, context.Canceled) {
		return 0, fmt.Errorf("load the cluster: %w", err)
	}
	return perSecond, nil
}
