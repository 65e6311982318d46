package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/config"
	"github.com/musterhq/muster/rpc/api"
	"github.com/musterhq/muster/rpc/server"
)

func newCoordinator(a *app) *cobra.Command {
	defaults := config.DefaultCoordinator()
	c := &cobra.Command{
		Use: "coordinator", Short: "run a coordinator", Args: cobra.NoArgs,
		Long: `Runs a coordinator. Three of them, on different machines, survive the loss of any one.

They form a new cluster once --bootstrap-expect of them have found each other through --join; give all of them the same
number. A coordinator that is started later, or again, joins. SIGTERM or SIGINT stops it cleanly, handing the leadership
over; a second signal ends it at once.`,
		Example: `  muster coordinator --name c1 --data c1 --http 127.0.0.1:7070 --rpc 127.0.0.1:7071 --gossip 127.0.0.1:7072 --bootstrap-expect 3
  muster coordinator --name c2 --data c2 --http 127.0.0.1:0 --rpc 127.0.0.1:0 --gossip 127.0.0.1:0 --bootstrap-expect 3 --join 127.0.0.1:7072`,
	}
	f := addSettings(c, config.Settings(&defaults), config.CoordinatorEnv)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := f.source(a.environ()).Coordinator()
		if err == nil {
			err = cfg.Validate()
		}
		if err != nil {
			return wrongSettings("coordinator", err)
		}
		return a.runCoordinator(c.Context(), cfg)
	}
	return c
}

// runCoordinator composes a coordinator: the cluster's node, the workers' and clients' RPC, and HTTP.
func (a *app) runCoordinator(ctx context.Context, cfg config.Coordinator) error {
	log := newLogger(a.err, "coordinator", cfg.LogLevel, cfg.LogJSON, a.colour(a.err))
	limitMemory(log)
	node, err := cluster.New(cfg, log, version())
	if err != nil {
		return err
	}
	at := node.Addresses()
	if err := writeAddresses(cfg.Data, addresses{Name: cfg.Name, HTTP: at.HTTP, RPC: at.RPC, Gossip: at.Gossip, PID: os.Getpid()}); err != nil {
		return err
	}
	defer removeAddresses(cfg.Data)
	log.Info("coordinator starts", "name", cfg.Name, "http", at.HTTP, "rpc", at.RPC, "gossip", at.Gossip, "data", cfg.Data, "pid", os.Getpid())

	rpc := server.New(server.Of(node.Tasker()), server.Config{}, log.Named("rpc"))
	node.HandleRPC(rpc.ServeConn)
	rest := api.New(api.Of(node.Tasker()), api.Config{MaxBody: cfg.MaxBody, Registry: node.Metrics(), Log: log.Named("http")})
	overRPC := node.HTTPOverRPC()
	err = serveAll(ctx, node.Run, func(ctx context.Context) error {
		return rest.Serve(ctx, node.HTTPListener(), overRPC)
	})
	if err == nil {
		log.Info("coordinator has stopped")
	}
	return err
}

// serveAll runs the node and its HTTP side. HTTP ends after the node: until the leadership is handed over, calls are
// still answered.
func serveAll(ctx context.Context, node, http func(context.Context) error) error {
	httpCtx, stopHTTP := context.WithCancel(context.WithoutCancel(ctx))
	nodeCtx, stopNode := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error {
		defer stopHTTP()
		return node(nodeCtx)
	})
	g.Go(func() error {
		defer stopNode()
		return http(httpCtx)
	})
	return g.Wait()
}
