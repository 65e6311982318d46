package peer

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// Dask is Dask distributed, which keeps all in memory.
type Dask struct{}

const (
	daskJobs    = 2000 // the usual number
	daskChain   = 200
	daskWorkers = 2 // of one thread each: with more than there are cores it is slower
)

//go:embed dask_client.py
var daskClient string

// About describes it.
func (Dask) About(ctx context.Context) result.Subject {
	return result.Subject{
		Title: "Dask distributed (in memory)", Kind: result.Peer, Version: debian(ctx, "python3-distributed"),
		Settings: "scheduler and 2 workers of one thread, a process each, no dashboard; map and gather, a graph of 1, 1,000 and 1, a chain",
		DAG:      true, Jobs: true,
	}
}

// Missing says what it needs.
func (Dask) Missing() error { return missingModules("dask", "distributed") }

// Measure does one round.
func (Dask) Measure(ctx context.Context, e *Env) ([]result.Sample, error) {
	ports, err := child.FreePorts(1)
	if err != nil {
		return nil, err
	}
	address := "tcp://" + child.Loopback(ports[0])
	env := []string{"DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__STATUS__TASK_STREAM_LENGTH=0", "DASK_TEMPORARY_DIRECTORY=" + e.Dir, "PYTHONDONTWRITEBYTECODE=1"}
	start := func(name string, args ...string) error {
		_, err := e.Group.Start(child.Spec{Name: name, Dir: e.Dir, Env: env, Args: append([]string{python, "-m"}, args...)})
		return err
	}
	if err := start("dask-scheduler", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", fmt.Sprint(ports[0]), "--no-dashboard"); err != nil {
		return nil, err
	}
	if err := e.Group.AwaitPort(ctx, child.Loopback(ports[0])); err != nil {
		return nil, err
	}
	for i := range daskWorkers {
		if err := start(fmt.Sprintf("dask-worker-%d", i+1), "distributed.cli.dask_worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard"); err != nil {
			return nil, err
		}
	}
	script, err := e.WriteFile("dask_client.py", daskClient)
	if err != nil {
		return nil, err
	}
	out, err := e.Group.Run(ctx, child.Spec{Name: "dask-client", Dir: e.Dir, Env: env, Args: []string{
		python, script, address, fmt.Sprint(e.Count(daskJobs)), fmt.Sprint(e.Count(FanWidth)), fmt.Sprint(e.Count(daskChain)), fmt.Sprint(daskWorkers),
	}})
	if err != nil {
		return nil, err
	}
	return parseScripted(out)
}
