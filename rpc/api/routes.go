package api

import (
	"net/http"
	"slices"

	"github.com/musterhq/muster/rpc/rest"
)

// route is one row of the table that registers, forwards and documents.
type route struct {
	method, path string // path as in net/http: /v1/jobs/{id}
	id           string // operationId
	summary      string
	handler      func(w http.ResponseWriter, r *http.Request) error
	params       []string // of the query
	in           any      // body as a value of its type, or a media type as a string; nil: none
	out          any      // answer as a value of its type, or a media type as a string
	created      bool     // may also answer 201
	local        bool     // never forwarded
	stream       bool     // answers for as long as it likes
}

func (rt route) has(param string) bool { return slices.Contains(rt.params, param) }

func (rt route) pattern() string { return rt.method + " " + rt.path }

// Media types of answers that are not JSON documents of rpc/rest.
const (
	mediaSSE    = "text/event-stream"
	mediaText   = "text/plain; charset=utf-8"
	mediaHTML   = "text/html; charset=utf-8"
	mediaJSON   = "application/json"
	mediaBinary = "application/octet-stream"
)

// page are the parameters of a list.
func page(more ...string) []string {
	return append([]string{paramLimit, paramAfter, paramConsistency}, more...)
}

var one = []string{paramConsistency} // of a read of one thing

func (s *Server) routes() []route {
	return slices.Concat(s.statusRoutes(), s.requestRoutes(), s.jobRoutes(), s.workerRoutes(), s.operatorRoutes())
}

func (s *Server) statusRoutes() []route {
	return []route{
		{method: "GET", path: "/v1/status", id: "status", summary: "The cluster, as this coordinator and its leader see it.",
			handler: s.getStatus, params: one, out: rest.Status{}, local: true},
		{method: "GET", path: "/v1/health", id: "health", summary: "200 when a leader is known and this coordinator is caught up, else 503.",
			handler: s.getHealth, out: rest.Health{}, local: true},
		{method: "GET", path: "/v1/events", id: "events", summary: "Server-Sent Events; each id is a log index, resumable with Last-Event-ID or from.",
			handler: s.getEvents, params: []string{paramRequest, paramSession, paramFrom}, out: mediaSSE, local: true, stream: true},
		{method: "GET", path: "/v1/openapi.json", id: "openapi", summary: "This document.",
			handler: s.getOpenAPI, out: mediaJSON, local: true},
		{method: "GET", path: "/metrics", id: "metrics", summary: "Prometheus metrics of this coordinator.",
			handler: s.getMetrics, out: mediaText, local: true},
		{method: "GET", path: "/{$}", id: "index", summary: "The dashboard, for people.",
			handler: s.getIndex, out: mediaHTML, local: true},
	}
}

func (s *Server) requestRoutes() []route {
	return []route{
		{method: "POST", path: "/v1/sessions", id: "openSession", summary: "Open a session, or get the open one of that name.",
			handler: s.openSession, in: rest.SessionOpen{}, out: rest.Session{}, created: true},
		{method: "GET", path: "/v1/sessions", id: "listSessions", summary: "Sessions, oldest first.",
			handler: s.listSessions, params: page(), out: rest.Sessions{}},
		{method: "GET", path: "/v1/sessions/{id}", id: "getSession", summary: "One session, by id or name.",
			handler: s.getSession, params: one, out: rest.Session{}},
		{method: "POST", path: "/v1/sessions/{id}/close", id: "closeSession", summary: "Refuse further requests to a session; what runs goes on.",
			handler: s.closeSession, out: rest.Session{}},
		{method: "POST", path: "/v1/requests", id: "submitRequest", summary: "Submit a request, as JSON or YAML. Repeated with the same Idempotency-Key it answers 200 and the first answer.",
			handler: s.submitRequest, in: rest.RequestSpec{}, out: rest.Submitted{}, created: true},
		{method: "GET", path: "/v1/requests", id: "listRequests", summary: "Requests, newest first.",
			handler: s.listRequests, params: page(paramSession, paramState), out: rest.Requests{}},
		{method: "GET", path: "/v1/requests/{id}", id: "getRequest", summary: "One request.",
			handler: s.getRequest, params: one, out: rest.Request{}},
		{method: "GET", path: "/v1/requests/{id}/jobs", id: "listRequestJobs", summary: "The jobs of a request in their order.",
			handler: s.listRequestJobs, params: page(paramState), out: rest.Jobs{}},
		{method: "GET", path: "/v1/requests/{id}/graph", id: "getGraph", summary: "The DAG of a request.",
			handler: s.getGraph, params: page(), out: rest.Graph{}},
		{method: "POST", path: "/v1/requests/{id}/cancel", id: "cancelRequest", summary: "Cancel every job that has not ended.",
			handler: s.cancelRequest, out: rest.Request{}},
		{method: "POST", path: "/v1/requests/{id}/pause", id: "pauseRequest", summary: "Keep the jobs of a request from workers; what runs goes on.",
			handler: s.pauseRequest, out: rest.Request{}},
		{method: "POST", path: "/v1/requests/{id}/resume", id: "resumeRequest", summary: "End a pause, or the hold on which a request was submitted.",
			handler: s.resumeRequest, out: rest.Request{}},
		{method: "POST", path: "/v1/requests/{id}/retry", id: "retryRequest", summary: "Put failed jobs, and what was cancelled with them, to work again.",
			handler: s.retryRequest, out: rest.Retried{}},
	}
}

