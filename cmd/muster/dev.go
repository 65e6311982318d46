package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

const (
	// devNodesMax keeps a slip of the finger from filling the machine.
	devNodesMax = 64
	// resultsShown is how many results are told when a request has ended.
	resultsShown = 20
)

type devFlags struct {
	run, data, http       string
	coordinators, workers int
	keep                  bool
}

func newDev(a *app) *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use: "dev", Short: "run a whole cluster on this machine, to try things out", Args: cobra.NoArgs,
		Long: `Runs three coordinators and two workers as processes of their own on this machine: a real cluster to try things out
on. Kill any of them and see. Not for production: it listens on loopback only, without any protection.

With --run it submits the file, shows how it goes, tells the results, and exits as the request ended. The workers run
jobs in the directory that muster dev was started in. Ctrl-C stops everything.`,
		Example: "  muster dev\n  muster dev --run examples/weather.yaml\n  muster dev --data ./dev-data   # keep what it knows for the next time",
		RunE: func(c *cobra.Command, _ []string) error {
			if f.coordinators < 1 || f.workers < 0 || f.coordinators > devNodesMax || f.workers > devNodesMax {
				return &usageError{fmt.Errorf("--coordinators must be 1 to %d, and --workers 0 to %d", devNodesMax, devNodesMax)}
			}
			return a.dev(c.Context(), f)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.run, "run", "", "submit this file, show how it goes, and stop when it has ended")
	fl.BoolVar(&f.keep, "keep", false, "with --run: stay up after it has ended")
	fl.StringVar(&f.data, "data", "", "directory for data and logs, which is kept (default: a new one that is removed at the end)")
	fl.StringVar(&f.http, "http", "", "HTTP address of the first coordinator (default: "+defaultAddr+", or a free port if that is taken)")
	fl.IntVar(&f.coordinators, "coordinators", 3, "how many coordinators")
	fl.IntVar(&f.workers, "workers", 2, "how many workers")
	return c
}

func (a *app) dev(ctx context.Context, f devFlags) (err error) {
	var body []byte
	if f.run != "" { // before anything is started: it may be wrong
		if body, err = a.readFile(f.run); err != nil {
			return err
		}
		if _, err = parseNamed(f.run, body); err != nil {
			return err
		}
	}
	dir, cleanup, err := devDir(f.data)
	if err != nil {
		return err
	}
	defer cleanup()
	d, err := newDevCluster(dir, f, a.err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.start(ctx); err != nil {
		return err
	}
	d.introduce(a.err, f)
	if f.run != "" {
		a.leaving = !f.keep
		err = a.devRun(ctx, d, f.run, body)
		if isWorkError(err) && a.leaving {
			fmt.Fprintf(a.err, "to look into it: muster dev --keep --run %s\n", f.run)
		}
		if !f.keep || errors.Is(context.Cause(ctx), errInterrupted) {
			return err
		}
	}
	fmt.Fprintln(a.err, "Ctrl-C stops everything.")
	d.attend(ctx)
	return err
}

// devDir makes the directory for everything. cleanup removes it unless a person chose it.
func devDir(chosen string) (dir string, cleanup func(), err error) {
	if chosen == "" {
		dir, err = os.MkdirTemp("", "muster-dev-")
		if err != nil {
			return "", nil, fmt.Errorf("make a directory for the cluster: %w", err)
		}
		return dir, func() { os.RemoveAll(dir) }, nil
	}
	if dir, err = filepath.Abs(chosen); err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", nil, fmt.Errorf("make a directory for the cluster: %w", err)
	}
	return dir, func() {}, nil
}

// devRun submits the file to the cluster, follows it, and tells the results.
func (a *app) devRun(ctx context.Context, d *devCluster, path string, body []byte) error {
	c, err := rest.NewClient(d.httpAddrs(), "")
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := parseNamed(path, body)
	if err != nil {
		return err
	}
	s, err := a.submit(ctx, c, body, r, submitFlags{})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "submitted %s as %s: http://%s/#/requests/%s\n", path, s.ID, d.httpAddrs()[0], s.ID)
	outcome := a.waitFor(ctx, c, s.ID, true)
	if outcome == nil || isWorkError(outcome) {
		if err := a.tellResults(ctx, c, s.ID); err != nil {
			return err
		}
	}
	return outcome
}

// tellResults prints the results of the jobs that no other job needs: those are what the request was for.
func (a *app) tellResults(ctx context.Context, c *rest.Client, request string) error {
	ctx, cancel := a.patient(ctx)
	defer cancel()
	needed := map[string]bool{}
	for n, err := range nodes(ctx, c, request) {
		if err != nil {
			return err
		}
		for _, need := range slices.Concat(n.Needs, n.NeedsAny) {
			needed[need.Job] = true
		}
	}
	told := 0
	for j, err := range jobsOf(ctx, c, request, rest.StateDone) {
		if err != nil {
			return err
		}
		if needed[j.Name] || j.Result.IsZero() || told == resultsShown {
			continue
		}
		told++
		fmt.Fprintf(a.out, "result of %s: %s\n", j.Name, resultText(j))
	}
	return nil
}
