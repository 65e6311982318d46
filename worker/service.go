package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/rpc/client"
)

// ErrAbandoned is returned by Run when Go handlers go on although their context has ended. Their jobs are reported;
// the goroutines cannot be ended but with the program.
var ErrAbandoned = errors.New("handlers ignore the end of their context")

const (
	// farewellTimeout is for the last reports and the good-bye of a worker that stops.
	farewellTimeout = 5 * time.Second
	// killPatience takes the place of that, and of the handlers' grace, when a worker is killed.
	killPatience = time.Second
)

// service is a worker that runs: its parts, in the order in which they are started and, backwards, ended.
type service struct {
	log       hclog.Logger
	drainTime time.Duration
	grace     time.Duration
	killed    <-chan struct{}
	kill      context.CancelCauseFunc // ends the context of all runs, and every grace
	consumer  *consumer
	reporter  *reporter
	link      leaderLink
	closers   []func()
}

// start starts the parts that wait for work; serve starts those that get it.
func (w *Worker) start() (_ *service, err error) {
	s := &service{log: w.log, drainTime: w.cfg.DrainTimeout, grace: w.cfg.KillGrace, killed: w.killed}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	id, err := openIdentity(w.cfg.Data)
	if err != nil {
		return nil, err
	}
	s.onClose(func() { s.complain("unlock data directory", id.close()) })
	if w.ready != nil {
		if err := w.ready(); err != nil {
			return nil, err
		}
	}
	found, err := startDiscovery(w.cfg, id.id, w.log.Named("gossip"))
	if err != nil {
		return nil, err
	}
	s.onClose(func() { s.complain("leave gossip", found.close()) })
	base, kill := context.WithCancelCause(context.Background())
	s.kill = kill
	s.onClose(func() { kill(nil) })
	x, err := w.startExecutor(s, base, strconv.FormatUint(id.process, 16), found.addresses)
	if err != nil {
		return nil, err
	}
	s.consumer = newConsumer(base, w.cfg.Slots, w.cfg.KillGrace, w.log.Named("consumer"))
	var closeLink func()
	s.link, closeLink = w.connect(client.Config{
		Coordinators: w.cfg.Coordinators, Discover: found.coordinators, Cluster: w.cfg.Cluster, Name: w.cfg.Name,
		Log: w.log.Named("rpc"),
	}, w.join(id), newLinkHandler(s.consumer, x.attempts, w.log))
	s.onClose(closeLink)
	s.reporter = newReporter(s.link, w.log.Named("reporter"), s.consumer.answered)
	jobs := &runner{handlers: w.handlers, exec: x, inputs: s.link.Inputs}
	s.consumer.reporter = s.reporter
	s.consumer.work = func(ctx context.Context, r *run) outcome { return jobs.do(ctx, &r.assignment, r) }
	return s, nil
}

// startExecutor starts what processes need.
func (w *Worker) startExecutor(s *service, kill context.Context, mark string, addresses func() string) (*executor, error) {
	x := &executor{log: w.log.Named("exec"), addresses: addresses, mark: mark, killGrace: w.cfg.KillGrace, kill: kill}
	var err error
	if x.attempts, err = openAttempts(w.cfg.Data, w.cfg.LogBytes, x.log); err != nil {
		return nil, fmt.Errorf("open the directory of attempts: %w", err)
	}
	s.onClose(func() { s.complain("close the directory of attempts", x.attempts.close()) })
	if x.null, err = os.Open(os.DevNull); err != nil {
		return nil, err
	}
	s.onClose(func() { _ = x.null.Close() })
	if len(w.guardArgv) > 0 {
		if x.guard, err = startGuard(w.guardArgv, mark, x.log); err != nil {
			return nil, err
		}
		s.onClose(x.guard.close)
	}
	x.spawner = startSpawner()
	s.onClose(x.spawner.close)
	x.poller = startProgressPoller()
	s.onClose(x.poller.close)
	return x, nil
}

func (s *service) onClose(f func()) { s.closers = append(s.closers, f) }

func (s *service) complain(what string, err error) {
	if err != nil {
		s.log.Warn(what, "error", err)
	}
}

func (s *service) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

// serve works until ctx ends, then stops, and closes every part.
func (s *service) serve(ctx context.Context) error {
	defer s.close()
	background, end := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	refused := make(chan error, 1) // one send
	parts.Go(func() { s.reporter.run(background) })
	parts.Go(func() { refused <- s.link.Run(background) })
	var err error
	select {
	case <-ctx.Done():
		s.log.Info("stopping: taking no further jobs")
		s.drain(background)
	case <-s.killed:
		s.drain(background)
	case err = <-refused:
		if err == nil {
			err = errors.New("the link to the leader ended")
		}
		err = fmt.Errorf("the cluster does not take this worker: %w", err)
		s.consumer.close()
		s.end()
	}
	end()
	parts.Wait()
	if abandoned := s.settle(); abandoned > 0 {
		return errors.Join(err, fmt.Errorf("%w: %d still run", ErrAbandoned, abandoned))
	}
	return err
}

// drain stops in good order: hand back what is not begun, let the rest end or make it, report it, take leave.
func (s *service) drain(ctx context.Context) {
	s.consumer.close()
	var announce sync.WaitGroup
	announceCtx, announced := context.WithCancel(ctx)
	announce.Go(func() {
		if err := s.link.Pick(announceCtx); err != nil && announceCtx.Err() == nil {
			s.log.Warn("the leader does not know that this worker stops", "error", err)
		}
	})
	patience := time.NewTimer(s.drainTime)
	defer patience.Stop()
	s.await(patience.C, s.killed, func(_, held int) bool { return held == 0 })
	s.end()
	announced()
	announce.Wait()
	farewell, done := context.WithTimeout(ctx, s.farewellTime())
	defer done()
	s.await(nil, farewell.Done(), func(_, held int) bool { return held == 0 })
	if err := s.link.Leave(farewell); err != nil {
		s.log.Warn("no good-bye: the coordinators will find out that this worker is gone", "error", err)
	}
}

func (s *service) farewellTime() time.Duration {
	select {
	case <-s.killed:
		return killPatience
	default:
		return farewellTimeout
	}
}

// end makes the runs end: in good order within the grace, or at once if the worker is killed.
func (s *service) end() {
	s.consumer.interruptAll(ErrDraining, s.grace)
	over := func(active, _ int) bool { return active == 0 }
	if s.await(nil, s.killed, over) {
		return
	}
	s.kill(ErrDraining)
	s.consumer.interruptAll(ErrDraining, killPatience)
	s.await(nil, nil, over)
}

// await waits until done says so of what is active and held, or one of the others happens. It says whether it is done.
func (s *service) await(timeout <-chan time.Time, cut <-chan struct{}, done func(active, held int) bool) bool {
	for {
		if active, held, _ := s.consumer.load(); done(active, held) {
			return true
		}
		select {
		case <-s.consumer.changed:
		case <-timeout:
			return false
		case <-cut:
			return false
		}
	}
}

// settle waits for the goroutines of runs, but for those of abandoned handlers, and returns the number of these.
func (s *service) settle() int {
	_, _, abandoned := s.consumer.load()
	if abandoned == 0 {
		s.consumer.runs.Wait()
	}
	return abandoned
}
