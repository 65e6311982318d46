package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

func newWhy(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "why JOB", Short: "say what a job waits for, or why it ended as it did", Args: cobra.ExactArgs(1),
		Long: "Say what a job waits for now, or why it failed, was cancelled or was moved.\n" +
			"JOB is a job's id, or REQUEST/NAME, where REQUEST may be @last.",
		Example: "  muster why @last/report\n  muster why @last/report -o json",
		RunE: func(c *cobra.Command, args []string) error {
			y, err := askJob(c.Context(), a, args[0], (*rest.Client).Why)
			if err != nil {
				return err
			}
			return a.show(y, func(w io.Writer) { renderWhy(w, painter(a.colour(w)), y) })
		},
	}
}

// renderWhy writes a line for each cause.
func renderWhy(w io.Writer, p painter, y rest.Why) {
	fmt.Fprintf(w, "%s %s is %s\n", y.Job, oneLine(y.Name), p.state(y.State))
	for _, c := range y.Causes {
		fmt.Fprintf(w, "  %s: %s\n", c.Kind, printable(c.Text))
	}
}
