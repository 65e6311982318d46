package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

// statusEvery is how often a leader is looked for.
const statusEvery = 200 * time.Millisecond

func newStatus(a *app) *cobra.Command {
	var waitLeader time.Duration
	c := &cobra.Command{
		Use: "status", Short: "how the cluster is: leader, members, lag, workers, jobs", Args: cobra.NoArgs,
		Long: `Shows how the cluster is, and how many more coordinators may fail.

Exits 0 when it is healthy, 3 when there is no leader or nobody answers, 5 when it is not healthy.`,
		Example: "  muster status\n  muster status --wait-leader 30s   # in scripts: until the cluster can work\n  muster status -o json | jq .leader",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.status(c.Context(), waitLeader)
			if err != nil {
				return err
			}
			if err := a.show(s, func(w io.Writer) { renderStatus(w, painter(a.colour(w)), time.Now(), s) }); err != nil {
				return err
			}
			return statusError(s)
		},
	}
	c.Flags().DurationVar(&waitLeader, "wait-leader", 0, "wait up to this long for a leader")
	return c
}

// status asks any coordinator: it tells the leader's word, or what it knows by itself when no leader answers it.
func (a *app) status(ctx context.Context, wait time.Duration) (rest.Status, error) {
	c, err := a.client()
	if err != nil {
		return rest.Status{}, err
	}
	defer c.Close()
	if wait > 0 {
		return awaitLeader(ctx, c, wait)
	}
	ctx, cancel := a.patient(ctx)
	defer cancel()
	return c.Status(ctx)
}

// awaitLeader asks until a leader has answered. It gives what was heard last when the time is over.
func awaitLeader(ctx context.Context, c *rest.Client, wait time.Duration) (rest.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var last rest.Status
	heard := false
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		s, err := c.Status(ctx)
		if err == nil {
			last, heard = s, true
			if s.Leader != nil && s.Fresh {
				return s, nil
			}
		} else if ctx.Err() == nil || !heard {
			return last, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last, nil
		}
	}
}

// statusError makes the exit code of a status.
func statusError(s rest.Status) error {
	switch {
	case s.Leader == nil:
		return fmt.Errorf("%w: %s", errNoLeader, quorumText(s))
	case !s.Fresh:
		return fmt.Errorf("%w that answers: %s", errNoLeader, firstOf(s.Problem, quorumText(s)))
	case s.Health != rest.Healthy:
		return fmt.Errorf("%w: %s", errUnhealthy, firstOf(s.Problem, "it does not say why"))
	}
	return nil
}

// quorumText says how many coordinators are needed and how many are there.
func quorumText(s rest.Status) string {
	voters, alive := 0, 0
	for _, c := range s.Coordinators {
		if c.Voter {
			voters++
			if c.Alive {
				alive++
			}
		}
	}
	if voters == 0 {
		return firstOf(s.Problem, "it has not been formed yet")
	}
	return fmt.Sprintf("%d of %d voting coordinators seem to be up, %d are needed", alive, voters, voters/2+1)
}

func renderStatus(w io.Writer, p painter, now time.Time, s rest.Status) {
	leader := "none"
	if s.Leader != nil {
		leader = fmt.Sprintf("%s (%s), term %d", firstOf(s.Leader.Name, s.Leader.ID), firstOf(s.Leader.HTTP, s.Leader.Address), s.Leader.Term)
	}
	health := p.state(firstOf(s.Health, rest.Unhealthy))
	if s.Problem != "" {
		health += ": " + s.Problem
	}
	pairs(w, [][2]string{
		{"Cluster", s.Cluster},
		{"Health", health},
		{"Leader", leader},
		{"Quorum", tolerance(s)},
		{"Log", fmt.Sprintf("applied %s of %s at %s, %s", number(s.Raft.Applied), number(s.Raft.Last), firstOf(s.NodeName, s.Node), s.Raft.State)},
		{"Workers", workersText(s.Workers)},
		{"Jobs", countsText(s.Jobs)},
		{"Answered", fmt.Sprintf("%s, muster %s, up %s", firstOf(s.NodeName, s.Node), s.Version, ago(now, s.Started))},
	})
	if len(s.Coordinators) > 0 {
		fmt.Fprintln(w)
		renderCoordinators(w, p, s.Coordinators)
	}
}

func tolerance(s rest.Status) string {
	switch {
	case len(s.Coordinators) == 0:
		return ""
	case s.Tolerates <= 0:
		return fmt.Sprintf("%d coordinators, no more may fail", len(s.Coordinators))
	}
	return fmt.Sprintf("%d coordinators, tolerates %d more %s", len(s.Coordinators), s.Tolerates, plural(s.Tolerates, "failure"))
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func workersText(workers []rest.Worker) string {
	var slots, used uint32
	states := map[string]int{}
	for _, w := range workers {
		states[w.State]++
		if w.State != rest.WorkerLost {
			slots += w.Slots
			used += w.Used
		}
	}
	var parts []string
	for _, state := range []string{rest.WorkerAlive, rest.WorkerDraining, rest.WorkerLost} {
		if states[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", states[state], state))
		}
	}
	if len(parts) == 0 {
		return "none; start one with: muster worker"
	}
	return fmt.Sprintf("%s; %d of %d slots in use", strings.Join(parts, ", "), used, slots)
}

// countsText lists the states that have jobs.
func countsText(c rest.Counts) string {
	var parts []string
	for _, s := range []struct {
		n    uint64
		name string
	}{
		{c.Running, "running"}, {c.Picked, "picked"}, {c.Ready, "ready"}, {c.Delayed, "delayed"}, {c.Waiting, "waiting"},
		{c.Done, "done"}, {c.Failed, "failed"}, {c.Cancelled, "cancelled"},
	} {
		if s.n > 0 {
			parts = append(parts, number(s.n)+" "+s.name)
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
