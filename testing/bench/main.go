// Command bench measures muster and its peers side by side on one machine, and draws what it found.
//
//	go run . run --json results.json      measures: every subject once a round, the rounds alternating
//	go run . report results.json          writes the table and the plots into docs/performance.md
//
// It is a module of its own, so that no peer's library is a dependency of muster. The peers that are no Go libraries come from
// Debian's packages, installed by install.sh; those that are not there are skipped, and it says so.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/testing/bench/ceiling"
	"github.com/musterhq/muster/testing/bench/peer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{Use: "bench", Short: "measure muster and its peers side by side", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(newRun(), newReport(), newServeNATS(), newServeQueue())
	return root
}

// newServeNATS is what the processes of a NATS cluster are.
func newServeNATS() *cobra.Command {
	var s peer.NATSServer
	c := &cobra.Command{
		Use: "serve-nats", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return s.Run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&s.Name, "name", "", "name of the server")
	f.StringVar(&s.Data, "data", "", "directory of its streams")
	f.IntVar(&s.Client, "client", 0, "port for clients")
	f.IntVar(&s.Route, "route", 0, "port for the other servers")
	f.StringVar(&s.Routes, "routes", "", "the routes to all servers")
	return c
}

// newServeQueue is what the processes of the bare queue are.
func newServeQueue() *cobra.Command {
	var s ceiling.QueueServer
	c := &cobra.Command{
		Use: "serve-queue", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return s.Run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&s.ID, "id", "", "id of the node")
	f.StringVar(&s.LogStore, "log-store", "", "boltdb or wal")
	f.StringVar(&s.Data, "data", "", "directory of its log")
	f.StringVar(&s.Queue, "queue", "", "address for clients and workers")
	f.StringVar(&s.Raft, "raft", "", "address for Raft")
	f.StringVar(&s.Peers, "peers", "", "Raft addresses of all nodes")
	return c
}
