package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// skewWarn is how far a coordinator's wall clock may be from the others' before it says so.
	skewWarn = 2 * time.Second
	// wallsTimeout bounds a new leader's questions for the others' clocks, when it does not know enough of them.
	wallsTimeout = 250 * time.Millisecond
)

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

// walls is what the voters' wall clocks show now, of those that answered a moment ago, and this node's own.
func (c *Coordinator) walls(voters []raft.ServerID) []time.Time {
	now, own := time.Now(), c.wall()
	list := []time.Time{own}
	for _, k := range c.book.list() {
		if k.answering(now) && k.Clock != 0 && k.ID != c.self().ID && slices.Contains(voters, raft.ServerID(k.ID)) {
			wall := time.UnixMilli(k.Clock).Add(now.Sub(k.Answered))
			list = append(list, wall)
			if skew := wall.Sub(own); skew > skewWarn || skew < -skewWarn {
				c.log.Warn("wall clocks differ", "peer", k.Name, "by", skew.Round(time.Millisecond))
			}
		}
	}
	return list
}

// enoughWalls is the wall clocks of a majority, so that one wrong clock alone does not begin the log's time, which never
// goes back. If the log has no time yet (last is 0) they must bear each other out, too: of two that differ the earlier
// counts, and a first leader that began days too early would have the next one end, days too soon, all that lasts until then.
// Later the log's own time is a floor.
func (c *Coordinator) enoughWalls(ctx context.Context, last int64) ([]time.Time, error) {
	voters := voterIDs(c.node.raft.GetConfiguration().Configuration())
	walls := c.walls(voters)
	if !bearOut(walls, len(voters)) {
		ask, cancel := context.WithTimeout(ctx, wallsTimeout)
		defer cancel()
		c.peers.round(ask)
		walls = c.walls(voters)
	}
	switch known := fmt.Sprintf("the wall clocks of %d of %d coordinators are known", len(walls), len(voters)); {
	case len(walls) <= len(voters)/2:
		return nil, fmt.Errorf("%s: less than a majority", known)
	case last == 0 && !bearOut(walls, len(voters)):
		return nil, fmt.Errorf("%s, and no majority agrees within %s: set the clocks, or start the other coordinators", known, skewWarn)
	}
	return walls, nil
}

// bearOut says whether the median of the wall clocks is one that a majority of so many voters agrees with, as far as one
// can tell: a majority shows about the same, or all are known.
func bearOut(walls []time.Time, voters int) bool {
	majority := voters/2 + 1
	slices.SortFunc(walls, time.Time.Compare)
	for i := majority - 1; i < len(walls); i++ {
		if walls[i].Sub(walls[i+1-majority]) <= skewWarn {
			return true
		}
	}
	return len(walls) >= voters
}
