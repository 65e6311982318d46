package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/testing/bench/report"
	"github.com/musterhq/muster/testing/bench/result"
)

func newReport() *cobra.Command {
	var doc string
	c := &cobra.Command{
		Use: "report [RESULTS]", Short: "write the table and the plots", Args: cobra.MaximumNArgs(1),
		Long: `Reads what run has measured (default results.json) and writes the tables, with the machine and the command, into a Markdown
document, between its two markers, and the plots beside it.`,
		RunE: func(c *cobra.Command, args []string) error {
			path := "results.json"
			if len(args) > 0 {
				path = args[0]
			}
			f, err := result.Read(path)
			if err != nil {
				return err
			}
			if err := report.Write(f, doc); err != nil {
				return err
			}
			fmt.Fprintln(c.ErrOrStderr(), "written into", doc)
			return nil
		},
	}
	c.Flags().StringVar(&doc, "doc", filepath.Join("..", "..", "docs", "performance.md"), "the document")
	return c
}
