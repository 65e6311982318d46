package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/worker/load"
)

type benchFlags struct {
	local                        bool
	coordinators, workers, slots int
	jobs, perRequest, submitters int
	steps, submits, kills        int
	shape                        string
	clients, inFlight            int
	board, loaded, idle          int
	idleTime                     time.Duration
	queue, handler, logStore     string
}

func newBench(a *app) *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "load a cluster and print throughput and latency", Args: cobra.NoArgs,
		Long: `Puts no-op jobs through a cluster and says how many a second were done: submitted, replicated with fsync, picked,
run and reported. Before, it times single submits and the steps of a chain; after, with --local, the gap that killing
the leader leaves.

The jobs of a request have a shape: independent of each other; single, each a request by itself, from --clients with
--in-flight submits unanswered; fan, the first before all others and the last after them; chain, each after the one before;
exec, independent, each running /bin/true.

With --local it starts its own coordinators and workers on loopback, and tells the processor time of each job. Without, it
loads the cluster at --addr, whose workers must have the handler noop on the queue (muster worker has it).`,
		Example: `  muster bench --local --coordinators 3 --workers 4 --slots 64 --jobs 100000
  muster bench --local --shape fan --per-request 1002 --jobs 50000
  muster bench --addr 10.0.0.1:7070 --jobs 10000 -o json`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return &usageError{err}
			}
			return a.bench(c.Context(), f)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.local, "local", false, "start coordinators and workers of its own on loopback")
	fl.IntVar(&f.coordinators, "coordinators", 3, "with --local: how many coordinators")
	fl.IntVar(&f.workers, "workers", 4, "with --local: how many worker processes")
	fl.IntVar(&f.slots, "slots", 64, "with --local: slots of each worker")
	fl.IntVar(&f.jobs, "jobs", 50_000, "how many jobs in all")
	fl.StringVar(&f.shape, "shape", string(load.Independent), "independent, single, fan, chain or exec")
	fl.IntVar(&f.perRequest, "per-request", 1000, "jobs of one request")
	fl.IntVar(&f.submitters, "submitters", 8, "requests under way at once")
	fl.IntVar(&f.clients, "clients", 16, "with --shape single: connections that submit")
	fl.IntVar(&f.inFlight, "in-flight", 256, "with --shape single: submits unanswered at once")
	fl.IntVar(&f.steps, "steps", 200, "steps of the chain that is timed; 0: none")
	fl.IntVar(&f.submits, "submits", 200, "single submits that are timed; 0: none")
	fl.IntVar(&f.board, "board", 0, "ready jobs, for a queue without workers, that lie on the board meanwhile")
	fl.IntVar(&f.loaded, "loaded", 0, "time the chain again at this percentage of the jobs a second that were reached")
	fl.IntVar(&f.idle, "idle-workers", 0, "idle workers that are joined to tell what they cost the leader")
	fl.DurationVar(&f.idleTime, "idle-time", 10*time.Second, "with --idle-workers: how long they are looked at")
	fl.IntVar(&f.kills, "kills", 3, "with --local and 3 or more coordinators: how often the leader is killed")
	fl.StringVar(&f.logStore, "log-store", "boltdb", "with --local: boltdb or wal")
	fl.StringVar(&f.queue, "queue", "default", "queue of the jobs")
	fl.StringVar(&f.handler, "handler", "noop", "handler of the jobs")
	return c
}

func (f *benchFlags) check() error {
	for name, n := range map[string]int{"jobs": f.jobs, "per-request": f.perRequest, "submitters": f.submitters, "slots": f.slots} {
		if n < 1 {
			return fmt.Errorf("--%s must be at least 1", name)
		}
	}
	if f.coordinators < 1 || f.coordinators > devNodesMax || f.workers < 1 || f.workers > devNodesMax {
		return fmt.Errorf("--coordinators and --workers must be 1 to %d", devNodesMax)
	}
	if f.steps < 0 || f.submits < 0 || f.kills < 0 || f.board < 0 || f.idle < 0 {
		return errors.New("--steps, --submits, --kills, --board and --idle-workers must be at least 0")
	}
	return f.checkLoad()
}

func (f *benchFlags) checkLoad() error {
	if _, err := load.ParseShape(f.shape); err != nil {
		return fmt.Errorf("--shape: %w", err)
	}
	switch {
	case f.clients < 1 || f.inFlight < f.clients:
		return errors.New("--clients must be at least 1, --in-flight at least --clients")
	case f.loaded < 0 || f.loaded > 100:
		return errors.New("--loaded must be 0 to 100")
	case f.loaded > 0 && f.steps == 0:
		return errors.New("--loaded needs --steps")
	case f.idle > 0 && !f.local:
		return errors.New("--idle-workers needs --local: it measures the leader's process")
	case f.idle > 0 && f.idleTime < time.Second:
		return errors.New("--idle-time must be at least 1s")
	}
	return nil
}

func (a *app) bench(ctx context.Context, f benchFlags) (err error) {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return fmt.Errorf("make a directory for the bench: %w", err)
	}
	defer os.RemoveAll(dir)
	var d *devCluster
	if f.local {
		if d, err = a.benchCluster(ctx, dir, f); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.stop()) }()
	}
	result, err := a.benchRun(ctx, dir, f, d)
	if err != nil {
		return err
	}
	return a.show(result, func(w io.Writer) { printBench(w, result) })
}

func (a *app) benchCluster(ctx context.Context, dir string, f benchFlags) (*devCluster, error) {
	d, err := newDevCluster(dir, devFlags{http: anyPort, coordinators: f.coordinators, workers: f.workers}, a.err)
	if err != nil {
		return nil, err
	}
	d.coordinatorFlags = []string{"--raft-log-store", f.logStore}
	d.workerFlags = []string{"--slots", strconv.Itoa(f.slots), "--queues", f.queue}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	a.addrs = d.httpAddrs()
	return d, nil
}

// killLeader ends the leading coordinator with SIGKILL.
func (d *devCluster) killLeader(ctx context.Context, a *app) error {
	status, err := ask(ctx, a, func(ctx context.Context, c *rest.Client) (rest.Status, error) { return c.Status(ctx) })
	if err != nil {
		return err
	}
	for _, n := range d.nodes {
		if status.Leader != nil && n.name == status.Leader.Name {
			return n.cmd.Process.Kill()
		}
	}
	return errors.New("no leader is known")
}

// revive starts killed processes again and waits until the cluster is whole.
func (d *devCluster) revive(ctx context.Context, a *app) error {
	for i, n := range d.nodes {
		if !n.ended() {
			continue
		}
		again := newDevNode(d.dir, n.name, d.others(n), n.args)
		d.nodes[i] = again
		if err := again.start(d.self, d.starter); err != nil {
			return err
		}
		if i >= d.flags.coordinators {
			continue // a worker is known by the cluster alone
		}
		if err := again.awaitAddresses(ctx); err != nil {
			return err
		}
	}
	a.addrs = d.httpAddrs() // they have new ports
	return d.awaitReady(ctx)
}
