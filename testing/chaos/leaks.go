package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

const (
	// goroutinesSpare and filesSpare are how many more than at first a coordinator at rest may have: who leads, which
	// followers have a spare connection, and which of the harness's own calls is under way all differ.
	goroutinesSpare = 16
	filesSpare      = 20
	// A coordinator may have memoryBase beyond what it had at first, for what garbage collection and the page cache of the
	// log's file leave around, and memoryJob for each job that is kept.
	memoryBase = 96 << 20
	memoryJob  = 8 << 10
	// restBound is how long the coordinators may take to come to rest: idle connections between them stay for 30 s.
	restBound = 2 * time.Minute
)

// footprint is what a coordinator takes of its machine.
type footprint struct{ goroutines, files, memory int }

func (f footprint) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %d MiB", f.goroutines, f.files, f.memory>>20)
}

// most is the larger of each.
func (f footprint) most(o footprint) footprint {
	return footprint{max(f.goroutines, o.goroutines), max(f.files, o.files), max(f.memory, o.memory)}
}

// footprints are those of all coordinators, and the most of each.
func footprints(c *harness.Cluster) (each map[string]footprint, most footprint, err error) {
	c.CloseIdle()
	each = map[string]footprint{}
	for _, n := range c.Coordinators() {
		a, err := n.Do("GET", "/metrics", "")
		if err != nil {
			return nil, most, err
		}
		f := footprint{}
		for line := range strings.Lines(string(a.Body)) {
			key, text, _ := strings.Cut(strings.TrimSpace(line), " ")
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				continue // a comment
			}
			switch key {
			case "go_goroutines":
				f.goroutines = int(value)
			case "process_open_fds":
				f.files = int(value)
			case "process_resident_memory_bytes":
				f.memory = int(value)
			}
		}
		if f.goroutines == 0 || f.files == 0 || f.memory == 0 {
			return nil, most, fmt.Errorf("%s does not tell what it takes: %+v", n.Name(), f)
		}
		each[n.Name()], most = f, most.most(f)
	}
	return each, most, nil
}

// checkLeaks waits until no coordinator has more than at first, within what is spared, for jobs that are kept.
func checkLeaks(tb harness.TB, c *harness.Cluster, first footprint, jobs int) (last footprint) {
	tb.Helper()
	limit := footprint{first.goroutines + goroutinesSpare, first.files + filesSpare, first.memory + memoryBase + jobs*memoryJob}
	harness.Until(tb, restBound, "the coordinators to be at rest", func() error {
		each, most, err := footprints(c)
		if err != nil {
			return err
		}
		if last = most; limit.most(most) != limit {
			return fmt.Errorf("at first %v, now %v, at most %v", first, each, limit)
		}
		return nil
	})
	return last
}
