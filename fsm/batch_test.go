package fsm

import (
	"fmt"
	"testing"
)

// An entry of ten thousand commands, one in a hundred of which is refused, comes to the same state as one without these;
// each command has its own answer.
func TestOneBadCommandAmongManyIsRefusedAlone(t *testing.T) {
	bad := []Command{
		OpenSession{}, CancelRequest{ID: 99_999}, RetryRequest{ID: 99_999}, DrainWorker{Worker: 77}, PickJobs{Worker: 77, Incarnation: 1, Max: 1},
		LeaveWorker{Worker: 1, Incarnation: 9}, SubmitRequest{Session: "s", Specs: []JobSpec{simpleSpec()}},
		SubmitRequest{Session: "s", Specs: []JobSpec{simpleSpec()}, Jobs: []JobEntry{{Name: "a", Needs: []Need{{Job: 0}}}}},
		CloseSession{ID: 99},
	}
	var all, good [][]byte
	refused := map[int]bool{}
	for i := range 10_000 {
		if i%100 == 57 {
			refused[len(all)] = true
			all = append(all, Encode(bad[i/100%len(bad)]))
			continue
		}
		var c Command = SubmitRequest{
			Session: "s", Key: fmt.Sprint("k", i), Body: uint64(i), Specs: []JobSpec{simpleSpec()},
			Jobs: []JobEntry{{Name: "a"}, {Name: "b", Needs: []Need{{Job: 0}}}},
		}
		if i == 0 {
			c = JoinWorker{Name: "w", Identity: "i", Process: 1, Queues: []string{"default"}, Slots: 4}
		}
		all, good = append(all, Encode(c)), append(good, Encode(c))
	}
	const now = 1_800_000_000_000_000_000
	m, without := New(), New()
	answers, err := m.Apply(1, 1, NewEntry(now, all...))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if (a.Refusal != nil) != refused[i] {
			t.Errorf("command %d was answered %+v", i, a)
		}
	}
	if _, err := without.Apply(1, 1, NewEntry(now, good...)); err != nil {
		t.Fatal(err)
	}
	if m.Hash() != without.Hash() {
		t.Error("the refused commands changed something")
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}
