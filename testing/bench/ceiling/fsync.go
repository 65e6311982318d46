// Package ceiling measures what no job system on a machine can pass: its fsync, Raft on the log stores that muster has, and
// a queue over that Raft which does nothing but what it must.
package ceiling

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/musterhq/muster/testing/bench/peer"
	"github.com/musterhq/muster/testing/bench/result"
	"github.com/musterhq/muster/testing/bench/stats"
)

// Fsync is appending to a file and syncing it, one after the other.
type Fsync struct{}

// About describes it.
func (Fsync) About(context.Context) result.Subject {
	return result.Subject{Title: "append and fsync", Kind: result.Ceiling, Settings: "one file, one append and fsync(2) after the other", Durable: true}
}

// Missing says that it is always there.
func (Fsync) Missing() error { return nil }

// Measure does one round.
func (Fsync) Measure(ctx context.Context, e *peer.Env) ([]result.Sample, error) {
	var samples []result.Sample
	for _, w := range []struct {
		name  string
		bytes int
		n     int
	}{{"100 B", 100, 4000}, {"256 KiB", 256 << 10, 200}} {
		s, err := appends(ctx, e.Path("fsync"), w.name, w.bytes, e.Count(w.n))
		if err != nil {
			return samples, err
		}
		samples = append(samples, s)
	}
	return samples, nil
}

func appends(ctx context.Context, path, workload string, size, n int) (result.Sample, error) {
	f, err := os.Create(path)
	if err != nil {
		return result.Sample{}, err
	}
	defer f.Close()
	data := make([]byte, size)
	return oneByOne(ctx, workload, n, func() error {
		if _, err := f.Write(data); err != nil {
			return err
		}
		return f.Sync()
	})
}

// oneByOne does something n times and times each.
func oneByOne(ctx context.Context, workload string, n int, do func() error) (result.Sample, error) {
	times := make([]float64, n)
	start := time.Now()
	for i := range times {
		begun := time.Now()
		if err := do(); err != nil {
			return result.Sample{}, fmt.Errorf("%s: %w", workload, err)
		}
		times[i] = stats.Millis(time.Since(begun))
		if ctx.Err() != nil {
			return result.Sample{}, context.Cause(ctx)
		}
	}
	s := result.Rate(workload, n, time.Since(start))
	s.P50, s.P99 = stats.Quantile(times, 0.5), stats.Quantile(times, 0.99)
	return s, nil
}
