package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/worker/load"
)

type benchFlags struct {
	local                        bool
	coordinators, workers, slots int
	jobs, perRequest, submitters int
	steps, submits, kills        int
	queue, handler, logStore     string
}

// benchResult is what `muster bench -o json` prints.
type benchResult struct {
	Jobs          int             `json:"jobs"`
	Seconds       float64         `json:"seconds"`
	JobsPerSecond float64         `json:"jobs_per_second"`
	StepMS        load.Quantiles  `json:"step_ms"`   // end of a job to the start of the one after it, idle cluster
	SubmitMS      load.Quantiles  `json:"submit_ms"` // a request of one job, idle cluster
	FailoverMS    *load.Quantiles `json:"failover_ms"`
	Coordinators  int             `json:"coordinators"`
	Fsync         bool            `json:"fsync"`
	RSSMiB        float64         `json:"rss_mib"` // of all coordinators together; 0: not known
}

func newBench(a *app) *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "load a cluster and print throughput and latency", Args: cobra.NoArgs,
		Long: `Puts no-op jobs through a cluster and says how many a second were done: submitted, replicated with fsync, picked,
run and reported. Then it times single submits, the steps of a chain and, with --local, the gap that killing the
leader leaves.

With --local it starts its own coordinators and workers on loopback. Without, it loads the cluster at --addr, whose
workers must have the handler noop on the queue (muster worker has it).`,
		Example: "  muster bench --local --coordinators 3 --workers 4 --slots 64 --jobs 100000\n  muster bench --addr 10.0.0.1:7070 --jobs 10000 -o json",
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
	fl.IntVar(&f.perRequest, "per-request", 1000, "jobs of one request")
	fl.IntVar(&f.submitters, "submitters", 8, "requests under way at once")
	fl.IntVar(&f.steps, "steps", 200, "steps of the chain that is timed")
	fl.IntVar(&f.submits, "submits", 200, "single submits that are timed")
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
	if f.steps < 1 || f.submits < 1 || f.kills < 0 {
		return errors.New("--steps and --submits must be at least 1, --kills at least 0")
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

// benchRun measures. The cluster is idle for the latencies, which come first.
func (a *app) benchRun(ctx context.Context, dir string, f benchFlags, d *devCluster) (*benchResult, error) {
	status, err := ask(ctx, a, func(ctx context.Context, c *rest.Client) (rest.Status, error) { return c.Status(ctx) })
	if err != nil {
		return nil, err
	}
	rpc := make([]string, len(status.Coordinators))
	for i, c := range status.Coordinators {
		rpc[i] = c.RPC
	}
	c := client.New(client.Config{Coordinators: rpc, Cluster: status.Cluster, Name: "muster bench", Token: a.token})
	defer c.Close()
	run := load.Run{Jobs: f.jobs, PerRequest: f.perRequest, Submitters: f.submitters, Handler: f.handler, Queue: f.queue}
	probe, err := load.NewProbe(ctx, c, rpc, status.Cluster, filepath.Join(dir, "probe"))
	if err != nil {
		return nil, err
	}
	result := &benchResult{Jobs: f.jobs, Coordinators: len(status.Coordinators), Fsync: true}
	err = a.benchMeasure(ctx, f, d, c, probe, run, result)
	return result, errors.Join(err, probe.Close())
}

func (a *app) benchMeasure(ctx context.Context, f benchFlags, d *devCluster, c *client.Client, probe *load.Probe, run load.Run, result *benchResult) error {
	fmt.Fprintln(a.err, "timing single submits and the steps of a chain …")
	submits, err := load.Submits(ctx, c, run, f.submits)
	if err != nil {
		return err
	}
	steps, err := probe.Steps(ctx, f.steps)
	if err != nil {
		return err
	}
	result.SubmitMS, result.StepMS = load.Quantile(submits), load.Quantile(steps)
	fmt.Fprintf(a.err, "putting %d jobs through …\n", f.jobs)
	took, err := load.Throughput(ctx, c, run)
	if err != nil {
		return err
	}
	result.Seconds = took.Seconds()
	result.JobsPerSecond = float64(f.jobs) / took.Seconds()
	if d == nil {
		return nil
	}
	result.RSSMiB = d.residentMiB()
	if f.kills == 0 || f.coordinators < 3 {
		return nil
	}
	fmt.Fprintf(a.err, "killing the leader %d times …\n", f.kills)
	var gaps []time.Duration
	for range f.kills {
		gap, err := probe.Failover(ctx, func() error { return d.killLeader(ctx, a) })
		if err != nil {
			return err
		}
		gaps = append(gaps, gap)
		if err := d.revive(ctx, a); err != nil {
			return err
		}
	}
	q := load.Quantile(gaps)
	result.FailoverMS = &q
	return nil
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

// residentMiB is the resident memory of all coordinators, where the system tells it.
func (d *devCluster) residentMiB() float64 {
	var pages int64
	for _, n := range d.nodes[:d.flags.coordinators] {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.pid()), "statm"))
		if err != nil {
			return 0
		}
		if fields := strings.Fields(string(b)); len(fields) > 1 {
			p, _ := strconv.ParseInt(fields[1], 10, 64)
			pages += p
		}
	}
	return float64(pages) * float64(os.Getpagesize()) / (1 << 20)
}

func printBench(w io.Writer, r *benchResult) {
	fmt.Fprintf(w, "%d jobs in %.2f s: %.0f jobs a second, %d coordinators, fsync %v\n", r.Jobs, r.Seconds, r.JobsPerSecond, r.Coordinators, r.Fsync)
	fmt.Fprintf(w, "step      p50 %6.2f ms   p99 %6.2f ms   from the end of a job to the start of the one after it\n", r.StepMS.P50, r.StepMS.P99)
	fmt.Fprintf(w, "submit    p50 %6.2f ms   p99 %6.2f ms   a request of one job\n", r.SubmitMS.P50, r.SubmitMS.P99)
	if r.FailoverMS != nil {
		fmt.Fprintf(w, "failover  p50 %6.0f ms   p99 %6.0f ms   from killing the leader to the next job\n", r.FailoverMS.P50, r.FailoverMS.P99)
	}
	if r.RSSMiB > 0 {
		fmt.Fprintf(w, "memory    %.0f MiB resident in all coordinators\n", r.RSSMiB)
	}
}
