package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/worker/load"
)

// measuring is one run of the bench.
type measuring struct {
	app    *app
	flags  benchFlags
	local  *devCluster // nil: somebody else's cluster
	config client.Config
	client *client.Client
	probe  *load.Probe
	run    load.Run
	result *benchResult
}

func (a *app) benchRun(ctx context.Context, dir string, f benchFlags, d *devCluster) (*benchResult, error) {
	status, err := ask(ctx, a, func(ctx context.Context, c *rest.Client) (rest.Status, error) { return c.Status(ctx) })
	if err != nil {
		return nil, err
	}
	rpc := make([]string, len(status.Coordinators))
	for i, c := range status.Coordinators {
		rpc[i] = c.RPC
	}
	m := &measuring{app: a, flags: f, local: d, config: client.Config{Coordinators: rpc, Cluster: status.Cluster, Name: "muster bench", Token: a.token}}
	m.client = client.New(m.config)
	defer m.client.Close()
	m.run = load.Run{Jobs: f.jobs, PerRequest: f.perRequest, Submitters: f.submitters, Shape: load.Shape(f.shape), Handler: f.handler, Queue: f.queue}
	m.result = &benchResult{Shape: m.run.Shape, Jobs: f.jobs, Coordinators: len(status.Coordinators), Fsync: true, Board: f.board}
	if m.probe, err = load.NewProbe(ctx, m.client, rpc, status.Cluster, filepath.Join(dir, "probe")); err != nil {
		return nil, err
	}
	err = m.all(ctx)
	return m.result, errors.Join(err, m.probe.Close())
}

// all measures. The cluster is idle for the latencies, which come first.
func (m *measuring) all(ctx context.Context) error {
	if m.flags.board > 0 {
		m.say("putting %d jobs on the board …", m.flags.board)
		release, err := load.Park(ctx, m.client, m.flags.board)
		if m.local == nil {
			defer func() { _ = release(context.WithoutCancel(ctx)) }()
		}
		if err != nil {
			return err
		}
	}
	for _, part := range []func(context.Context) error{m.latencies, m.throughput, m.loaded, m.idle, m.failover} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *measuring) say(format string, args ...any) {
	fmt.Fprintf(m.app.err, format+"\n", args...)
}

func (m *measuring) latencies(ctx context.Context) error {
	if m.flags.submits > 0 {
		m.say("timing single submits …")
		submits, err := load.Submits(ctx, m.client, m.run, m.flags.submits)
		if err != nil {
			return err
		}
		m.result.SubmitMS = load.Quantile(submits)
	}
	if m.flags.steps > 0 {
		m.say("timing the steps of a chain …")
		steps, err := m.probe.Steps(ctx, m.flags.steps)
		if err != nil {
			return err
		}
		m.result.StepMS = load.Quantile(steps)
	}
	return nil
}

func (m *measuring) throughput(ctx context.Context) error {
	m.say("putting %d jobs through …", m.flags.jobs)
	before := m.usage()
	took, err := m.through(ctx)
	if err != nil {
		return err
	}
	m.result.CPU = before.perJob(m.usage(), m.flags.jobs)
	m.result.Seconds = took.Seconds()
	m.result.JobsPerSecond = float64(m.flags.jobs) / took.Seconds()
	if m.local == nil {
		return nil
	}
	m.result.RSSMiB = m.local.residentMiB()
	if m.run.Shape == load.Exec {
		took, err := load.ForkExec(ctx, m.flags.jobs)
		if err != nil {
			return err
		}
		m.result.ForkExec = float64(m.flags.jobs) / took.Seconds()
	}
	return nil
}

func (m *measuring) through(ctx context.Context) (time.Duration, error) {
	if m.run.Shape != load.Single {
		return load.Throughput(ctx, m.client, m.run)
	}
	c, err := m.app.client()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	clients := make([]*client.Client, m.flags.clients)
	for i := range clients {
		clients[i] = client.New(m.config)
		defer clients[i].Close()
	}
	return load.Singly(ctx, clients, m.run, m.flags.inFlight, func(ctx context.Context, session string, state wire.State) (bool, error) {
		ctx, cancel := m.app.patient(ctx)
		defer cancel()
		found, err := c.Requests(ctx, rest.RequestQuery{Session: session, State: state.String(), Page: rest.Page{Limit: 1}})
		return len(found.Requests) > 0, err
	})
}

func (m *measuring) loaded(ctx context.Context) error {
	if m.flags.loaded == 0 {
		return nil
	}
	perSecond := m.result.JobsPerSecond * float64(m.flags.loaded) / 100
	m.say("timing the steps of a chain under %.0f jobs a second …", perSecond)
	run := m.run
	run.Shape = load.Independent
	paced := load.NewPaced(ctx, m.client, run, perSecond)
	steps, err := m.probe.Steps(ctx, m.flags.steps)
	reached, stopErr := paced.Stop()
	if err := errors.Join(err, stopErr); err != nil {
		return err
	}
	m.result.Loaded = &benchLoaded{Percent: m.flags.loaded, JobsPerSecond: reached, StepMS: load.Quantile(steps)}
	return nil
}

func (m *measuring) idle(ctx context.Context) error {
	if m.flags.idle == 0 {
		return nil
	}
	m.say("looking at the leader without and with %d idle workers …", m.flags.idle)
	r := &benchIdle{Workers: m.flags.idle}
	var err error
	if r.LeaderPercentNone, err = m.leaderPercent(ctx); err != nil {
		return err
	}
	m.result.Idle = r
	return load.Idle(ctx, m.config, m.flags.idle, func(ctx context.Context) (err error) {
		r.LeaderPercent, err = m.leaderPercent(ctx)
		return err
	})
}

func (m *measuring) failover(ctx context.Context) error {
	if m.local == nil || m.flags.kills == 0 || m.flags.coordinators < 3 {
		return nil
	}
	m.say("killing the leader %d times …", m.flags.kills)
	var gaps []time.Duration
	for range m.flags.kills {
		gap, err := m.probe.Failover(ctx, func() error { return m.local.killLeader(ctx, m.app) })
		if err != nil {
			return err
		}
		gaps = append(gaps, gap)
		if err := m.local.revive(ctx, m.app); err != nil {
			return err
		}
	}
	q := load.Quantile(gaps)
	m.result.FailoverMS = &q
	return nil
}
