package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// Slurm is one controller and one node.
type Slurm struct{}

const (
	slurmJobs  = 60 // the usual number
	slurmChain = 5
)

// About describes it.
func (Slurm) About(ctx context.Context) result.Subject {
	return result.Subject{
		Title: "Slurm, one controller", Kind: result.Peer, Version: debian(ctx, "slurmctld"),
		Settings: "one slurmctld, one slurmd of 64 CPUs (claimed), no accounting, auth/none; an array of `true`; a chain by --dependency",
		Durable:  true, DAG: true, Jobs: true,
	}
}

// Missing says what it needs.
func (Slurm) Missing() error {
	if os.Getuid() != 0 {
		return errors.New("slurmd takes root")
	}
	return missingPrograms("slurm", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo")
}

// Measure does one round. Slurm's own commands are its client.
func (Slurm) Measure(ctx context.Context, e *Env) ([]result.Sample, error) {
	config, servers, err := startSlurm(ctx, e)
	if err != nil {
		return nil, err
	}
	run := func(ctx context.Context, name string, args ...string) (string, error) {
		c := exec.CommandContext(ctx, name, args...)
		c.Env = append(os.Environ(), "SLURM_CONF="+config)
		c.Dir = e.Dir
		var errs bytes.Buffer
		c.Stderr = &errs
		out, err := c.Output()
		if err != nil {
			return "", fmt.Errorf("%s: %w: %s", name, err, errs.String())
		}
		return strings.TrimSpace(string(out)), nil
	}
	if err := e.Group.Await(ctx, "slurm", func(ctx context.Context) error {
		state, err := run(ctx, "sinfo", "-h", "-o", "%T")
		if err == nil && state != "idle" {
			err = fmt.Errorf("its node is %q", state)
		}
		return err
	}); err != nil {
		return nil, err
	}
	empty := func(ctx context.Context) (bool, error) {
		out, err := run(ctx, "squeue", "-h")
		return out == "", err
	}
	submit := []string{"--parsable", "--output=/dev/null", "--ntasks=1", "--wrap=true"}
	n := e.Count(slurmJobs)
	jobs, err := Timed(Jobs, n, servers, func() error {
		if _, err := run(ctx, "sbatch", append([]string{fmt.Sprintf("--array=1-%d", n)}, submit...)...); err != nil {
			return err
		}
		return slurmWait(ctx, empty)
	})
	if err != nil {
		return nil, err
	}
	chain, err := Timed(Chain, slurmChain, servers, func() error {
		args := submit
		for range slurmChain {
			id, err := run(ctx, "sbatch", args...)
			if err != nil {
				return err
			}
			args = append([]string{"--dependency=afterok:" + id}, submit...)
		}
		return slurmWait(ctx, empty)
	})
	chain.P50 = 1000 * chain.Seconds / slurmChain // no finer clock
	return []result.Sample{jobs, chain}, err
}

// slurmWait asks less often than others are asked: each time is a process.
func slurmWait(ctx context.Context, empty func(context.Context) (bool, error)) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := empty(ctx); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func startSlurm(ctx context.Context, e *Env) (config string, servers []*child.Process, err error) {
	ports, err := child.FreePorts(2)
	if err != nil {
		return "", nil, err
	}
	for _, dir := range []string{"state", "spool"} {
		if _, err := e.Mkdir("", dir); err != nil {
			return "", nil, err
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return "", nil, err
	}
	host, _, _ = strings.Cut(host, ".")
	config, err = e.WriteFile("slurm.conf", fmt.Sprintf(`ClusterName=bench
SlurmctldHost=%[1]s(127.0.0.1)
SlurmctldPort=%[2]d
SlurmdPort=%[3]d
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation=%[4]s/state
SlurmdSpoolDir=%[4]s/spool
SlurmctldPidFile=%[4]s/slurmctld.pid
SlurmdPidFile=%[4]s/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,default_queue_depth=1000
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
MaxArraySize=10001
NodeName=%[1]s NodeAddr=127.0.0.1 CPUs=64 State=UNKNOWN
PartitionName=bench Nodes=%[1]s Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
`, host, ports[0], ports[1], e.Dir))
	if err != nil {
		return "", nil, err
	}
	env := []string{"SLURM_CONF=" + config}
	controller, err := e.Group.Start(child.Spec{Name: "slurmctld", Env: env, Args: []string{"slurmctld", "-D", "-c", "-f", config}})
	if err != nil {
		return "", nil, err
	}
	if err := e.Group.AwaitPort(ctx, child.Loopback(ports[0])); err != nil {
		return "", nil, err
	}
	node, err := e.Group.Start(child.Spec{Name: "slurmd", Env: env, Args: []string{"slurmd", "-D", "-c", "-f", config}})
	return config, []*child.Process{controller, node}, err
}
