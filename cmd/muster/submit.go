package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/rpc/spec"
)

type submitFlags struct {
	wait, dryRun, schema, hold bool
	key, session, name         string
}

func newSubmit(a *app) *cobra.Command {
	var f submitFlags
	c := &cobra.Command{
		Use: "submit FILE|-", Short: "submit a request: a DAG of jobs in YAML or JSON", Args: cobra.MaximumNArgs(1),
		Long: `Submits a request and prints its id.

With --wait it also shows how the request goes, and exits 0 when it is done, 1 when it failed or was cancelled.
With an idempotency key the same request is submitted once, however often the command is repeated.`,
		Example: `  muster submit pipeline.yaml --wait
  muster submit pipeline.yaml --dry-run          # check it and draw its DAG, without a cluster
  generate | muster submit - --idempotency-key nightly-2026-11-22
  muster submit --schema > request.schema.json   # for your editor`,
		RunE: func(c *cobra.Command, args []string) error {
			if f.schema {
				return printSchema(a.out)
			}
			if len(args) == 0 {
				return &usageError{fmt.Errorf("name a file, or - for standard input; usage: %s", c.UseLine())}
			}
			return a.submitFile(c.Context(), args[0], f)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.wait, "wait", false, "show how it goes until it ends; the exit code tells how it ended")
	fl.StringVar(&f.key, "idempotency-key", "", "repeating the command with the same key submits once")
	fl.BoolVar(&f.dryRun, "dry-run", false, "check the file and draw the DAG; submit nothing")
	fl.BoolVar(&f.hold, "hold", false, "keep its jobs from workers until: muster resume ID")
	fl.StringVar(&f.session, "session", "", "submit into this session instead of the file's")
	fl.StringVar(&f.name, "name", "", "name of the request instead of the file's")
	fl.BoolVar(&f.schema, "schema", false, "print the JSON Schema of a request")
	return c
}

func printSchema(w io.Writer) error {
	b, err := spec.Schema()
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func (a *app) submitFile(ctx context.Context, path string, f submitFlags) error {
	body, err := a.readFile(path)
	if err != nil {
		return err
	}
	r, err := parseNamed(path, body)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.show(withOverrides(r, f), func(w io.Writer) { renderDryRun(w, withOverrides(r, f)) })
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := a.submit(ctx, c, body, r, f)
	if err != nil {
		return err
	}
	if err := a.show(s, func(w io.Writer) { fmt.Fprintln(w, s.ID) }); err != nil || !f.wait {
		return err
	}
	return a.waitFor(ctx, c, s.ID, true)
}

// submit sends the file as it is, or, when flags change it, the request that it stands for.
func (a *app) submit(ctx context.Context, c *rest.Client, body []byte, r rest.RequestSpec, f submitFlags) (rest.Submitted, error) {
	ctx, cancel := a.patientWith(ctx, len(body))
	defer cancel()
	key := f.key
	if key == "" {
		key = rest.NewIdempotencyKey()
	}
	if f.session != "" || f.name != "" || f.hold {
		return c.Submit(ctx, withOverrides(r, f), key)
	}
	kind := "application/yaml"
	if strings.HasPrefix(strings.TrimLeft(string(body[:min(len(body), 64)]), " \t\r\n"), "{") {
		kind = "application/json"
	}
	return c.SubmitBody(ctx, body, kind, key)
}

func withOverrides(r rest.RequestSpec, f submitFlags) rest.RequestSpec {
	r.Hold = r.Hold || f.hold
	r.Session, r.Name = firstOf(f.session, r.Session), firstOf(f.name, r.Name)
	return r
}

func (a *app) readFile(path string) ([]byte, error) {
	if path == "-" {
		body, err := io.ReadAll(a.in)
		if err != nil {
			return nil, fmt.Errorf("read the request from standard input: %w", err)
		}
		return body, nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, &usageError{fmt.Errorf("read the request: %w", err)}
	}
	return body, nil
}

// parseNamed checks a file here, so that what is wrong is told with the file's name and without a cluster.
func parseNamed(path string, body []byte) (rest.RequestSpec, error) {
	r, err := spec.Parse(body)
	if err == nil {
		return r, nil
	}
	if path == "-" {
		path = "standard input"
	}
	return r, &usageError{fmt.Errorf("%s is not a request muster can run:\n%s", path, indentProblems(path, err))}
}

func indentProblems(path string, err error) string {
	var b strings.Builder
	for i, line := range strings.Split(err.Error(), "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("  " + path + ":" + line)
	}
	return b.String()
}

// renderDryRun draws the DAG that would be submitted.
func renderDryRun(w io.Writer, r rest.RequestSpec) {
	g := rest.Graph{}
	for i, j := range r.Jobs {
		state := rest.StateReady
		if len(j.Needs)+len(j.NeedsAny) > 0 {
			state = rest.StateWaiting
		}
		if i < graphMax {
			g.Jobs = append(g.Jobs, rest.Node{Name: j.Name, State: state, Needs: j.Needs, NeedsAny: j.NeedsAny})
		}
	}
	levels, width := shape(g.Jobs)
	fmt.Fprintf(w, "%s: %d %s, %d %s deep, at most %d at once; nothing was submitted\n",
		firstOf(r.Name, "unnamed"), len(r.Jobs), plural(len(r.Jobs), "job"), levels, plural(levels, "level"), width)
	renderGraph(w, painter(false), g)
	if len(r.Jobs) > graphMax {
		fmt.Fprintf(w, "… and %d more\n", len(r.Jobs)-graphMax)
	}
}

// shape is how many levels the DAG has and how many jobs the widest of them.
func shape(nodes []rest.Node) (levels, width int) {
	index := make(map[string]int, len(nodes))
	for i, n := range nodes {
		index[n.Name] = i
	}
	at := map[int]int{}
	for _, d := range depths(nodes, index) {
		at[d]++
		levels, width = max(levels, d+1), max(width, at[d])
	}
	return levels, width
}
