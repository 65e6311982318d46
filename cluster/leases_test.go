package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/fsm"
)

// judged runs the look that the leader does, for a while, and lists who was found lost.
func judged(l *leases, d time.Duration) (lost []expired) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(leaseLook) {
		e, _ := l.look(time.Now())
		lost = append(lost, e...)
	}
	return lost
}

func TestLeaseRunsOutWithoutBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeases(10*time.Second, 2*time.Second)
		l.reset([]fsm.WorkerInfo{{ID: 1, Incarnation: 1}, {ID: 2, Incarnation: 1}, {ID: 3, Lost: true}}, time.Now())
		if lost := judged(l, 9*time.Second); lost != nil {
			t.Fatalf("lost within the first TTL: %v", lost)
		}
		l.beat(2, 1, time.Now())
		l.beat(1, 7, time.Now()) // another incarnation's beat counts for nothing
		lost := judged(l, 3*time.Second)
		if len(lost) != 1 || lost[0].worker != 1 {
			t.Fatalf("lost %v", lost)
		}
		if again := judged(l, time.Second); again != nil {
			t.Fatalf("judged twice: %v", again)
		}
		l.retry(lost[0])
		if again := judged(l, time.Second); len(again) != 1 {
			t.Fatalf("not judged again after retry: %v", again)
		}
	})
}

func TestDroppedConnectionShortensTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeases(10*time.Second, 2*time.Second)
		l.follow(fsm.WorkerInfo{ID: 1, Incarnation: 1}, time.Now())
		l.link(1, true, time.Now())
		l.look(time.Now())
		l.link(1, false, time.Now())
		if lost := judged(l, 1900*time.Millisecond); lost != nil {
			t.Fatalf("lost within the grace: %v", lost)
		}
		l.link(1, true, time.Now())
		l.beat(1, 1, time.Now())
		if lost := judged(l, 9*time.Second); lost != nil {
			t.Fatalf("lost though it came back: %v", lost)
		}
		l.beat(1, 1, time.Now())
		l.link(1, false, time.Now())
		if lost := judged(l, 3*time.Second); len(lost) != 1 {
			t.Fatalf("lost %v", lost)
		}
	})
}

func TestStalledLeaderJudgesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeases(10*time.Second, 2*time.Second)
		l.reset([]fsm.WorkerInfo{{ID: 1, Incarnation: 1}}, time.Now())
		l.look(time.Now())
		time.Sleep(time.Minute) // the process was stopped
		lost, stalled := l.look(time.Now())
		if lost != nil || stalled != time.Minute {
			t.Fatalf("lost %v, stalled %v", lost, stalled)
		}
		if lost := judged(l, 9*time.Second); lost != nil {
			t.Fatalf("no fresh TTL after the stall: %v", lost)
		}
	})
}

func TestLogClockIgnoresAWrongWallClock(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	c := newLogClock(0, []time.Time{at.Add(24 * time.Hour), at, at.Add(time.Second)}, time.Now())
	if got := time.Unix(0, c.base); !got.Equal(at.Add(time.Second)) {
		t.Fatalf("base %v", got)
	}
	if c := newLogClock(at.UnixNano()+5, []time.Time{at}, time.Now()); c.base != at.UnixNano()+5 {
		t.Fatal("time went back")
	}
}
