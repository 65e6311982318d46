package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

func newMembers(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "members", Short: "list the coordinators and the workers", Args: cobra.NoArgs,
		Long: "Lists the coordinators, with what each has applied of the log, and the workers.\nWith -o json or yaml it prints the status document.",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.status(c.Context(), 0)
			if err != nil {
				return err
			}
			return a.show(s, func(w io.Writer) {
				p := painter(a.colour(w))
				renderCoordinators(w, p, s.Coordinators)
				if len(s.Workers) > 0 {
					fmt.Fprintln(w)
					renderWorkers(w, p, time.Now(), s.Workers)
				}
			})
		},
	}
}

func renderCoordinators(w io.Writer, p painter, list []rest.Coordinator) {
	list = slices.SortedStableFunc(slices.Values(list), func(a, b rest.Coordinator) int { return strings.Compare(a.Name, b.Name) })
	lines := make([][]string, len(list))
	for i, c := range list {
		role, state := "follower", "alive"
		switch {
		case c.Leader:
			role = "leader"
		case !c.Voter:
			role = "non-voter"
		}
		if !c.Alive {
			state = "lost"
		}
		lines[i] = []string{c.Name, role, p.state(state), c.HTTP, c.RPC, count(c.Applied), contact(c), c.ID}
	}
	rows(w, []string{"COORDINATOR", "ROLE", "STATE", "HTTP", "RPC", "APPLIED", "LAST CONTACT", "ID"}, lines)
}

func contact(c rest.Coordinator) string {
	if c.Leader || c.LastContact == 0 {
		return ""
	}
	return rough(time.Duration(c.LastContact))
}

// count leaves a zero out.
func count(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
