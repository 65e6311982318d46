package fsm

import (
	"io"
	"sync"
	"testing"
)

// TestViewsAreReadWhileTheMachineGoesOn has readers look at views, write snapshots of them and compare what they see
// with what it was, while the machine changes. The race detector is the judge of the rest.
func TestViewsAreReadWhileTheMachineGoesOn(t *testing.T) {
	data := make([]byte, 4000)
	x := uint32(7)
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	s, m := &script{data}, told(t)
	now := m.Now()
	var readers sync.WaitGroup
	defer readers.Wait()
	for index := m.Index() + 1; len(s.data) > 0; index++ {
		now += int64(s.below(90)) * 1e9
		apply(t, m, index, NewEntry(now, Encode(s.command()), Encode(s.command())))
		if index%8 != 0 {
			continue
		}
		v := m.View()
		was := digest(v)
		readers.Go(func() {
			for range 3 {
				if is := digest(v); is != was {
					t.Errorf("the view of entry %d has changed:\n%s", v.Index(), difference(was, is))
				}
			}
			if _, err := v.WriteTo(io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
}
