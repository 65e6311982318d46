package load

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// ForkExec runs the program Nothing n times, one at a time on each processor, and says how long that took: no cluster runs
// programs faster.
func ForkExec(ctx context.Context, n int) (time.Duration, error) {
	var left atomic.Int64
	left.Store(int64(n))
	start := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for left.Add(-1) >= 0 {
				if err := exec.CommandContext(ctx, Nothing).Run(); err != nil {
					return fmt.Errorf("run %s: %w", Nothing, err)
				}
			}
			return nil
		})
	}
	err := g.Wait()
	return time.Since(start), err
}
