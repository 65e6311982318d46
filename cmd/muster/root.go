package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
)

// The groups of commands in the help.
const (
	groupWork  = "work"
	groupLook  = "look"
	groupNodes = "nodes"
)

const rootHelp = `muster runs job DAGs on a cluster of coordinators and workers.

Three or more coordinators replicate the requests, the DAGs and the board of ready jobs through Raft; workers pick
jobs, run them and report. Kill any of them: every accepted request still ends.`

const rootExample = `  muster dev                             # a whole cluster on this machine, to try things out
  muster submit pipeline.yaml --wait     # submit a DAG of jobs and watch it
  muster run -- echo hello               # one job; its output and its exit code
  muster status                          # how the cluster is`

// execute runs one command line and gives its exit code.
func execute(a app, args []string) int {
	a.hurry = new(atomic.Pointer[func()])
	ctx, stop := withSignals(context.Background(), a.err, a.hurry)
	defer stop()
	return executeContext(ctx, a, args)
}

func executeContext(ctx context.Context, a app, args []string) int {
	root := newRoot(&a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errInterrupted) && !isWorkError(err) {
		err = errInterrupted
	}
	complain(a.err, err)
	return exitCode(err)
}

func isWorkError(err error) bool {
	var work *workError
	return errors.As(err, &work)
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use: "muster", Short: "run job DAGs on a replicated cluster", Long: rootHelp, Example: rootExample,
		SilenceErrors: true, SilenceUsage: true, Version: version(),
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkGlobals() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see: %s --help", err, c.CommandPath())}
	})
	f := root.PersistentFlags()
	f.SortFlags = false
	f.StringVarP(&a.output, "output", "o", "table", "table, json (as the HTTP interface writes it) or yaml")
	f.StringSliceVar(&a.addrs, "addr", nil, "HTTP addresses of coordinators, any of them (MUSTER_ADDR; default "+defaultAddr+")")
	f.StringVar(&a.token, "token", "", "access token (MUSTER_TOKEN)")
	f.DurationVar(&a.timeout, "timeout", defaultTimeout, "how long to try to get an answer from the cluster")
	root.AddGroup(&cobra.Group{ID: groupWork, Title: "Work:"}, &cobra.Group{ID: groupLook, Title: "Look:"}, &cobra.Group{ID: groupNodes, Title: "Nodes:"})
	add(root, groupWork, newSubmit(a), newRun(a), newWait(a), newCancel(a), newRetry(a), newPause(a), newResume(a), newReport(a))
	add(root, groupLook, newStatus(a), newMembers(a), newWorkers(a), newSessions(a), newRequests(a), newJobs(a),
		newRequest(a), newJob(a), newWhy(a), newEvents(a), newLogs(a), newGraph(a), newSession(a))
	add(root, groupNodes, newDev(a), newBench(a), newCoordinator(a), newWorker(a), newDrain(a), newUndrain(a), newOperator(a))
	root.AddCommand(newVersion(a), newWorkerGuard(a))
	teach(root)
	return root
}

func add(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// teach makes every command refuse wrong arguments as a usage error that shows how it is meant.
func teach(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return &usageError{fmt.Errorf("%w; usage: %s", err, c.UseLine())}
			}
			return nil
		}
	}
	if c.HasSubCommands() && c.RunE == nil && c.Run == nil {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return unknownCommand(c, args[0])
		}
	}
	for _, sub := range c.Commands() {
		teach(sub)
	}
}

func unknownCommand(c *cobra.Command, name string) error {
	hint := ""
	c.SuggestionsMinimumDistance = 2
	if close := c.SuggestionsFor(name); len(close) > 0 {
		hint = "; did you mean " + strings.Join(close, " or ") + "?"
	}
	return &usageError{fmt.Errorf("%s has no command %q%s; see: %s --help", c.CommandPath(), name, hint, c.CommandPath())}
}

func (a *app) checkGlobals() error {
	if !slices.Contains([]string{"table", "json", "yaml"}, a.output) {
		return &usageError{fmt.Errorf("-o %s: choose table, json or yaml", a.output)}
	}
	if a.timeout <= 0 {
		return &usageError{fmt.Errorf("--timeout %s: must be more than nothing", a.timeout)}
	}
	return nil
}
