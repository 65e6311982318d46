package cluster

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// The memory reserve: when what is live takes more than its share of the process's memory limit, new work is refused, so
// that what is accepted can still end and a snapshot can be taken or restored. The collector needs room above what is
// live, too.
const (
	memoryLivePercent = 60
	memoryLookEvery   = 500 * time.Millisecond
)

// heapLive is what the last collection found to be in use.
const heapLive = "/gc/heap/live:bytes"

// memoryWatch watches how much of the process's memory limit (GOMEMLIMIT) is live. Without a limit it watches nothing.
type memoryWatch struct {
	limit uint64
	live  func() uint64
	log   hclog.Logger
	full  atomic.Bool
}

func newMemoryWatch(log hclog.Logger) *memoryWatch {
	m := &memoryWatch{live: liveHeap, log: log}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		m.limit = uint64(limit)
	}
	return m
}

func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: heapLive}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// low says whether too much was live at the last look.
func (m *memoryWatch) low() bool { return m.full.Load() }

// run looks again and again until ctx ends.
func (m *memoryWatch) run(ctx context.Context) error {
	if m.limit == 0 {
		return nil
	}
	tick := time.NewTicker(memoryLookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			m.look()
		}
	}
}

func (m *memoryWatch) look() {
	live := m.live()
	full := live > m.limit/100*memoryLivePercent
	if m.full.Swap(full) == full {
		return
	}
	if full {
		m.log.Error("memory almost full: new requests are refused until some have ended and are forgotten; give coordinators more memory",
			"live", live, "limit", m.limit)
	} else {
		m.log.Info("enough memory again", "live", live, "limit", m.limit)
	}
}
