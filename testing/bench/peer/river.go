package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// River is River on PostgreSQL with fsync.
type River struct{}

const (
	riverJobs    = 40_000 // the usual number
	riverBatch   = 1000   // jobs of one InsertMany
	riverWorkers = 250    // of each of the four clients: it works faster with more of them
	postgresUser = "postgres"
)

// About describes it.
func (River) About(ctx context.Context) result.Subject {
	return result.Subject{
		Title: "River, PostgreSQL", Kind: result.Peer, Version: module("github.com/riverqueue/river") + ", PostgreSQL " + debian(ctx, "postgresql-15"),
		Settings: "fsync, full_page_writes and synchronous_commit on, shared_buffers 512 MB; InsertMany of 1,000, 8 at once; 4 clients of 250 workers, fetch cooldown 1 ms, in the client's process",
		Durable:  true, Jobs: true,
	}
}

// Missing says what it needs.
func (River) Missing() error {
	if postgresBin() == "" {
		return errors.New("no PostgreSQL here: run testing/bench/install.sh postgresql")
	}
	return nil
}

// postgresBin is the directory of the newest PostgreSQL's programs; empty: there is none.
func postgresBin() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(slices.Max(found))
}

// noop are the arguments of a job that does nothing.
type noop struct {
	Body string `json:"body"`
}

// Kind names the kind of job.
func (noop) Kind() string { return "noop" }

type noopWorker struct{ river.WorkerDefaults[noop] }

// Work does nothing.
func (noopWorker) Work(context.Context, *river.Job[noop]) error { return nil }

// Measure does one round.
func (River) Measure(ctx context.Context, e *Env) ([]result.Sample, error) {
	pool, postgres, err := startPostgres(ctx, e)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	var clients []*river.Client[pgx.Tx]
	for i := range Workers {
		workers := river.NewWorkers()
		river.AddWorker(workers, noopWorker{})
		c, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
			ID: fmt.Sprint("bench-", i), Logger: slog.New(slog.DiscardHandler), Workers: workers, FetchCooldown: time.Millisecond,
			FetchPollInterval: 50 * time.Millisecond, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkers}},
		})
		if err != nil {
			return nil, err
		}
		if err := c.Start(ctx); err != nil {
			return nil, fmt.Errorf("start a client: %w", err)
		}
		defer func() { _ = c.StopAndCancel(context.WithoutCancel(ctx)) }()
		clients = append(clients, c)
	}
	n := e.Count(riverJobs)
	s, err := Timed(Jobs, n, []*child.Process{postgres}, func() error { return riverThrough(ctx, pool, clients[0], n) })
	return []result.Sample{s}, err
}

func riverThrough(ctx context.Context, pool *pgxpool.Pool, client *river.Client[pgx.Tx], n int) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for left := n; left > 0; left -= riverBatch {
		g.Go(func() error {
			batch := make([]river.InsertManyParams, min(left, riverBatch))
			for i := range batch {
				batch[i].Args = noop{Body: "0123456789012345678901234567890123456789"}
			}
			_, err := client.InsertMany(gctx, batch)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	return Until(ctx, func(ctx context.Context) (bool, error) {
		var some bool
		err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM river_job WHERE state IN ('available', 'running', 'pending', 'retryable', 'scheduled'))`).Scan(&some)
		return !some, err
	})
}

func startPostgres(ctx context.Context, e *Env) (*pgxpool.Pool, *child.Process, error) {
	user := "" // ours
	if os.Getuid() == 0 {
		user = postgresUser // it refuses to run as root
	}
	dir, err := e.Mkdir(user, "postgres")
	if err != nil {
		return nil, nil, err
	}
	bin := postgresBin()
	data := filepath.Join(dir, "data")
	if _, err := e.Group.Run(ctx, child.Spec{Name: "initdb", User: user, Dir: dir, Args: []string{
		filepath.Join(bin, "initdb"), "-D", data, "-U", "bench", "--auth=trust", "-E", "UTF8", "--no-locale",
	}}); err != nil {
		return nil, nil, err
	}
	ports, err := child.FreePorts(1)
	if err != nil {
		return nil, nil, err
	}
	args := []string{filepath.Join(bin, "postgres"), "-D", data}
	for _, set := range []string{
		"listen_addresses=127.0.0.1", fmt.Sprint("port=", ports[0]), "unix_socket_directories=" + dir, "max_connections=200",
		"fsync=on", "full_page_writes=on", "synchronous_commit=on", "shared_buffers=512MB", "max_wal_size=2GB",
	} {
		args = append(args, "-c", set)
	}
	p, err := e.Group.Start(child.Spec{Name: "postgres", User: user, Dir: dir, Args: args})
	if err != nil {
		return nil, nil, err
	}
	pool, err := pgxpool.New(ctx, fmt.Sprintf("postgres://bench@127.0.0.1:%d/postgres?sslmode=disable&pool_max_conns=60", ports[0]))
	if err != nil {
		return nil, nil, err
	}
	return pool, p, e.Group.Await(ctx, "postgres", pool.Ping)
}
