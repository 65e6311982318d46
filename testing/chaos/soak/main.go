// Command soak breaks a real cluster at random under load and checks that nothing was lost and nothing happened twice:
//
//	go run ./testing/chaos/soak --for 20m
//	go run ./testing/chaos/soak --seed 42 --faults 200
//
// It prints the seed, each fault and a summary, and ends 1 when a check failed. The same seed gives the same schedule.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/musterhq/muster/testing/chaos"
	"github.com/musterhq/muster/testing/harness"
)

// forDefault is how long a soak takes when nothing is said.
const forDefault = time.Minute

func main() {
	var o chaos.Options
	flag.Uint64Var(&o.Seed, "seed", 0, "replay this schedule; 0: a fresh one")
	flag.IntVar(&o.Faults, "faults", 0, "stop after so many faults")
	flag.DurationVar(&o.For, "for", 0, "stop after that long (default 1m, without --faults)")
	flag.IntVar(&o.Loaders, "loaders", 0, "requests under way at once; 0: the default")
	flag.IntVar(&o.Cluster.Coordinators, "coordinators", 3, "coordinators")
	flag.IntVar(&o.Cluster.Workers, "workers", 2, "workers")
	flag.IntVar(&o.Cluster.Slots, "slots", 4, "slots of each worker")
	flag.Func("only", "only the kinds of faults that match, such as 'disk|power'", func(text string) (err error) {
		o.Only, err = regexp.Compile(text)
		return err
	})
	flag.Parse()
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	if o.Faults == 0 && o.For == 0 {
		o.For = forDefault
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "soak: %v; replay with: go run ./testing/chaos/soak --seed %d --faults %d --for %v\n", err, o.Seed, o.Faults, o.For)
		os.Exit(1)
	}
}

func run(ctx context.Context, o chaos.Options) error {
	fmt.Printf("seed %d\n", o.Seed)
	// An interrupt ends the faults; the checks still want their time.
	return harness.Main(context.WithoutCancel(ctx), "soak", os.Stdout, func(tb harness.TB) {
		report := chaos.Soak(ctx, tb, o)
		if !tb.Failed() {
			tb.Logf("%v", report)
		}
	})
}
