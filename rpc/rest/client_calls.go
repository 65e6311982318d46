package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Page selects a part of a list.
type Page struct {
	Limit int    // 0: what the server thinks fit
	After string // Next of the page before; empty: the first page
}

func (p Page) values() url.Values {
	v := url.Values{}
	if p.Limit > 0 {
		v.Set("limit", strconv.Itoa(p.Limit))
	}
	set(v, "after", p.After)
	return v
}

func set(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

// RequestQuery selects requests. Empty fields select all.
type RequestQuery struct {
	Session string // id or name
	State   string
	Page
}

// JobQuery selects jobs. Empty fields select all.
type JobQuery struct {
	Request string // id
	State   string
	Page
}

func (q JobQuery) values() url.Values {
	v := q.Page.values()
	set(v, "state", q.State)
	return v
}

// Status describes the cluster.
func (c *Client) Status(ctx context.Context) (Status, error) {
	s, _, err := get[Status](ctx, c, nil, "status")
	return s, err
}

// StaleStatus asks any coordinator, leader or not, for what it knows by itself.
func (c *Client) StaleStatus(ctx context.Context) (Status, error) {
	s, _, err := get[Status](ctx, c, url.Values{"consistency": {"stale"}}, "status")
	return s, err
}

// OpenSession opens a session, or gives the open one of that name.
func (c *Client) OpenSession(ctx context.Context, name string) (Session, error) {
	return post[Session](ctx, c, SessionOpen{Name: name}, "sessions")
}

// CloseSession refuses further requests to a session; what runs goes on.
func (c *Client) CloseSession(ctx context.Context, id string) (Session, error) {
	return post[Session](ctx, c, nil, "sessions", id, "close")
}

// Session describes one session, by id or name.
func (c *Client) Session(ctx context.Context, id string) (Session, error) {
	s, _, err := get[Session](ctx, c, nil, "sessions", id)
	return s, err
}

// Sessions lists sessions, oldest first.
func (c *Client) Sessions(ctx context.Context, p Page) (Sessions, error) {
	l, _, err := get[Sessions](ctx, c, p.values(), "sessions")
	return l, err
}

// Submit submits a request. The same key answers the same request; with an empty key it makes one of its own, so that
// it may be repeated over leader changes and still submits once.
func (c *Client) Submit(ctx context.Context, spec RequestSpec, key string) (Submitted, error) {
	body, err := json.Marshal(spec)
	if err != nil {
		return Submitted{}, fmt.Errorf("write the request as JSON: %w", err)
	}
	return c.SubmitBody(ctx, body, "application/json", key)
}

// SubmitBody is [Client.Submit] for a spec that is written already, as application/json or application/yaml.
func (c *Client) SubmitBody(ctx context.Context, body []byte, contentType, key string) (Submitted, error) {
	if key == "" {
		key = NewIdempotencyKey()
	}
	var out Submitted
	_, err := c.ask(ctx, call{
		method: http.MethodPost, path: "/v1/requests", body: body, contentType: contentType,
		header: http.Header{HeaderKey: {key}}, repeatable: true,
	}, nil, &out)
	return out, err
}

// Requests lists requests, newest first.
func (c *Client) Requests(ctx context.Context, q RequestQuery) (Requests, error) {
	v := q.Page.values()
	set(v, "session", q.Session)
	set(v, "state", q.State)
	l, _, err := get[Requests](ctx, c, v, "requests")
	return l, err
}

// Request describes one request.
func (c *Client) Request(ctx context.Context, id string) (Request, error) {
	r, _, err := get[Request](ctx, c, nil, "requests", id)
	return r, err
}

// Graph gives the DAG of a request, in pages.
func (c *Client) Graph(ctx context.Context, id string, p Page) (Graph, error) {
	g, _, err := get[Graph](ctx, c, p.values(), "requests", id, "graph")
	return g, err
}

// CancelRequest cancels every job of a request that has not ended.
func (c *Client) CancelRequest(ctx context.Context, id string) (Request, error) {
	return post[Request](ctx, c, nil, "requests", id, "cancel")
}

// PauseRequest keeps the jobs of a request from workers; those that they hold go on.
func (c *Client) PauseRequest(ctx context.Context, id string) (Request, error) {
	return post[Request](ctx, c, nil, "requests", id, "pause")
}

// ResumeRequest ends a pause, or the hold on which a request was submitted.
func (c *Client) ResumeRequest(ctx context.Context, id string) (Request, error) {
	return post[Request](ctx, c, nil, "requests", id, "resume")
}

// RetryRequest puts the failed jobs of an ended request, and what was cancelled with them, to work again.
func (c *Client) RetryRequest(ctx context.Context, id string) (Retried, error) {
	return once[Retried](ctx, c, 0, nil, "requests", id, "retry")
}

// once asks with POST for something that must not be said twice.
func once[T any](ctx context.Context, c *Client, patience time.Duration, in any, segments ...string) (out T, err error) {
	_, err = c.ask(ctx, call{method: http.MethodPost, path: path(segments), patience: patience}, in, &out)
	return out, err
}

// Jobs lists the jobs of the query's request in their order, or, without one, those of all requests, newest first.
func (c *Client) Jobs(ctx context.Context, q JobQuery) (Jobs, error) {
	segments := []string{"jobs"}
	if q.Request != "" {
		segments = []string{"requests", q.Request, "jobs"}
	}
	l, _, err := get[Jobs](ctx, c, q.values(), segments...)
	return l, err
}

// Job describes one job.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	j, _, err := get[Job](ctx, c, nil, "jobs", id)
	return j, err
}

