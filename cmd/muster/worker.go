package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/config"
	"github.com/musterhq/muster/worker"
)

func newWorker(a *app) *cobra.Command {
	defaults := config.DefaultWorker()
	c := &cobra.Command{
		Use: "worker", Short: "run a worker", Args: cobra.NoArgs,
		Long: `Runs a worker: it finds the leading coordinator, picks jobs that fit it, runs them and reports.

Jobs run as this user, in the directory that muster worker was started in unless their dir says otherwise. SIGTERM or
SIGINT stops it: it takes no further jobs, gives those it has --drain-timeout to end, and hands the rest back. A second
signal ends it at once.`,
		Example: `  muster worker --data /var/lib/muster-worker --join 127.0.0.1:7072 --slots 8 --labels gpu=true
  muster worker --data w2 --coordinators 10.0.0.1:7071,10.0.0.2:7071   # without gossip`,
	}
	f := addSettings(c, config.Settings(&defaults), config.WorkerEnv)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := f.source(a.environ()).Worker()
		if err == nil {
			err = cfg.Validate()
		}
		if err != nil {
			return wrongSettings("worker", err)
		}
		return a.runWorker(c.Context(), cfg)
	}
	return c
}

func (a *app) runWorker(ctx context.Context, cfg config.Worker) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program for the guard of the worker: %w", err)
	}
	log := newLogger(a.err, "worker", cfg.LogLevel, cfg.LogJSON, a.colour(a.err))
	w, err := worker.New(cfg, worker.WithLogger(log), worker.WithGuard(self, guardCommand), worker.WithReady(func() error {
		return writeAddresses(cfg.Data, addresses{Name: cfg.Name, PID: os.Getpid()})
	}))
	if err != nil {
		return wrongSettings("worker", err)
	}
	for name, handler := range worker.Builtin() {
		w.Handle(name, handler)
	}
	if a.hurry != nil {
		kill := w.Kill // a second signal: the jobs are ended and handed back at once
		a.hurry.Store(&kill)
	}
	log.Info("worker starts", "name", cfg.Name, "data", cfg.Data, "slots", cfg.Slots, "queues", cfg.Queues, "pid", os.Getpid())
	err = w.Run(ctx)
	removeAddresses(cfg.Data)
	if err == nil {
		log.Info("worker has stopped")
	}
	return err
}
