// Command failover measures, on real processes on loopback and under load, how long work stands still when something dies:
//
//	go run ./testing/chaos/failover                       # all of the below, some minutes
//	go run ./testing/chaos/failover --kills 100 --workers 0 --pairs 0
//	go run ./testing/chaos/failover --quiet 1h --kills 0 --workers 0 --pairs 0
//
// Four measurements, each left out when its number is 0:
//
//   - kills: the leader is killed (SIGKILL) so often; from then to the next job picked by a worker.
//   - workers: a worker is killed, and another one stopped (SIGSTOP), so often; from then to its job running elsewhere.
//   - pairs: so many spells of undisturbed load, each beside one in which the leader is killed every 2 s; jobs a second.
//   - quiet: so long nothing is done to a loaded cluster; elections and lost workers are counted: each is a false alarm.
//
// It prints JSON to standard output, and ends 1 when something went wrong. What is fast enough it does not judge.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

// options are the flags.
type options struct {
	kills, workers, pairs    int
	spell, quiet             time.Duration
	submitters, perRequest   int
	probes, processes, slots int
	coordinator              string // further flags of the coordinators
	silent                   bool
}

// report is what is printed. Times are milliseconds.
type report struct {
	LeaderKill   *failovers     `json:"leader_kill,omitempty"`
	LeaderStop   *failovers     `json:"leader_stop,omitempty"`
	WorkerKill   *distribution  `json:"worker_kill_ms,omitempty"`
	WorkerStop   *distribution  `json:"worker_stop_ms,omitempty"`
	KillEvery2s  *throughput    `json:"leader_killed_every_2s,omitempty"`
	Quiet        *quiet         `json:"quiet,omitempty"`
	Coordinators map[string]int `json:"processes_started"`
}

func main() {
	var o options
	flag.IntVar(&o.kills, "kills", 100, "how often the leader is killed")
	flag.BoolVar(&o.silent, "silent", false, "stop the leader (SIGSTOP) instead of killing it: heartbeats alone notice that")
	flag.IntVar(&o.workers, "workers", 10, "how often a worker is killed; one is stopped a quarter as often")
	flag.IntVar(&o.pairs, "pairs", 3, "spells of load with the leader killed every 2 s, each beside an undisturbed one")
	flag.DurationVar(&o.spell, "spell", 20*time.Second, "length of a spell")
	flag.DurationVar(&o.quiet, "quiet", time.Minute, "how long false alarms are looked for")
	flag.IntVar(&o.submitters, "submitters", 4, "requests under way at once")
	flag.IntVar(&o.perRequest, "per-request", 500, "jobs of a request")
	flag.IntVar(&o.probes, "probes", 2, "workers in this process, by whose eyes a pick is seen")
	flag.IntVar(&o.processes, "processes", 2, "worker processes")
	flag.IntVar(&o.slots, "slots", 32, "slots of each worker")
	flag.StringVar(&o.coordinator, "coordinator", "", "further flags of the coordinators, separated by spaces")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := harness.Main(ctx, "failover", os.Stderr, func(tb harness.TB) { measure(tb, o) }); err != nil {
		fmt.Fprintf(os.Stderr, "failover: %v\n", err)
		os.Exit(1)
	}
}

// measure starts a cluster under load and does what the options say.
func measure(tb harness.TB, o options) {
	slots := fmt.Sprint(o.slots)
	c := harness.Start(tb, harness.Options{
		Workers: o.processes, Coordinator: strings.Fields(o.coordinator), Worker: []string{"--slots", slots, "--queues", loadQueue},
	})
	probes := startProbes(tb, c, o)
	l := startLoad(tb, c, o)
	var r report
	l.await(tb, 10*o.perRequest)
	if o.quiet > 0 {
		r.Quiet = beQuiet(tb, c, l, o.quiet)
	}
	if o.kills > 0 {
		f := killLeaders(tb, c, l, probes, o)
		if r.LeaderKill = f; o.silent {
			r.LeaderKill, r.LeaderStop = nil, f
		}
	}
	if o.workers > 0 {
		r.WorkerKill, r.WorkerStop = loseWorkers(tb, c, o)
	}
	if o.pairs > 0 {
		r.KillEvery2s = compare(tb, c, l, o)
	}
	l.end(tb)
	r.Coordinators = map[string]int{"coordinators": len(c.Coordinators()), "workers": len(c.Workers()), "probes": len(probes)}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		tb.Fatalf("print: %v", err)
	}
	fmt.Println(string(text))
}
