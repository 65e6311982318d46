package cluster

import (
	"sync"
	"time"

	metrics "github.com/hashicorp/go-metrics/compat"
	metricsprom "github.com/hashicorp/go-metrics/compat/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/musterhq/muster/fsm"
)

// coordinatorMetrics are muster's own series. Raft's and gossip's come through go-metrics into the same registry.
type coordinatorMetrics struct {
	registry *prometheus.Registry
	entries  prometheus.Counter
	apply    prometheus.Histogram
	commands prometheus.Histogram
	bytes    prometheus.Counter
	commit   prometheus.Histogram
}

// raftSink makes go-metrics' global sink once a process: Raft and memberlist know no other way.
var raftSink = sync.OnceValues(func() (*metricsprom.PrometheusSink, error) {
	sink, err := metricsprom.NewPrometheusSinkFrom(metricsprom.PrometheusOpts{Registerer: prometheus.NewRegistry()})
	if err != nil {
		return nil, err
	}
	cfg := metrics.DefaultConfig("")
	cfg.EnableHostname, cfg.EnableRuntimeMetrics = false, false
	_, err = metrics.NewGlobal(cfg, sink)
	return sink, err
})

// seconds from a tenth of a millisecond to some seconds.
var latencyBuckets = prometheus.ExponentialBuckets(0.0001, 2, 16)

func newMetrics() *coordinatorMetrics {
	m := &coordinatorMetrics{
		registry: prometheus.NewRegistry(),
		entries:  prometheus.NewCounter(prometheus.CounterOpts{Name: "muster_applied_entries_total", Help: "Log entries applied to the state."}),
		apply: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "muster_apply_seconds", Help: "Time to apply a batch of log entries.", Buckets: latencyBuckets}),
		commands: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "muster_entry_commands", Help: "Commands that one log entry carries.", Buckets: prometheus.ExponentialBuckets(1, 2, 14)}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "muster_committed_bytes_total", Help: "Bytes of commands committed by this node as leader."}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "muster_commit_seconds", Help: "Time from proposing an entry to its being applied.", Buckets: latencyBuckets}),
	}
	m.registry.MustRegister(m.entries, m.apply, m.commands, m.bytes, m.commit,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *coordinatorMetrics) applied(entries int, took time.Duration) {
	m.entries.Add(float64(entries))
	m.apply.Observe(took.Seconds())
}

func (m *coordinatorMetrics) committed(commands, bytes int, took time.Duration) {
	m.commands.Observe(float64(commands))
	m.bytes.Add(float64(bytes))
	m.commit.Observe(took.Seconds())
}

// watch adds the series that are read off the coordinator when they are asked for.
func (m *coordinatorMetrics) watch(c *Coordinator) error {
	sink, err := raftSink()
	if err != nil {
		return err
	}
	return firstError(m.registry.Register(sink), m.registry.Register(&stateCollector{c: c}))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// stateCollector reads gauges off the state.
type stateCollector struct{ c *Coordinator }

var (
	jobsDesc    = prometheus.NewDesc("muster_jobs", "Jobs kept, by state.", []string{"state"}, nil)
	workersDesc = prometheus.NewDesc("muster_workers", "Registered workers that are not lost.", nil, nil)
	slotsDesc   = prometheus.NewDesc("muster_slots", "Slots of those workers, by use.", []string{"use"}, nil)
	leaderDesc  = prometheus.NewDesc("muster_leader", "1 while this node leads and is ready to serve.", nil, nil)
	appliedDesc = prometheus.NewDesc("muster_applied_index", "Log index up to which the state is applied.", nil, nil)
	queueDesc   = prometheus.NewDesc("muster_queue_bytes", "Bytes of commands that wait to be committed.", nil, nil)
	divergeDesc = prometheus.NewDesc("muster_state_diverged", "1 when another coordinator had another state at the same index.", nil, nil)
	diskDesc    = prometheus.NewDesc("muster_disk_free_bytes", "Free space of the data directory's file system.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{jobsDesc, workersDesc, slotsDesc, leaderDesc, appliedDesc, queueDesc, divergeDesc, diskDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *stateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	v := s.c.applier.now()
	for state, n := range v.Counts() {
		gauge(jobsDesc, float64(n), fsm.State(state).String())
	}
	var alive, slots, used float64
	for _, w := range v.Workers() {
		if !w.Lost {
			alive++
			slots += float64(w.Slots)
			used += float64(w.Used)
		}
	}
	gauge(workersDesc, alive)
	gauge(slotsDesc, used, "used")
	gauge(slotsDesc, slots-used, "free")
	leads, queue := 0.0, 0.0
	if l := s.c.leading.Load(); l != nil {
		leads, queue = 1, float64(l.committer.waiting())
	}
	gauge(leaderDesc, leads)
	gauge(queueDesc, queue)
	gauge(appliedDesc, float64(v.Index()))
	diverged := 0.0
	if s.c.doubt.Load() != nil {
		diverged = 1
	}
	gauge(divergeDesc, diverged)
	gauge(diskDesc, float64(s.c.disk.freeBytes()))
}
