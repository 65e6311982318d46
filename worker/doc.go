// Package worker runs jobs: it is the worker of muster and, at the same time, the SDK for workers written in Go.
//
//	w, err := worker.New(cfg)
//	w.Handle("resize", func(ctx context.Context, job worker.Job) (worker.Result, error) { … })
//	err = w.Run(ctx)
//
// # What it is made of
//
//	coordinators <──beat, report, progress──┐
//	     │ grants, stops                    │
//	     v                                  │
//	JobConsumer ──job──> JobRunner ──> StatusReporter
//	(consumer.go)        (runner.go)   (reporter.go)
//	                      │      │
//	               Go handler   process (exec_*.go)
//
// The JobConsumer holds the worker's place at the board: it joins, orders as many jobs as there are slots, beats
// stillAlive, and keeps the one list of what this worker holds. The JobRunner does one attempt of one job. The
// StatusReporter says what became of it, many attempts to a frame, until a leader has acknowledged it.
//
// # What it is not
//
// It decides nothing. Whether a job is repeated, what its failure does to others, who gets it next: all that is the
// coordinators'. And it never reaches the replicated state machine or Raft: whoever imports the SDK does not compile
// a coordinator.
//
// # Who owns what
//
// Run owns every goroutine and every process; when it has returned there are none, with one exception that it names
// in its error: a Go handler that ignores the end of its context cannot be ended from outside.
//
// Invariants:
//   - one run for each (job, attempt), however often it is delivered;
//   - never more running than Slots;
//   - an attempt that was revoked is stopped, and nothing is reported of it;
//   - the end of an attempt is reported until it is acknowledged, by any leader.
//
// # Processes
//
// A job with a command or a shell script follows the exec contract (see exec.go). Each gets a process group of its
// own. Three things see to it that no child outlives its worker: the worker ends the whole group when an attempt
// ends; the kernel kills the direct child when the worker is killed (Linux); and a guard process, if one is set with
// WithGuard, then kills what is left. Without a guard, a worker killed by SIGKILL leaves the grandchildren behind.
//
// A process that leaves its group (setsid) is on its own when its attempt ends, and is killed with the worker only if
// there is a guard, on Linux. As the first process of a container a worker needs an init above it (tini, or docker
// run --init) to reap orphans, as any program does.
package worker
