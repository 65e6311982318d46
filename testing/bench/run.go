package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/peer"
	"github.com/musterhq/muster/testing/bench/result"
)

// turnMax is how long one subject may take for one round.
const turnMax = 10 * time.Minute

type runFlags struct {
	peers  []string
	rounds int
	scale  float64
	json   string
	muster string
	dir    string
	keep   bool
}

func newRun() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use: "run", Short: "measure", Args: cobra.NoArgs,
		Long: `Measures every subject once a round, so that a change of the machine's mood meets all alike, and writes all samples to a file.
It starts and stops every server itself, on loopback, with its data in a temporary directory.`,
		Example: "  go run . run --json results.json\n  go run . run --peers muster,nats,ceilings --rounds 5\n  go run . run --scale 0.02 --rounds 1   # does it work",
		RunE: func(c *cobra.Command, _ []string) error {
			if f.rounds < 1 || f.scale <= 0 {
				return errors.New("--rounds must be at least 1, --scale above 0")
			}
			return run(c.Context(), f, c.ErrOrStderr())
		},
	}
	fl := c.Flags()
	fl.StringSliceVar(&f.peers, "peers", nil, "what to measure (default: all)")
	fl.IntVar(&f.rounds, "rounds", 3, "how often each is measured")
	fl.Float64Var(&f.scale, "scale", 1, "of the number of jobs")
	fl.StringVar(&f.json, "json", "results.json", "file for the samples")
	fl.StringVar(&f.muster, "muster", "", "the muster program (default: it is built from this tree)")
	fl.StringVar(&f.dir, "dir", "", "directory for all data; its file system is what is measured (default: the system's for temporary files)")
	fl.BoolVar(&f.keep, "keep", false, "keep the data and the logs")
	return c
}

// command is how to do the same again; where its files lie is nobody else's business.
func (f runFlags) command() string {
	c := fmt.Sprintf("go run . run --rounds %d", f.rounds)
	if f.scale != 1 {
		c += fmt.Sprintf(" --scale %g", f.scale)
	}
	if len(f.peers) > 0 {
		c += " --peers " + strings.Join(f.peers, ",")
	}
	return c
}

func run(ctx context.Context, f runFlags, talk io.Writer) (err error) {
	dir, err := os.MkdirTemp(f.dir, "muster-peers-")
	if err != nil {
		return err
	}
	if f.keep {
		fmt.Fprintln(talk, "data and logs are in", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if err := os.Chmod(dir, 0o755); err != nil { // some servers run as a user of their own
		return err
	}
	if f.muster == "" {
		if f.muster, err = buildMuster(ctx, dir); err != nil {
			return err
		}
	}
	chosen, err := choose(subjects(f.muster), f.peers)
	if err != nil {
		return err
	}
	file := &result.File{Format: result.Format, Began: time.Now().UTC().Truncate(time.Second), Machine: machine(dir), Rounds: f.rounds, Scale: f.scale,
		Command: f.command()}
	fmt.Fprintf(talk, "%s\n", file.Machine)
	chosen = introduce(ctx, file, chosen, talk)
	for round := 1; round <= f.rounds; round++ {
		for _, s := range chosen {
			begun := time.Now()
			samples, err := turn(ctx, s, dir, f, round)
			if ctx.Err() != nil {
				return errors.Join(context.Cause(ctx), err)
			}
			if err != nil {
				fmt.Fprintf(talk, "round %d  %-14s failed: %v\n", round, s.name, err)
				file.Skipped = append(file.Skipped, result.Skip{Name: s.name, Round: round, Why: err.Error()})
			}
			record(file, s.name, round, samples, talk)
			fmt.Fprintf(talk, "round %d  %-14s took %.0f s in all\n", round, s.name, time.Since(begun).Seconds())
			file.Seconds = time.Since(file.Began).Seconds()
			if err := file.Write(f.json); err != nil { // after each turn: what is there is there
				return err
			}
		}
	}
	fmt.Fprintf(talk, "%d samples in %s, after %.0f s\n", len(file.Samples), f.json, file.Seconds)
	return nil
}

func record(file *result.File, name string, round int, samples []result.Sample, talk io.Writer) {
	for _, s := range samples {
		if s.Jobs == 0 { // that which failed
			continue
		}
		s.Subject, s.Round = name, round
		file.Samples = append(file.Samples, s)
		fmt.Fprintf(talk, "round %d  %-14s %-30s %s\n", round, name, s.Workload, describe(s))
	}
}

// introduce tells what is measured, with versions and settings, and leaves out what cannot be had.
func introduce(ctx context.Context, file *result.File, chosen []subject, talk io.Writer) (there []subject) {
	for _, s := range chosen {
		if err := s.peer.Missing(); err != nil {
			fmt.Fprintf(talk, "%-14s skipped: %v\n", s.name, err)
			file.Skipped = append(file.Skipped, result.Skip{Name: s.name, Why: err.Error()})
			continue
		}
		about := s.peer.About(ctx)
		about.Name = s.name
		fmt.Fprintf(talk, "%-14s %s %s: %s\n", s.name, about.Title, about.Version, about.Settings)
		file.Subjects = append(file.Subjects, about)
		there = append(there, s)
	}
	return there
}

// turn measures a subject once.
func turn(ctx context.Context, s subject, dir string, f runFlags, round int) (samples []result.Sample, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, turnMax, fmt.Errorf("it took more than %s", turnMax))
	defer cancel()
	own := filepath.Join(dir, fmt.Sprintf("%s-%d", s.name, round))
	if err := os.Mkdir(own, 0o777); err != nil {
		return nil, err
	}
	if err := os.Chmod(own, 0o777); err != nil {
		return nil, err
	}
	if !f.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(own)) }()
	}
	group := child.NewGroup(own)
	samples, err = s.peer.Measure(ctx, &peer.Env{Group: group, Dir: own, Scale: f.scale, Round: round})
	return samples, errors.Join(err, group.Close())
}

func describe(s result.Sample) string {
	text := fmt.Sprintf("%10.0f /s  (%d in %.2f s)", s.PerSecond, s.Jobs, s.Seconds)
	if s.P50 > 0 {
		text += fmt.Sprintf("  p50 %.2f p99 %.2f ms", s.P50, s.P99)
	}
	if s.CPU() > 0 {
		text += fmt.Sprintf("  cpu %.1f µs", s.CPU())
	}
	return text
}

// buildMuster builds the program from this tree, as it is shipped.
func buildMuster(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "muster")
	c := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/muster")
	c.Dir = filepath.Join("..", "..")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build muster (run the bench in testing/bench, or give --muster): %w\n%s", err, out)
	}
	return path, nil
}
