package cluster

import (
	"errors"
	"testing"
)

func TestMemoryWatchTellsWhenTooMuchIsLive(t *testing.T) {
	var live uint64
	m := &memoryWatch{limit: 1000, live: func() uint64 { return live }, log: testLog(t)}
	for _, step := range []struct {
		live uint64
		low  bool
	}{{0, false}, {600, false}, {601, true}, {2000, true}, {500, false}} {
		live = step.live
		m.look()
		if m.low() != step.low {
			t.Errorf("%d of 1000 live: low %v", step.live, m.low())
		}
	}
	if !errors.Is(ErrMemoryFull, ErrOverloaded) {
		t.Error("clients would not try again later")
	}
}
