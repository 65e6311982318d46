package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the series of the HTTP side.
type metrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	handler  http.Handler
}

func newMetrics(r *prometheus.Registry, watchers func() float64) *metrics {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "muster", Subsystem: "http", Name: "requests_total", Help: "HTTP calls answered.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "muster", Subsystem: "http", Name: "request_seconds", Help: "Time to answer HTTP calls; streams and long polls left out.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
		}, []string{"route"}),
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "muster", Subsystem: "http", Name: "watchers", Help: "Event streams open.",
	}, watchers)
	r.MustRegister(m.calls, m.duration, open)
	m.handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesMax, Timeout: readTimeout})
	return m
}

// scrapesMax is how many scrapes are served at one time.
const scrapesMax = 4

// knownMethods keeps a stranger from making up series.
var knownMethods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "DELETE": true, "PATCH": true, "OPTIONS": true}

func (m *metrics) observe(rt route, method string, status int, took time.Duration) {
	if !knownMethods[method] {
		method = "other"
	}
	m.calls.WithLabelValues(rt.path, method, strconv.Itoa(status)).Inc()
	if !rt.stream {
		m.duration.WithLabelValues(rt.path).Observe(took.Seconds())
	}
}

func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metrics.handler.ServeHTTP(w, r)
	return nil
}
