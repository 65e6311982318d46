package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

func newOperator(a *app) *cobra.Command {
	c := &cobra.Command{Use: "operator", Short: "run the cluster itself"}
	raft := &cobra.Command{Use: "raft", Short: "the coordinators' Raft configuration"}
	raft.AddCommand(newRaftList(a), newRaftTransfer(a), newRaftRemove(a))
	snapshot := &cobra.Command{Use: "snapshot", Short: "the whole state of a cluster in a file"}
	snapshot.AddCommand(newSnapshotSave(a), newSnapshotInspect(a), newSnapshotRestore(a))
	c.AddCommand(raft, snapshot)
	return c
}

func newRaftList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the coordinators of the Raft configuration", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (rest.RaftServers, error) {
				return c.RaftServers(ctx)
			})
			if err != nil {
				return err
			}
			return a.show(l, func(w io.Writer) { renderCoordinators(w, painter(a.colour(w)), l.Servers) })
		},
	}
}

func newRaftTransfer(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "transfer [COORDINATOR]", Short: "hand the leadership to a coordinator (id or name), or to any other", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			to := ""
			if len(args) == 1 {
				to = args[0]
			}
			_, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (struct{}, error) {
				return struct{}{}, c.TransferLeadership(ctx, to)
			})
			if err == nil {
				fmt.Fprintln(a.err, "leadership handed over; see: muster status")
			}
			return err
		},
	}
}

func newRaftRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "remove COORDINATOR", Short: "take a coordinator (id or name) out of the Raft configuration for good", Args: cobra.ExactArgs(1),
		Long: `Takes a coordinator out of the Raft configuration. Do it to one that will not come back; one that is only down
needs no removal. It is refused when the rest would have no majority.`,
		RunE: func(c *cobra.Command, args []string) error {
			_, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (struct{}, error) {
				id, err := coordinatorID(ctx, c, args[0])
				if err != nil {
					return struct{}{}, err
				}
				return struct{}{}, c.RemoveServer(ctx, id)
			})
			if err == nil {
				fmt.Fprintln(a.err, "removed; see: muster operator raft list")
			}
			return err
		},
	}
}

// coordinatorID resolves a coordinator's id or name.
func coordinatorID(ctx context.Context, c *rest.Client, ref string) (string, error) {
	l, err := c.RaftServers(ctx)
	if err != nil {
		return "", err
	}
	id := ""
	for _, s := range l.Servers {
		switch {
		case s.ID == ref:
			return ref, nil
		case s.Name == ref && id != "":
			return "", &usageError{fmt.Errorf("several coordinators are named %q: give an id; list them with: muster operator raft list", ref)}
		case s.Name == ref:
			id = s.ID
		}
	}
	if id == "" {
		return "", notFound("there is no coordinator %q; list them with: muster operator raft list", ref)
	}
	return id, nil
}
