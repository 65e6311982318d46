package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/config"
	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

// slotsMax is the most slots that a worker may have.
const slotsMax = 1 << 16

// Worker runs jobs. Make one with New, give it handlers with Handle, and Run it once.
type Worker struct {
	cfg       config.Worker
	log       hclog.Logger
	guardArgv []string
	ready     func() error // see WithReady
	connect   connector
	handlers  map[string]HandlerFunc
	misuse    error // of Handle; Run returns it
	ran       atomic.Bool
	killed    chan struct{} // closed by Kill
	killOnce  sync.Once
}

// connector makes the link of a worker; the returned function closes what lies beneath it.
type connector func(cfg client.Config, join wire.Join, h client.WorkerHandler) (leaderLink, func())

func connectClient(cfg client.Config, join wire.Join, h client.WorkerHandler) (leaderLink, func()) {
	c := client.New(cfg)
	return c.WorkerLink(join, h), c.Close
}

// Option changes how a Worker is made.
type Option func(*Worker)

// WithLogger has the worker log to log. Without it, it is silent.
func WithLogger(log hclog.Logger) Option { return func(w *Worker) { w.log = log } }

// WithGuard has the worker start the guard process argv, whose main must call Guard(os.Stdin). argv[0] is a path. It
// sees to it that nothing that the worker's jobs started outlives a worker that is killed.
//
// `muster worker` guards itself by `muster worker-guard`. A program of your own does it like this, before all else:
//
//	if len(os.Args) == 2 && os.Args[1] == "worker-guard" {
//		if err := worker.Guard(os.Stdin); err != nil { … }
//		return
//	}
//	self, err := os.Executable()
//	…
//	w, err := worker.New(cfg, worker.WithGuard(self, "worker-guard"))
//
// Workers that only have Go handlers need none.
func WithGuard(argv ...string) Option { return func(w *Worker) { w.guardArgv = argv } }

// WithReady has Run call ready once the data directory is this worker's own, before it joins. Its error ends Run.
func WithReady(ready func() error) Option { return func(w *Worker) { w.ready = ready } }

// New makes a worker and starts nothing. It fails if cfg lacks something, and names what.
//
// cfg.Name is the host's name if empty; cfg.Slots is the number of processors if 0.
func New(cfg config.Worker, opts ...Option) (*Worker, error) {
	w := &Worker{cfg: cfg, log: hclog.NewNullLogger(), connect: connectClient, handlers: make(map[string]HandlerFunc),
		killed: make(chan struct{})}
	for _, o := range opts {
		o(w)
	}
	w.cfg.Slots = cmp.Or(cfg.Slots, runtime.GOMAXPROCS(0))
	if w.cfg.Name == "" {
		w.cfg.Name, _ = os.Hostname() // a name is for people
	}
	if err := checkConfig(w.cfg); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return w, nil
}

func checkConfig(cfg config.Worker) error {
	switch {
	case cfg.Data == "":
		return errors.New("data: choose a directory for the worker's identity and the output of its jobs")
	case len(cfg.Join) == 0 && len(cfg.Coordinators) == 0:
		return errors.New("join: name a gossip address of the cluster, or list rpc addresses in coordinators")
	case cfg.Slots < 0 || cfg.Slots > slotsMax:
		return fmt.Errorf("slots: %d is not within 1 and %d", cfg.Slots, slotsMax)
	case len(cfg.Queues) == 0:
		return errors.New("queues: name at least one, such as \"default\"")
	case cfg.DrainTimeout < 0:
		return fmt.Errorf("drain_timeout: %v is negative", cfg.DrainTimeout)
	case cfg.KillGrace < 0:
		return fmt.Errorf("kill_grace: %v is negative", cfg.KillGrace)
	case cfg.LogBytes < 0:
		return fmt.Errorf("log_bytes: %d is negative", cfg.LogBytes)
	}
	return nil
}

// Handle has jobs whose spec says `handler: name` done by h. It is to be called before Run, which returns an error
// if a name is empty or has two handlers.
func (w *Worker) Handle(name string, h HandlerFunc) {
	switch {
	case name == "" || h == nil:
		w.misuse = errors.Join(w.misuse, fmt.Errorf("handler %q: a name and a function are needed", name))
	case w.handlers[name] != nil:
		w.misuse = errors.Join(w.misuse, fmt.Errorf("handler %q is registered twice", name))
	case w.ran.Load():
		w.misuse = errors.Join(w.misuse, fmt.Errorf("handler %q is registered after Run", name))
	default:
		w.handlers[name] = h
	}
}

// Kill ends a Run at once instead of after its drain: processes get SIGKILL, the contexts of handlers end. It may be
// called from any goroutine, and does not wait.
func (w *Worker) Kill() { w.killOnce.Do(func() { close(w.killed) }) }

// Run works until ctx ends, then drains: it takes no further jobs, waits up to DrainTimeout for those it has, ends
// the others and hands them back without costing them an attempt of their budget, and takes its leave. It returns
// nil after that.
//
// It returns an error if it cannot start (ErrDataInUse among others), if the cluster will not have it, or if handlers
// are left running that ignore the end of their context (ErrAbandoned).
func (w *Worker) Run(ctx context.Context) error {
	if !w.ran.CompareAndSwap(false, true) {
		return errors.New("worker: Run can be called once")
	}
	if w.misuse != nil {
		return fmt.Errorf("worker: %w", w.misuse)
	}
	s, err := w.start()
	if err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	return s.serve(ctx)
}

func (w *Worker) join(id *identity) wire.Join {
	j := wire.Join{Name: w.cfg.Name, Identity: id.id, Process: id.process, Queues: w.cfg.Queues,
		Slots: uint32(w.cfg.Slots)}
	for k, v := range w.cfg.Labels {
		j.Labels = append(j.Labels, wire.Pair{Key: k, Value: v})
	}
	slices.SortFunc(j.Labels, func(a, b wire.Pair) int { return cmp.Compare(a.Key, b.Key) })
	return j
}
