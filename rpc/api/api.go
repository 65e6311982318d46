package api

import (
	"context"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/musterhq/muster/cluster"
)

const (
	// readTimeout is how long a read may wait for a majority.
	readTimeout = 10 * time.Second
	// proposeTimeout is how long a change may wait for a majority; after it its outcome is unknown.
	proposeTimeout = 30 * time.Second
	// submitsBytesFactor × MaxBody is how much of submitted bodies is held at one time; beyond it they are refused as
	// overloaded.
	submitsBytesFactor = 2
	maxBodyDefault     = 256 << 20
)

// Config is how a [Server] serves. Its zero value is usable.
type Config struct {
	MaxBody  int                  // bytes of a submitted spec; 0: 256 MiB
	Registry *prometheus.Registry // gets the HTTP series and is shown at /metrics; nil: a new one
	Log      hclog.Logger         // nil: none
}

// Server answers HTTP for one coordinator.
type Server struct {
	tasker  Tasker
	maxBody int64
	log     hclog.Logger
	handler http.Handler
	proxy   *httputil.ReverseProxy
	peers   *http.Client // asks the leader on a follower's behalf
	metrics *metrics
	submits *semaphore.Weighted // bytes of bodies
	assets  map[string]asset    // of the dashboard, by path
	openAPI func() ([]byte, error)
	self    func() cluster.Peer // this node; asked for once, when the first call has come

	statusWait time.Duration // statusTimeout, but in tests

	watchers  atomic.Int32
	snapshots atomic.Int32 // readers of them
	picks     picks

	closing   context.Context // done when streams and long polls must end
	endStream context.CancelFunc
}

// New makes a Server. It starts nothing.
func New(t Tasker, cfg Config) *Server {
	s := &Server{tasker: t, maxBody: int64(cfg.MaxBody), log: cfg.Log, statusWait: statusTimeout}
	if s.maxBody <= 0 {
		s.maxBody = maxBodyDefault
	}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	registry := cfg.Registry
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	s.submits = semaphore.NewWeighted(submitsBytesFactor * s.maxBody)
	s.metrics = newMetrics(registry, func() float64 { return float64(s.watchers.Load()) })
	s.proxy, s.peers = s.newProxy()
	s.assets = dashboardAssets()
	s.closing, s.endStream = context.WithCancel(context.Background())
	routes := s.routes()
	s.openAPI = sync.OnceValues(func() ([]byte, error) { return openAPIDocument(routes) })
	s.self = sync.OnceValue(func() cluster.Peer { return t.Status().Node })
	s.handler = s.mount(routes)
	return s
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// streaming gives a context that also ends when the server does.
func (s *Server) streaming(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(s.closing, cancel)
	return ctx, func() { stop(); cancel() }
}
