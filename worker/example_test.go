package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/musterhq/muster/config"
	"github.com/musterhq/muster/worker"
)

// A worker with a handler, found by jobs that say `handler: resize`. It runs until it is told to stop, then drains.
func ExampleWorker_Handle() {
	cfg := config.DefaultWorker()
	cfg.Data = "/var/lib/resizer"
	cfg.Join = []string{"10.0.0.1:7072", "10.0.0.2:7072"} // gossip addresses of any coordinators
	cfg.Slots = 4

	w, err := worker.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	w.Handle("resize", func(ctx context.Context, job worker.Job) (worker.Result, error) {
		var image struct{ Path string }
		if err := job.Bind(&image); err != nil {
			return worker.None, worker.Permanent(err) // a retry would not mend it
		}
		if _, err := os.Stat(image.Path); errors.Is(err, os.ErrNotExist) {
			return worker.None, err // retried as the job's spec says
		}
		for step := range 10 {
			if err := ctx.Err(); err != nil {
				return worker.None, context.Cause(ctx) // timeout, revoked or drained
			}
			job.Progress(10*step, "resizing "+image.Path)
		}
		return worker.JSON(map[string]string{"path": image.Path + ".small"}), nil
	})

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := w.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// A handler reads the results of the jobs that its job needs by their names.
func ExampleJob_Parent() {
	merge := func(_ context.Context, job worker.Job) (worker.Result, error) {
		total := 0
		for _, name := range job.Parents() {
			part, _ := job.Parent(name)
			var n int
			if err := part.Bind(&n); err != nil {
				return worker.None, fmt.Errorf("result of %s: %w", name, err)
			}
			total += n
		}
		return worker.JSON(total), nil
	}
	result, err := merge(context.Background(), worker.Job{})
	fmt.Println(string(result.Bytes()), err)
	// Output: 0 <nil>
}

// A program that runs processes for jobs and wants nothing to outlive it, even if it is killed, is its own guard.
func ExampleWithGuard() {
	if len(os.Args) == 2 && os.Args[1] == "worker-guard" {
		if err := worker.Guard(os.Stdin); err != nil {
			log.Fatal(err)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	cfg := config.DefaultWorker()
	cfg.Data, cfg.Coordinators = "/var/lib/worker", []string{"10.0.0.1:7071"}
	if _, err := worker.New(cfg, worker.WithGuard(self, "worker-guard")); err != nil {
		log.Fatal(err)
	}
	// Output:
}

// What a job may write to $MUSTER_PROGRESS.
func ExampleParseProgress() {
	for _, line := range []string{"50", "50%", "7/10 files", "soon"} {
		fmt.Println(worker.ParseProgress(line))
	}
	// Output:
	// 50  true
	// 50  true
	// 70 files true
	// 0  false
}