// JobHistory tells what happened to a job.
func (c *Client) JobHistory(ctx context.Context, id string) (History, error) {
	h, _, err := get[History](ctx, c, nil, "jobs", id, "history")
	return h, err
}

// Why tells what a job waits for, or why it ended as it did.
func (c *Client) Why(ctx context.Context, id string) (Why, error) {
	w, _, err := get[Why](ctx, c, nil, "jobs", id, "why")
	return w, err
}

// Workers lists the workers.
func (c *Client) Workers(ctx context.Context, p Page) (Workers, error) {
	l, _, err := get[Workers](ctx, c, p.values(), "workers")
	return l, err
}

// DrainWorker stops further grants to a worker; what it runs goes on.
func (c *Client) DrainWorker(ctx context.Context, id string) (Worker, error) {
	return post[Worker](ctx, c, nil, "workers", id, "drain")
}

// UndrainWorker allows grants to a worker again.
func (c *Client) UndrainWorker(ctx context.Context, id string) (Worker, error) {
	return post[Worker](ctx, c, nil, "workers", id, "undrain")
}

// JoinWorker registers a worker.
func (c *Client) JoinWorker(ctx context.Context, w WorkerJoin) (WorkerJoined, error) {
	return once[WorkerJoined](ctx, c, 0, w, "workers")
}

// Pick asks for jobs and waits for them as the query says.
func (c *Client) Pick(ctx context.Context, p Pick) (Picked, error) {
	return once[Picked](ctx, c, answerTimeoutGet+time.Duration(p.Wait), p, "board", "pick")
}

// Alive is a worker's beat.
func (c *Client) Alive(ctx context.Context, a Alive) (AliveAnswer, error) {
	return post[AliveAnswer](ctx, c, a, "board", "alive")
}

// Report hands in a worker's word on an attempt of the job. A *Problem with CodeStale says that the attempt is no
// longer the worker's; after an unclear outcome the same report may be stale because it was taken already.
func (c *Client) Report(ctx context.Context, job string, r Report) (Reported, error) {
	return post[Reported](ctx, c, r, "jobs", job, "state")
}

// Snapshot reads the whole state as a file. A reader that is cut short gets an error; the file has a checksum besides. The
// caller closes it.
func (c *Client) Snapshot(ctx context.Context) (io.ReadCloser, error) {
	resp, err := c.exchange(ctx, call{method: http.MethodGet, path: "/v1/operator/snapshot", repeatable: true})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// restorePatience is how long a coordinator may take to check, replicate and restore a snapshot after it has come.
const restorePatience = 10 * time.Minute

// RestoreSnapshot puts the state of a snapshot file in place of the cluster's. Unless forced, a *Problem with CodeConflict
// refuses that of another cluster. It is not repeated when its outcome is unclear.
func (c *Client) RestoreSnapshot(ctx context.Context, file *io.SectionReader, force bool) (r SnapshotRestored, err error) {
	k := call{method: http.MethodPut, path: "/v1/operator/snapshot", file: file, contentType: "application/octet-stream", patience: restorePatience}
	if force {
		k.query = url.Values{"force": {"true"}}
	}
	_, err = c.ask(ctx, k, nil, &r)
	return r, err
}

// RaftServers lists the Raft configuration.
func (c *Client) RaftServers(ctx context.Context) (RaftServers, error) {
	l, _, err := get[RaftServers](ctx, c, nil, "operator", "raft")
	return l, err
}

// TransferLeadership hands the leadership to the coordinator of that id or name, or, if it is empty, to any other.
func (c *Client) TransferLeadership(ctx context.Context, to string) error {
	_, err := c.ask(ctx, call{method: http.MethodPost, path: "/v1/operator/raft/transfer"}, Transfer{To: to}, nil)
	return err
}

// RemoveServer takes a coordinator out of the Raft configuration.
func (c *Client) RemoveServer(ctx context.Context, id string) error {
	_, err := c.ask(ctx, call{method: http.MethodDelete, path: path([]string{"operator", "raft", id}), repeatable: true}, nil, nil)
	return err
}
