package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// withSignals gives a context that SIGINT or SIGTERM ends, with errInterrupted as its cause. A second signal calls what
// hurry holds; without that, and at a third, the process ends at once. stop gives the signals back.
func withSignals(ctx context.Context, talk io.Writer, hurry *atomic.Pointer[func()]) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2) // the first and the second
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-signals
		cancel(errInterrupted)
		_, again := <-signals
		if f := hurry.Load(); again && f != nil {
			(*f)()
			_, again = <-signals
		}
		if again {
			fmt.Fprintln(talk, "stopped at once")
			os.Exit(exitInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		<-done
		cancel(nil)
	}
}
