package client

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/musterhq/muster/rpc/wire"
)

// waitSlice is how long one Wait call is left standing; the next begins where it ended.
const waitSlice = 30 * time.Second

// OpenSession opens a session, or finds the open one of that name.
func (c *Client) OpenSession(ctx context.Context, name string) (wire.SessionOpened, error) {
	var answer wire.SessionOpened
	err := c.do(ctx, wire.MethodOpenSession, &wire.OpenSession{Name: name}, &answer)
	return answer, err
}

// CloseSession refuses further requests to a session; what runs goes on.
func (c *Client) CloseSession(ctx context.Context, id wire.SessionID) error {
	return c.do(ctx, wire.MethodCloseSession, &wire.CloseSession{ID: id}, &wire.Empty{})
}

// Submit hands in a request. It is idempotent by r.IdempotencyKey. It returns a *wire.SpecError when the request is
// not well formed: a cycle, an unknown need, a duplicate name.
func (c *Client) Submit(ctx context.Context, r Request) (wire.Submitted, error) {
	spec, err := r.spec()
	if err != nil {
		return wire.Submitted{}, err
	}
	s, err := wire.Canonical(spec)
	if err != nil {
		return wire.Submitted{}, err
	}
	s.Key = r.IdempotencyKey
	return c.SubmitCanonical(ctx, s)
}

// SubmitCanonical hands in a request that wire.Canonical has made; it sets a random Key if there is none.
func (c *Client) SubmitCanonical(ctx context.Context, s *wire.Submit) (wire.Submitted, error) {
	if s.Key == "" {
		s.Key = rand.Text()
	}
	var answer wire.Submitted
	err := c.do(ctx, wire.MethodSubmit, s, &answer)
	return answer, err
}

// Cancel cancels every job of a request that has not ended.
func (c *Client) Cancel(ctx context.Context, id wire.RequestID) error {
	return c.do(ctx, wire.MethodCancel, &wire.Cancel{ID: id}, &wire.Empty{})
}

// Pause keeps the jobs of a request from workers; those that they hold go on.
func (c *Client) Pause(ctx context.Context, id wire.RequestID) error {
	return c.do(ctx, wire.MethodPause, &wire.Pause{ID: id}, &wire.Empty{})
}

// Resume ends a pause, or the hold on which a request was submitted.
func (c *Client) Resume(ctx context.Context, id wire.RequestID) error {
	return c.do(ctx, wire.MethodPause, &wire.Pause{ID: id, Undo: true}, &wire.Empty{})
}

// Retry puts the failed jobs of an ended request, and what was cancelled with them, to work again. It returns their
// number. It is the one call whose outcome may stay unknown (wire.ErrUnknownOutcome): look at the request, then decide.
func (c *Client) Retry(ctx context.Context, id wire.RequestID) (uint32, error) {
	var answer wire.Retried
	err := c.do(ctx, wire.MethodRetry, &wire.RetryRequest{ID: id}, &answer)
	return answer.Jobs, err
}

// Request describes a request.
func (c *Client) Request(ctx context.Context, id wire.RequestID) (wire.RequestInfo, error) {
	var answer wire.RequestInfo
	err := c.do(ctx, wire.MethodRequest, &wire.GetRequest{ID: id}, &answer)
	return answer, err
}

// Wait blocks until a request has ended, over leader changes, or until ctx ends.
func (c *Client) Wait(ctx context.Context, id wire.RequestID) (wire.RequestInfo, error) {
	for {
		var answer wire.RequestInfo
		err := c.do(ctx, wire.MethodWait, &wire.Wait{ID: id, Max: waitSlice}, &answer)
		if err != nil || answer.State.Terminal() {
			return answer, err
		}
	}
}

// Jobs lists a page of a request's jobs.
func (c *Client) Jobs(ctx context.Context, q wire.ListJobs) (wire.JobsPage, error) {
	var answer wire.JobsPage
	err := c.do(ctx, wire.MethodJobs, &q, &answer)
	return answer, err
}

// Job describes a job.
func (c *Client) Job(ctx context.Context, id wire.JobID) (wire.JobInfo, error) {
	var answer wire.JobInfo
	err := c.do(ctx, wire.MethodJob, &wire.GetJob{ID: id}, &answer)
	return answer, err
}

// Drain stops (or, undone, allows again) further grants to a worker.
func (c *Client) Drain(ctx context.Context, id wire.WorkerID, undo bool) error {
	return c.do(ctx, wire.MethodDrain, &wire.Drain{Worker: id, Undo: undo}, &wire.Empty{})
}

// Status tells how the leader and the cluster are.
func (c *Client) Status(ctx context.Context) (wire.Status, error) {
	var answer wire.Status
	err := c.do(ctx, wire.MethodStatus, &wire.GetStatus{}, &answer)
	return answer, err
}
