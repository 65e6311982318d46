package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/musterhq/muster/fsm"
)

const (
	// progressEvery is the time between two entries of progress.
	progressEvery = 100 * time.Millisecond
	// progressMax is the number of attempts whose progress waits for the next entry; beyond it, progress is dropped:
	// the next report of the same job brings it again.
	progressMax = 50_000
)

// progressBuffer coalesces progress: of each attempt the newest wins.
type progressBuffer struct {
	mu    sync.Mutex
	items map[fsm.Grant]fsm.ProgressItem
}

func (b *progressBuffer) put(items []fsm.ProgressItem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.items == nil {
		b.items = make(map[fsm.Grant]fsm.ProgressItem)
	}
	for _, it := range items {
		key := fsm.Grant{Job: it.Job, Attempt: it.Attempt}
		if _, known := b.items[key]; known || len(b.items) < progressMax {
			b.items[key] = it
		}
	}
}

func (b *progressBuffer) take() []fsm.ProgressItem {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) == 0 {
		return nil
	}
	list := make([]fsm.ProgressItem, 0, len(b.items))
	for _, it := range b.items {
		list = append(list, it)
	}
	clear(b.items)
	return list
}

// run proposes what has gathered, until ctx ends. What cannot be proposed is lost: progress is not a promise.
func (b *progressBuffer) run(ctx context.Context, propose func(context.Context, fsm.Command) (any, error)) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if items := b.take(); items != nil {
				_, _ = propose(ctx, fsm.Progress{Items: items})
			}
		}
	}
}