func (s *Server) jobRoutes() []route {
	return []route{
		{method: "GET", path: "/v1/jobs", id: "listJobs", summary: "Jobs of all requests, those of the newest request first, or of one request.",
			handler: s.listJobs, params: page(paramRequest, paramState), out: rest.Jobs{}},
		{method: "GET", path: "/v1/jobs/{id}", id: "getJob", summary: "One job.",
			handler: s.getJob, params: one, out: rest.Job{}},
		{method: "GET", path: "/v1/jobs/{id}/history", id: "getHistory", summary: "What happened to a job, each step with its log index.",
			handler: s.getHistory, params: one, out: rest.History{}},
		{method: "GET", path: "/v1/jobs/{id}/why", id: "why", summary: "What a job waits for, or why it ended as it did.",
			handler: s.getWhy, params: one, out: rest.Why{}},
		{method: "GET", path: "/v1/jobs/{id}/logs", id: "getLogs", summary: "Output of an attempt, from its worker.",
			handler: s.getLogs, params: []string{paramStream, paramAttempt, paramOffset, paramFollow}, out: mediaText, stream: true},
		{method: "POST", path: "/v1/jobs/{id}/state", id: "reportState", summary: "A worker's word on an attempt; 409 when it is no longer the worker's.",
			handler: s.reportState, in: rest.Report{}, out: rest.Reported{}},
	}
}

func (s *Server) workerRoutes() []route {
	return []route{
		{method: "GET", path: "/v1/workers", id: "listWorkers", summary: "Workers, in the order in which they joined.",
			handler: s.listWorkers, params: page(), out: rest.Workers{}},
		{method: "POST", path: "/v1/workers", id: "joinWorker", summary: "Register a worker in any language.",
			handler: s.joinWorker, in: rest.WorkerJoin{}, out: rest.WorkerJoined{}, created: true},
		{method: "POST", path: "/v1/workers/{id}/drain", id: "drainWorker", summary: "No further jobs for a worker; what it runs goes on.",
			handler: s.drainWorker, out: rest.Worker{}},
		{method: "POST", path: "/v1/workers/{id}/undrain", id: "undrainWorker", summary: "Jobs for a worker again.",
			handler: s.undrainWorker, out: rest.Worker{}},
		{method: "POST", path: "/v1/board/pick", id: "pick", summary: "Jobs for a worker; waits for the first of them.",
			handler: s.pick, in: rest.Pick{}, out: rest.Picked{}, stream: true},
		{method: "POST", path: "/v1/board/alive", id: "alive", summary: "A worker's beat.",
			handler: s.alive, in: rest.Alive{}, out: rest.AliveAnswer{}},
	}
}

func (s *Server) operatorRoutes() []route {
	return []route{
		{method: "GET", path: "/v1/operator/raft", id: "listRaft", summary: "The Raft configuration.",
			handler: s.listRaft, out: rest.RaftServers{}},
		{method: "POST", path: "/v1/operator/raft/transfer", id: "transferLeadership", summary: "Hand the leadership over.",
			handler: s.transferLeadership, in: rest.Transfer{}, out: rest.RaftServers{}},
		{method: "DELETE", path: "/v1/operator/raft/{id}", id: "removeServer", summary: "Take a coordinator out of the Raft configuration.",
			handler: s.removeServer, out: rest.RaftServers{}},
		{method: "GET", path: "/v1/operator/snapshot", id: "saveSnapshot", summary: "The whole state as a file, with a checksum at its end.",
			handler: s.getSnapshot, out: mediaBinary, stream: true},
		{method: "PUT", path: "/v1/operator/snapshot", id: "restoreSnapshot", summary: "Put the state of such a file in place of the cluster's; 409 when it is of another cluster.",
			handler: s.putSnapshot, params: []string{paramForce}, in: mediaBinary, out: rest.SnapshotRestored{}, stream: true},
	}
}
