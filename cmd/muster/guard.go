package main

import (
	"github.com/spf13/cobra"

	"github.com/musterhq/muster/worker"
)

// guardCommand is how a worker starts the process that ends its jobs should the worker be killed.
const guardCommand = "worker-guard"

func newWorkerGuard(a *app) *cobra.Command {
	return &cobra.Command{
		Use: guardCommand, Short: "ends the jobs of a worker that was killed", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return worker.Guard(a.in) },
	}
}
