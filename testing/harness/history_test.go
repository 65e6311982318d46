package harness

import (
	"slices"
	"testing"
	"time"
)

func TestCheckStepsSeesWhatIsWrong(t *testing.T) {
	step := func(index uint64, state string, attempt int) Step {
		return Step{Index: index, State: state, Attempt: attempt, Time: time.Unix(int64(index), 0)}
	}
	done := Job{State: "done", Attempt: 1}
	good := []Step{step(1, "waiting", 0), step(1, "ready", 0), step(1, "picked", 1), step(2, "running", 1), step(3, "done", 1)}
	if err := CheckSteps(done, good); err != nil {
		t.Error(err)
	}
	retried := []Step{
		step(1, "ready", 0), step(2, "picked", 1), step(3, "delayed", 1), step(4, "ready", 0), step(4, "picked", 2), step(5, "done", 2),
	}
	if err := CheckSteps(done, retried); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string][]Step{
		"nothing":             {},
		"no index":            {step(0, "waiting", 0), step(1, "done", 0)},
		"no time":             {{Index: 1, State: "done"}},
		"ended twice":         append(slices.Clone(good), step(4, "failed", 1)),
		"never ended":         good[:4],
		"index goes back":     {step(2, "ready", 0), step(1, "done", 0)},
		"attempt goes back":   append(slices.Clone(retried[:5]), step(5, "done", 1)),
		"attempt left out":    {step(1, "ready", 0), step(2, "picked", 2), step(3, "done", 2)},
		"goes on after ended": {step(1, "picked", 1), step(2, "done", 1), step(3, "running", 1)},
	} {
		if CheckSteps(done, bad) == nil {
			t.Errorf("%s is not noticed", name)
		}
	}
}
