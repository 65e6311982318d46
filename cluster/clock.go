package cluster

import (
	"slices"
	"time"
)

// skewWarn is how far a coordinator's wall clock may be from the others' before it says so.
const skewWarn = 2 * time.Second

// logClock is a leader's time for its entries. It begins where the log and the majority's wall clocks are, and advances
// by the monotonic clock: a wall clock that is set while it leads moves nothing.
type logClock struct {
	base  int64 // Unix nanoseconds at start
	start time.Time
}

// newLogClock starts at the median of the wall clocks (this node's own among them), but not before last.
func newLogClock(last int64, walls []time.Time, start time.Time) logClock {
	slices.SortFunc(walls, time.Time.Compare)
	base := last
	if n := len(walls); n > 0 {
		base = max(last, walls[(n-1)/2].UnixNano())
	}
	return logClock{base: base, start: start}
}

func (c logClock) now() int64 { return c.base + int64(time.Since(c.start)) }
