package peer

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// Celery is Celery with Redis, which syncs each write, as its broker and its store of results.
type Celery struct{}

const (
	celeryJobs  = 1000 // the usual number
	celeryChain = 100
)

//go:embed celery_tasks.py
var celeryTasks string

// About describes it.
func (Celery) About(ctx context.Context) result.Subject {
	return result.Subject{
		Title: "Celery, Redis appendfsync always", Kind: result.Peer, Version: debian(ctx, "python3-celery") + ", Redis " + debian(ctx, "redis-server"),
		Settings: "Redis for broker and results, appendfsync always; prefork worker of 4 processes, prefetch 16, acks late; a group, a chord of 1,000, a chain",
		Durable:  true, DAG: true, Jobs: true,
	}
}

// Missing says what it needs.
func (Celery) Missing() error {
	if err := missingPrograms("celery", "redis-server"); err != nil {
		return err
	}
	return missingModules("celery", "celery", "redis")
}

// Measure does one round.
func (Celery) Measure(ctx context.Context, e *Env) ([]result.Sample, error) {
	addr, _, err := startRedis(ctx, e)
	if err != nil {
		return nil, err
	}
	script, err := e.WriteFile("celery_tasks.py", celeryTasks)
	if err != nil {
		return nil, err
	}
	env := []string{"BENCH_REDIS=redis://" + addr + "/0", "PYTHONDONTWRITEBYTECODE=1"}
	if _, err := e.Group.Start(child.Spec{Name: "celery", Dir: e.Dir, Env: append([]string{"C_FORCE_ROOT=1"}, env...), Args: []string{
		python, "-m", "celery", "-A", "celery_tasks", "worker", "--concurrency", fmt.Sprint(Workers), "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR",
	}}); err != nil {
		return nil, err
	}
	out, err := e.Group.Run(ctx, child.Spec{Name: "celery-client", Dir: e.Dir, Env: env, Args: []string{
		python, script, fmt.Sprint(e.Count(celeryJobs)), fmt.Sprint(e.Count(FanWidth)), fmt.Sprint(e.Count(celeryChain)),
	}})
	if err != nil {
		return nil, err
	}
	return parseScripted(out)
}
