package cluster

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/musterhq/muster/fsm"
)

func entryEvents(index uint64, n int) []fsm.Event {
	list := make([]fsm.Event, n)
	for i := range list {
		list[i] = fsm.Event{Index: index, Kind: fsm.EventJob, Attempt: uint32(i)}
	}
	return list
}

func TestRingHandsOutWholeEntriesInOrder(t *testing.T) {
	r := newRing(8)
	w := &Watcher{ring: r}
	for index := uint64(1); index <= 3; index++ {
		r.add(entryEvents(index, 2))
	}
	r.wake(2) // the third entry's batch is still being applied
	events, err := w.Next(t.Context())
	if err != nil || len(events) != 4 || events[3].Index != 2 {
		t.Fatalf("%v %v", events, err)
	}
	r.wake(3)
	if events, err = w.Next(t.Context()); err != nil || len(events) != 2 || events[0].Index != 3 {
		t.Fatalf("%v %v", events, err)
	}
}

func TestRingTellsWhoFellBehind(t *testing.T) {
	r := newRing(4)
	slow := &Watcher{ring: r}
	r.add(entryEvents(1, 3))
	r.add(entryEvents(2, 3)) // pushes out part of entry 1
	r.wake(2)
	if _, err := slow.Next(t.Context()); !errors.Is(err, ErrTooOld) {
		t.Fatalf("got %v", err)
	}
	ok := &Watcher{ring: r, from: 1}
	if events, err := ok.Next(t.Context()); err != nil || len(events) != 3 {
		t.Fatalf("%v %v", events, err)
	}
	r.reset(9) // a snapshot was restored
	if _, err := ok.Next(t.Context()); !errors.Is(err, ErrTooOld) {
		t.Fatalf("after a restore: %v", err)
	}
}

func TestRingWatcherWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing(4)
		got := make(chan int)
		go func() {
			events, _ := (&Watcher{ring: r}).Next(t.Context())
			got <- len(events)
		}()
		synctest.Wait()
		r.wake(1) // an entry without events wakes nobody for good
		synctest.Wait()
		r.add(entryEvents(2, 1))
		r.wake(2)
		if n := <-got; n != 1 {
			t.Fatalf("%d events", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := (&Watcher{ring: r, from: 2}).Next(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}
