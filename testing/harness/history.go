package harness

import (
	"errors"
	"fmt"
)

// CheckSteps checks what every job's history must hold: each step has a log index and a time, the index never goes
// back, each attempt is picked once and they count up by one, and when the job has ended its last step, and that alone,
// says so. It is not for a job of a request that was retried: that one ended more than once.
func CheckSteps(j Job, steps []Step) error {
	attempt := 0
	for i, s := range steps {
		if s.Index == 0 || s.Time.IsZero() {
			return fmt.Errorf("step %d has no log index or no time", i)
		}
		if i > 0 && s.Index < steps[i-1].Index {
			return fmt.Errorf("the log index goes back at step %d", i)
		}
		if s.State == "picked" && s.Attempt == attempt+1 {
			attempt++
		}
		if s.Attempt != 0 && s.Attempt != attempt { // 0: in nobody's hands
			return fmt.Errorf("step %d is of attempt %d after %d", i, s.Attempt, attempt)
		}
		if i+1 < len(steps) && s.Terminal() {
			return fmt.Errorf("step %d comes after the end", i+1)
		}
	}
	switch {
	case len(steps) == 0:
		return errors.New("there are no steps")
	case j.Ended() && steps[len(steps)-1].State != j.State:
		return fmt.Errorf("it is %s and the last step is %s", j.State, steps[len(steps)-1].State)
	}
	return nil
}
