package main

import (
	"context"
	"fmt"
	"math"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

type runFlags struct {
	name, session, queue, dir string
	labels, env               []string
	slots, retry              uint32
	priority                  int
	timeout                   time.Duration
}

func newRun(a *app) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use: "run [flags] -- COMMAND [ARGS...]", Short: "run one job; its output and its exit code are the command's", Args: cobra.MinimumNArgs(1),
		Long: `Submits a request of one job, prints the job's output as it comes, and exits with its exit code.

The command is run by a worker as it is, without a shell; write sh -c '…' to have one. Interrupting muster run does
not interrupt the job.`,
		Example: `  muster run -- echo hello
  muster run --label gpu=true --retry 2 --timeout 1h -- python train.py --epochs 10
  muster run --env TZ=UTC -- sh -c 'date; hostname'`,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := f.request(args, a.env)
			if err != nil {
				return err
			}
			return a.run(c.Context(), r)
		},
	}
	fl := c.Flags()
	fl.SetInterspersed(false) // what follows the command's name is the command's
	fl.SortFlags = false
	fl.StringVar(&f.name, "name", "", "name of the job (default: the command's)")
	fl.StringVar(&f.session, "session", "", "session to run it in")
	fl.StringVar(&f.queue, "queue", "", "queue (default: default)")
	fl.StringArrayVar(&f.labels, "label", nil, "the worker must carry this label, KEY=VALUE; may be repeated")
	fl.StringArrayVar(&f.env, "env", nil, "variable for the job, NAME=VALUE, or NAME to hand on ours; may be repeated")
	fl.StringVar(&f.dir, "dir", "", "working directory; a relative one starts at the worker's own")
	fl.Uint32Var(&f.slots, "slots", 1, "slots that the job takes")
	fl.IntVar(&f.priority, "priority", 0, "-100 to 100, higher first")
	fl.DurationVar(&f.timeout, "timeout", 0, "longest run of one attempt (default: no limit)")
	fl.Uint32Var(&f.retry, "retry", 0, "further attempts when it fails")
	return c
}

// request makes the request of one job.
func (f runFlags) request(command []string, lookup func(string) string) (rest.RequestSpec, error) {
	labels, err := keyValues("--label", f.labels, nil)
	if err != nil {
		return rest.RequestSpec{}, err
	}
	env, err := keyValues("--env", f.env, lookup)
	if err != nil {
		return rest.RequestSpec{}, err
	}
	if f.timeout < 0 || f.slots == 0 {
		return rest.RequestSpec{}, &usageError{fmt.Errorf("--timeout and --slots must be more than nothing")}
	}
	name := firstOf(f.name, jobName(command[0]))
	j := rest.JobSpec{Name: name, Work: rest.Work{
		Command: command, Env: env, Dir: f.dir, Queue: f.queue, Labels: labels, Slots: f.slots, Priority: f.priority,
		Timeout: rest.Duration(f.timeout),
	}}
	if f.retry > 0 {
		j.Retry = &rest.Retry{Limit: f.retry}
	}
	return rest.RequestSpec{Name: name, Session: f.session, Jobs: []rest.JobSpec{j}}, nil
}

func keyValues(flag string, list []string, lookup func(string) string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	pairs := make(map[string]string, len(list))
	for _, entry := range list {
		k, v, given := strings.Cut(entry, "=")
		switch {
		case k == "", !given && lookup == nil:
			return nil, &usageError{fmt.Errorf("%s %q is not NAME=VALUE", flag, entry)}
		case !given:
			v = lookup(k)
		}
		pairs[k] = v
	}
	return pairs, nil
}

// jobName makes a job's name of a program's path.
func jobName(program string) string {
	name := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, path.Base(program))
	return name[:min(len(name), 100)]
}

func (a *app) run(ctx context.Context, r rest.RequestSpec) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	id, job, err := a.submitOne(ctx, c, r)
	if err != nil {
		return err
	}
	j, err := a.streamJob(ctx, c, job)
	if err != nil {
		a.goesOn(ctx, id)
		return err
	}
	return a.jobOutcome(j)
}

// submitOne submits a request of one job and gives the ids of both.
func (a *app) submitOne(ctx context.Context, c *rest.Client, r rest.RequestSpec) (request, job string, err error) {
	ctx, cancel := a.patient(ctx)
	defer cancel()
	s, err := c.Submit(ctx, r, "")
	if err != nil {
		return "", "", err
	}
	list, err := c.Jobs(ctx, rest.JobQuery{Request: s.ID, Page: rest.Page{Limit: 1}})
	if err == nil && len(list.Jobs) == 0 {
		err = fmt.Errorf("request %s has no jobs; see: muster request show %s", s.ID, s.ID)
	}
	if err != nil {
		return s.ID, "", err
	}
	return s.ID, list.Jobs[0].ID, nil
}

// jobOutcome makes the exit code of the job ours.
func (a *app) jobOutcome(j rest.Job) error {
	if j.State == rest.StateDone {
		return nil
	}
	code := exitFailed
	if j.ExitCode != nil && *j.ExitCode > 0 && *j.ExitCode <= math.MaxUint8 {
		code = int(*j.ExitCode)
	}
	if j.State != rest.StateFailed || j.ExitCode == nil || j.Error != "" {
		fmt.Fprintf(a.err, "job %s %s: %s; see: muster job show %s\n", j.ID, j.State, oneLine(dash(firstOf(note(j), j.Error))), j.ID)
	}
	return &workError{code}
}
