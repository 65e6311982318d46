package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// progressForm is what a worker understands as progress: 50, 50% or 7/10.
var progressForm = regexp.MustCompile(`^(\d+(\.\d+)?%?|\d+(\.\d+)?/\d+(\.\d+)?)$`)

func newReport(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "report PROGRESS [TEXT...]", Short: "within a job: report its progress", Args: cobra.MinimumNArgs(1),
		Long: `Reports the progress of the job that it is run in: 50, 50% or 7/10, and some text if you like.

It appends a line to the file that $MUSTER_PROGRESS names, which a script can as well do by itself:
  echo "7/10 seven of ten files" >> "$MUSTER_PROGRESS"`,
		Example: "  muster report 50%\n  muster report 7/10 seven of ten files",
		RunE: func(_ *cobra.Command, args []string) error {
			path := a.env("MUSTER_PROGRESS")
			if path == "" {
				return &usageError{fmt.Errorf("MUSTER_PROGRESS is not set: report works within a job that a muster worker runs")}
			}
			return appendProgress(path, args)
		},
	}
}

func appendProgress(path string, args []string) error {
	if !progressForm.MatchString(args[0]) {
		return &usageError{fmt.Errorf("%q is no progress: write 50, 50%% or 7/10", args[0])}
	}
	line := strings.Join(strings.Fields(strings.Join(args, " ")), " ") + "\n"
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("report progress: %w", err)
	}
	if _, err := f.WriteString(line); err != nil {
		f.Close()
		return fmt.Errorf("report progress: %w", err)
	}
	return f.Close()
}
