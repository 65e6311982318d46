package cluster

import (
	"testing"
	"time"
)

func TestClocksThatBearEachOtherOut(t *testing.T) {
	at := time.Unix(1_000_000_000, 0)
	const day = 24 * time.Hour
	for _, c := range []struct {
		name   string
		voters int
		off    []time.Duration
		want   bool
	}{
		{"of a single coordinator", 1, []time.Duration{0}, true},
		{"one of three", 3, []time.Duration{0}, false},
		{"two of three that agree", 3, []time.Duration{skewWarn, 0}, true},
		{"two of three that differ", 3, []time.Duration{0, -day}, false},
		{"two of three that differ a little too much", 3, []time.Duration{skewWarn + 1, 0}, false},
		{"all of three, one wrong", 3, []time.Duration{0, -day, 1}, true},
		{"all of three, none like another", 3, []time.Duration{0, -day, day}, true},
		{"three of five, one wrong", 5, []time.Duration{0, -day, 0}, false},
		{"four of five, one wrong", 5, []time.Duration{0, day, 0, 0}, true},
		{"four of five, two and two", 5, []time.Duration{0, day, 0, day}, false},
		{"both of two that differ", 2, []time.Duration{0, day}, true},
	} {
		var walls []time.Time
		for _, off := range c.off {
			walls = append(walls, at.Add(off))
		}
		if got := bearOut(walls, c.voters); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// What a majority agrees on is the median, wherever a wrong clock stands.
func TestTheMedianIsWhatTheMajorityAgreesOn(t *testing.T) {
	at := time.Unix(1_000_000_000, 0)
	for _, wrong := range []time.Duration{-time.Hour, time.Hour} {
		walls := []time.Time{at, at.Add(wrong), at, at} // of five
		if c := newLogClock(0, walls, time.Now()); !bearOut(walls, 5) || c.base != at.UnixNano() {
			t.Errorf("one is off by %s: the log begins at %s", wrong, time.Unix(0, c.base))
		}
	}
}
