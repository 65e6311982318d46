package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/rpc/rest"
)

// mount makes the handler of all routes.
func (s *Server) mount(routes []route) http.Handler {
	mux := http.NewServeMux()
	for _, rt := range routes {
		mux.Handle(rt.pattern(), s.serve(rt))
	}
	mux.Handle("GET "+dashboardPath, s.measured(route{path: dashboardPath, handler: s.getAsset}))
	mux.Handle("/", s.measured(route{path: "other", handler: func(w http.ResponseWriter, r *http.Request) error {
		return refuse(w, r, allowed(mux, r))
	}}))
	return s.guardPages(mux)
}

// allowed are the methods for which there is something at the call's path.
func allowed(mux *http.ServeMux, r *http.Request) (methods []string) {
	for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodPost, http.MethodPut} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := mux.Handler(other); pattern != "/" && pattern != "" {
			methods = append(methods, method)
		}
	}
	return methods
}

// laterPaths are what that DESIGN names and a later version serves.
var laterPaths = []string{"/debug/pprof/"}

// refuse says why there is no answer.
func refuse(w http.ResponseWriter, r *http.Request, allowed []string) error {
	if len(allowed) > 0 {
		list := strings.Join(allowed, ", ")
		w.Header().Set("Allow", list)
		return problem(rest.CodeMethod, "%s is not for %.80q: use %s", r.Method, r.URL.Path, list)
	}
	for _, p := range laterPaths {
		if strings.HasSuffix(r.URL.Path, p) || strings.HasPrefix(r.URL.Path, p) {
			return problem(rest.CodeNotImplemented, "%.80q is not in this version yet", r.URL.Path)
		}
	}
	return problem(rest.CodeNotFound, "nothing is at %.80q; /v1/openapi.json lists what there is", r.URL.Path)
}

// serve adds to a route what every one of the table has: its parameters checked, and forwarding.
func (s *Server) serve(rt route) http.Handler {
	handler := rt.handler
	rt.handler = func(w http.ResponseWriter, r *http.Request) error {
		if err := checkParams(r.URL.Query(), rt); err != nil {
			return err
		}
		here, err := s.answersHere(rt, r)
		switch {
		case err != nil:
			return err
		case here:
			return handler(w, r)
		}
		return s.forward(w, r)
	}
	return s.measured(rt)
}

// answersHere says whether the call is for this node rather than for the leader.
func (s *Server) answersHere(rt route, r *http.Request) (bool, error) {
	if rt.local || s.tasker.IsLeader() {
		return true, nil
	}
	if !rt.has(paramConsistency) {
		return false, nil
	}
	c, err := consistencyOf(r)
	return c == cluster.Stale, err
}

// measured counts, times and bounds a route's calls, and turns errors into answers.
func (s *Server) measured(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w, rc: http.NewResponseController(w), status: http.StatusOK, stream: rt.stream}
		defer func() { s.metrics.observe(rt, r.Method, rec.status, time.Since(began)) }()
		rec.rc.SetWriteDeadline(began.Add(answerTimeout))
		if err := rt.handler(rec, r); err != nil && !rec.wrote {
			s.fail(rec, r, err)
		}
	})
}

// recorder notes the status of an answer, and gives a stream's reader some time for each write.
type recorder struct {
	http.ResponseWriter
	rc     *http.ResponseController
	status int
	wrote  bool
	stream bool
}

func (w *recorder) WriteHeader(status int) {
	if !w.wrote && status >= 200 {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	w.wrote = true
	if w.stream {
		w.rc.SetWriteDeadline(time.Now().Add(streamWriteLimit))
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
