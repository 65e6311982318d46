// Command fuzz runs every fuzzer of the module, one after the other or some at once:
//
//	go run ./testing/fuzz --for 10m
//	go run ./testing/fuzz --for 1m --parallel 2 --run 'rpc/.*FuzzMessages'
//	go run ./testing/fuzz --for 1m --keep 50
//
// It prints for each how many inputs were tried and how many of them went where none had gone before, and ends 1 when one
// failed; the failing input is then in testdata/fuzz beside the fuzzer. With --keep the inputs that Go's cache has
// gathered are reduced to those that together reach what all reach, and put into testdata/fuzz, where go test tries them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"sync"
	"syscall"
	"time"
)

func main() {
	each := flag.Duration("for", time.Minute, "how long each fuzzer runs; 0: none does, for --keep")
	parallel := flag.Int("parallel", 1, "fuzzers at once; each uses one core")
	keep := flag.Int("keep", 0, "put at most so many inputs of each into its corpus")
	pattern := flag.String("run", "", "only fuzzers whose folder/name matches")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *each, *parallel, *keep, *pattern); err != nil {
		fmt.Fprintf(os.Stderr, "fuzz: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, each time.Duration, parallel, keep int, pattern string) error {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	found, err := find(ctx, match)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("no fuzzer matches %q", pattern)
	}
	failed := inTurn(found, parallel, func(f fuzzer) bool {
		ok := each <= 0 || report(f, f.run(ctx, each))
		if ok && keep > 0 && ctx.Err() == nil {
			ok = reportKept(f, keep)
		}
		return ok
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed > 0:
		return fmt.Errorf("%d of %d fuzzers failed", failed, len(found))
	}
	fmt.Printf("%d fuzzers, none failed\n", len(found))
	return nil
}

// inTurn hands every fuzzer to do, at most parallel of them at once, and returns for how many it said no.
func inTurn(found []fuzzer, parallel int, do func(fuzzer) bool) (failed int) {
	var (
		waiting sync.WaitGroup
		mu      sync.Mutex // guards failed
		places  = make(chan struct{}, max(parallel, 1))
	)
	for _, f := range found {
		places <- struct{}{}
		waiting.Go(func() {
			defer func() { <-places }()
			if !do(f) {
				mu.Lock()
				defer mu.Unlock()
				failed++
			}
		})
	}
	waiting.Wait()
	return failed
}

func report(f fuzzer, r result) bool {
	verdict := "ok"
	if r.err != nil {
		verdict = "FAILED"
	}
	fmt.Printf("%-42s %-6s %10d executions %6d new %6d in all %8s\n", f, verdict, r.executions, r.fresh, r.total, r.took.Round(time.Second))
	if r.err != nil {
		fmt.Printf("%v\n%s\n", r.err, r.output)
	}
	return r.err == nil
}

func reportKept(f fuzzer, most int) bool {
	kept, of, err := f.keep(most)
	if err != nil {
		fmt.Printf("%-42s FAILED keep its corpus: %v\n", f, err)
		return false
	}
	fmt.Printf("%-42s kept   %10d of %d inputs\n", f, kept, of)
	return true
}
