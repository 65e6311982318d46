package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/musterhq/muster/rpc/rest"
)

const (
	// devStartTime is how long the cluster may take to be ready.
	devStartTime = 30 * time.Second
	// devDrain is how long jobs may go on when the cluster is stopped.
	devDrain = 2 * time.Second
)

// devCluster is a cluster of child processes.
type devCluster struct {
	dir     string
	self    string
	talk    io.Writer
	flags   devFlags
	starter *starter
	nodes   []*devNode // coordinators, then workers
	gossip  string     // of the first coordinator

	coordinatorFlags, workerFlags []string // further flags of each
}

func newDevCluster(dir string, f devFlags, talk io.Writer) (*devCluster, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return &devCluster{dir: dir, self: self, talk: talk, flags: f, starter: newStarter()}, nil
}

// start brings all processes up and waits until the cluster can work.
func (d *devCluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, devStartTime, fmt.Errorf("the cluster was not ready within %s", devStartTime))
	defer cancel()
	if err := d.startFirst(ctx); err != nil {
		return err
	}
	for i := 2; i <= d.flags.coordinators; i++ {
		if err := d.launch(d.coordinator(fmt.Sprintf("coordinator-%d", i), anyPort, d.gossip)); err != nil {
			return err
		}
	}
	for i := 1; i <= d.flags.workers; i++ {
		if err := d.launch(d.worker(fmt.Sprintf("worker-%d", i))); err != nil {
			return err
		}
	}
	for _, n := range d.nodes[:d.flags.coordinators] {
		if err := n.awaitAddresses(ctx); err != nil {
			return err
		}
	}
	return d.awaitReady(ctx)
}

// anyPort is a free port of loopback.
const anyPort = "127.0.0.1:0"

// startFirst starts the coordinator that the others join: only then its ports are known. Unless a person chose its
// HTTP address it has the default one, if that is free.
func (d *devCluster) startFirst(ctx context.Context) error {
	http := d.flags.http
	if http == "" {
		http = anyPort
		if free(defaultAddr) {
			http = defaultAddr
		}
	}
	first := d.coordinator("coordinator-1", http, "")
	if err := d.launch(first); err != nil {
		return err
	}
	if err := first.awaitAddresses(ctx); err != nil {
		return err
	}
	d.gossip = first.addresses.Gossip
	return nil
}

func (d *devCluster) coordinator(name, http, join string) *devNode {
	return newDevNode(d.dir, name, join, append([]string{"coordinator", "--name", name, "--data", filepath.Join(d.dir, name),
		"--http", http, "--rpc", anyPort, "--gossip", anyPort, "--cluster", "dev",
		"--bootstrap-expect", fmt.Sprint(d.flags.coordinators)}, d.coordinatorFlags...))
}

func (d *devCluster) worker(name string) *devNode {
	return newDevNode(d.dir, name, d.gossip, append([]string{"worker", "--name", name, "--data", filepath.Join(d.dir, name),
		"--gossip", anyPort, "--cluster", "dev", "--drain-timeout", devDrain.String()}, d.workerFlags...))
}

func (d *devCluster) launch(n *devNode) error {
	if err := n.start(d.self, d.starter); err != nil {
		return err
	}
	d.nodes = append(d.nodes, n)
	return nil
}

func (d *devCluster) httpAddrs() []string {
	var list []string
	for _, n := range d.nodes {
		if n.addresses.HTTP != "" {
			list = append(list, n.addresses.HTTP)
		}
	}
	return list
}

// awaitReady waits for a leader and for the workers. A process that ends meanwhile is the reason why it fails.
func (d *devCluster) awaitReady(ctx context.Context) error {
	c, err := rest.NewClient(d.httpAddrs(), "")
	if err != nil {
		return err
	}
	defer c.Close()
	tick := time.NewTicker(statusEvery / 4)
	defer tick.Stop()
	for {
		if d.ready(ctx, c) {
			return nil
		}
		for _, n := range d.nodes {
			if n.ended() {
				return n.failure()
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w\n%s", context.Cause(ctx), d.nodes[0].tail())
		}
	}
}

func (d *devCluster) ready(ctx context.Context, c *rest.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := c.Status(ctx)
	if err != nil || s.Leader == nil || !s.Fresh {
		return false
	}
	alive := 0
	for _, w := range s.Workers {
		if w.State == rest.WorkerAlive {
			alive++
		}
	}
	return alive >= d.flags.workers
}

// introduce tells what runs where.
func (d *devCluster) introduce(w io.Writer, f devFlags) {
	kept := "removed at the end"
	if f.data != "" {
		kept = "kept"
	}
	fmt.Fprintf(w, "muster %s, a cluster to try things out: %d %s and %d %s, data in %s (%s)\n\n", version(),
		f.coordinators, plural(f.coordinators, "coordinator"), f.workers, plural(f.workers, "worker"), d.dir, kept)
	for _, n := range d.nodes {
		where := ""
		if n.addresses.HTTP != "" {
			where = "http://" + n.addresses.HTTP
		}
		fmt.Fprintf(w, "  %-15s pid %-8d %s\n", n.name, n.pid(), where)
	}
	first := d.nodes[0].addresses.HTTP
	fmt.Fprintf(w, "\n  Dashboard  http://%s/\n  API        http://%s/v1/status\n  Metrics    http://%s/metrics\n  Logs       %s\n\n", first, first, first, filepath.Join(d.dir, "*.log"))
	if f.run == "" || f.keep {
		if first != defaultAddr {
			fmt.Fprintf(w, "Elsewhere: export MUSTER_ADDR=%s\n", first)
		}
		fmt.Fprintln(w, "Try: muster run -- echo hello · muster status · kill -9 one of them")
	}
}

// attend tells of processes that end, until a person has had enough.
func (d *devCluster) attend(ctx context.Context) {
	told := make([]bool, len(d.nodes))
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		for i, n := range d.nodes {
			if n.ended() && !told[i] {
				told[i] = true
				fmt.Fprintf(d.talk, "%s has ended (%s). Start it again: %s\n", n.name, n.state(), strings.Join(n.command(d.self, d.others(n)).Args, " "))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// others are the gossip addresses of the coordinators that still run, but for n.
func (d *devCluster) others(n *devNode) string {
	var list []string
	for _, o := range d.nodes[:d.flags.coordinators] {
		if o != n && o.addresses.Gossip != "" && !o.ended() {
			list = append(list, o.addresses.Gossip)
		}
	}
	return strings.Join(list, ",")
}

// stop ends the workers, then the coordinators, each kind at once.
func (d *devCluster) stop() error {
	n := min(d.flags.coordinators, len(d.nodes))
	err := errors.Join(stopNodes(d.nodes[n:]), stopNodes(d.nodes[:n]))
	d.starter.close()
	return err
}
