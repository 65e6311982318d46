//go:debug randseednop=0

package sim

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/testing/history"
)

var (
	seed  = flag.Uint64("seed", 1, "of the first run")
	seeds = flag.Int("seeds", 0, "how many runs, each with the next seed; 0: a few")
	hours = flag.Float64("hours", 0.02, "simulated time of faults in each run")
	lag   = flag.Duration("lag", 0, "planted bug: a crash loses what was written so long ago or less")
	first = flag.Bool("first", false, "stop at the first seed that fails")
	only  = flag.String("only", "", "count only failures that say this: to see what one of the checks finds by itself")
	loud  = flag.Bool("loud", false, "show the whole log of a run, with the coordinators' own lines")
)

// fewSeeds is how many runs go test makes by itself.
const fewSeeds = 6

func simulate(t *testing.T, opt Options) (r Report) {
	t.Helper()
	opt.Verbose = *loud
	opt.KeepLogs = 200
	if *loud {
		opt.KeepLogs = 1 << 20
	}
	synctest.Test(t, func(*testing.T) { r = Run(opt) })
	judge(&r, opt.Seed)
	if len(r.Failures) > 0 {
		if err := os.MkdirAll(runDir(opt.Seed), 0o755); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(filepath.Join(runDir(opt.Seed), "trail.txt"), []byte(strings.Join(r.Trail, "\n")), 0o644); err != nil {
			t.Error(err)
		}
	}
	r.Failures = slices.DeleteFunc(r.Failures, func(f string) bool { return !strings.Contains(f, *only) })
	return r
}

// runDir is where a run that failed leaves its history and its trail.
func runDir(seed uint64) string {
	return filepath.Join(cmp.Or(os.Getenv("MUSTER_TEST_LOGS"), os.TempDir()), fmt.Sprint("muster-sim-seed-", seed))
}

// judge looks at what clients and workers saw. It works in real time: the search for an order may take a while.
func judge(r *Report, seed uint64) {
	v := history.Check(r.History.Ops(), history.Options{Dir: runDir(seed), Steps: r.Steps})
	r.Failures = append(append(r.Failures, v.Failures...), history.CheckReads(r.History.Reads())...)
	r.Operations, r.Unknown, r.Judging = v.Ops, v.Unknown, v.Took
	r.History = nil // it is large
}

func TestSeeds(t *testing.T) {
	n := *seeds
	if n == 0 {
		n = fewSeeds
	}
	var total Report
	failed := 0
	began := time.Now()
	for i := range n {
		s := *seed + uint64(i)
		r := simulate(t, Options{Seed: s, For: time.Duration(*hours * float64(time.Hour)), SyncLag: *lag})
		total.add(r)
		if len(r.Failures) > 0 {
			failed++
			t.Errorf("seed %d:\n%s\nthe log:\n%s\nreplay: go test ./testing/sim -run TestSeeds -seed=%d -seeds=1 -hours=%g -loud", s, strings.Join(r.Failures, "\n"), strings.Join(r.Log, "\n"), s, *hours)
			if *first {
				return
			}
		} else if *loud {
			fmt.Println(strings.Join(r.Log, "\n"))
		}
		if i%50 == 49 {
			fmt.Printf("seeds up to %d: %s, %d failed\n", s, total, failed)
		}
	}
	fmt.Printf("seeds %d to %d: %s; %d failed; %s of real time, %d goroutines left\n", *seed, *seed+uint64(n)-1, total, failed, time.Since(began).Round(time.Second), runtime.NumGoroutine())
}

func (r *Report) add(o Report) {
	r.Simulated += o.Simulated
	r.Messages += o.Messages
	r.Lost += o.Lost
	r.Requests += o.Requests
	r.Jobs += o.Jobs
	r.Events += o.Events
	r.Reads += o.Reads
	r.Faults += o.Faults
	r.Leaders += o.Leaders
	r.Lives += o.Lives
	r.InParts += o.InParts
	r.Broken += o.Broken
	r.Ending += o.Ending
	r.Busy += o.Busy
	r.Operations += o.Operations
	r.Unknown += o.Unknown
	r.Judging += o.Judging
}

func (r Report) String() string {
	return fmt.Sprintf("%.2f h simulated, %d faults, %d leaders, %d processes of coordinators, %d requests of %d jobs, %d events, %d reads, %d messages, %d lost, %d in parts (%d tries broken off), %d ending when read, %d states with steps left, %d operations (%d of unknown outcome) judged in %s",
		r.Simulated.Hours(), r.Faults, r.Leaders, r.Lives, r.Requests, r.Jobs, r.Events, r.Reads, r.Messages, r.Lost, r.InParts, r.Broken, r.Ending, r.Busy, r.Operations, r.Unknown, r.Judging.Round(time.Second/10))
}
