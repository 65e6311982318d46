package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

const (
	// jobsMost is the largest request of the load.
	jobsMost = 40
	// needsMost is how many needs a job of the load has at most.
	needsMost = 3
	// lostLimit keeps the load from failing of too many lost workers: losing them is what a soak is about.
	lostLimit = 1000
	// keyPrefix begins the idempotency keys of the load.
	keyPrefix = "soak-"
)

// nature is how a job of the load behaves.
type nature uint8

const (
	quick  nature = iota // ends at once
	slow                 // takes some tenths of a second
	flaky                // fails until its second attempt
	doomed               // fails for good
)

// job is one job of the load.
type job struct {
	nature nature
	needs  []int // earlier jobs
	millis int   // how long a slow one takes
}

// work is a request of the load.
type work struct {
	key  string
	jobs []job
}

// generate makes the n-th request of a loader.
func generate(random *rand.Rand, loader uint64, n int) work {
	w := work{key: fmt.Sprintf("%s%d-%d", keyPrefix, loader, n)}
	for i := range 1 + random.IntN(jobsMost) {
		j := job{millis: 50 + random.IntN(450)}
		switch p := random.IntN(100); {
		case p < 2:
			j.nature = doomed
		case p < 10:
			j.nature = flaky
		case p < 30:
			j.nature = slow
		}
		for range min(i, random.IntN(needsMost+1)) {
			if need := random.IntN(i); !slices.Contains(j.needs, need) {
				j.needs = append(j.needs, need)
			}
		}
		w.jobs = append(w.jobs, j)
	}
	return w
}

// name is the name of the i-th job of a request.
func name(i int) string { return fmt.Sprint("job", i) }

// spec writes the request. note is shell code that notes the run of an attempt.
func (w work) spec(note string) map[string]any {
	jobs := make([]map[string]any, len(w.jobs))
	for i, j := range w.jobs {
		needs := []string{}
		for _, n := range j.needs {
			needs = append(needs, name(n))
		}
		jobs[i] = map[string]any{
			"name": name(i), "needs": needs, "shell": note + "; " + j.script(), "lost_limit": lostLimit,
		}
		if j.nature == flaky {
			// Attempts are also spent by lost workers, so it may well succeed with retries left.
			jobs[i]["retry"] = map[string]any{"limit": 1, "backoff": "50ms"}
		}
	}
	return map[string]any{"name": w.key, "session": "soak", "jobs": jobs}
}

func (j job) script() string {
	switch j.nature {
	case slow:
		return fmt.Sprintf("echo 5/10 half >> $MUSTER_PROGRESS; sleep %d.%03d; echo $MUSTER_ATTEMPT > $MUSTER_RESULT", j.millis/1000, j.millis%1000)
	case flaky:
		return "[ $MUSTER_ATTEMPT -ge 2 ]"
	case doomed:
		return "exit 3"
	}
	return "true"
}

// outcome is how each job must end, and the request with them.
func (w work) outcome() (jobs []string, request string) {
	jobs, request = make([]string, len(w.jobs)), "done"
	for i, j := range w.jobs {
		jobs[i] = "done"
		if j.nature == doomed {
			jobs[i] = "failed"
		}
		for _, n := range j.needs {
			if jobs[n] != "done" {
				jobs[i] = "cancelled"
			}
		}
		if jobs[i] == "failed" {
			request = "failed"
		}
	}
	return jobs, request
}
