package peer

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// Asynq is asynq on a Redis that syncs each write.
type Asynq struct{}

// asynqJobs is the usual number of jobs.
const asynqJobs = 6000

// About describes it.
func (Asynq) About(ctx context.Context) result.Subject {
	return result.Subject{
		Title: "asynq, Redis appendfsync always", Kind: result.Peer, Version: module("github.com/hibiken/asynq") + ", Redis " + debian(ctx, "redis-server"),
		Settings: "one Redis, appendonly, appendfsync always; 256 goroutines enqueue; 4 servers of concurrency 64 in the client's process",
		Durable:  true, Jobs: true,
	}
}

// Missing says what it needs.
func (Asynq) Missing() error { return missingPrograms("redis", "redis-server") }

// Measure does one round.
func (Asynq) Measure(ctx context.Context, e *Env) ([]result.Sample, error) {
	addr, redis, err := startRedis(ctx, e)
	if err != nil {
		return nil, err
	}
	opt := asynq.RedisClientOpt{Addr: addr, PoolSize: 300}
	client, inspector := asynq.NewClient(opt), asynq.NewInspector(opt)
	defer client.Close()
	defer inspector.Close()
	n := e.Count(asynqJobs)
	var ran atomic.Int64
	for range Workers {
		s := asynq.NewServer(opt, asynq.Config{Concurrency: Slots, LogLevel: asynq.FatalLevel, Logger: quiet{}})
		err := s.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { ran.Add(1); return nil }))
		if err != nil {
			return nil, fmt.Errorf("start a server: %w", err)
		}
		defer s.Shutdown()
	}
	s, err := Timed(Jobs, n, []*child.Process{redis}, func() error {
		g, gctx := errgroup.WithContext(ctx)
		for i := range Workers * Slots {
			g.Go(func() error {
				for j := i; j < n; j += Workers * Slots {
					if _, err := client.EnqueueContext(gctx, asynq.NewTask("noop", make([]byte, 64))); err != nil {
						return fmt.Errorf("enqueue: %w", err)
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		return Until(ctx, func(context.Context) (bool, error) {
			if ran.Load() < int64(n) {
				return false, nil
			}
			info, err := inspector.GetQueueInfo("default")
			if err != nil {
				return false, err
			}
			return info.Pending == 0 && info.Active == 0, nil
		})
	})
	return []result.Sample{s}, err
}

// quiet is a logger that says nothing.
type quiet struct{}

func (quiet) Debug(...any) {}
func (quiet) Info(...any)  {}
func (quiet) Warn(...any)  {}
func (quiet) Error(...any) {}
func (quiet) Fatal(...any) {}
