package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

// Between two tries. The first come quickly: an election takes well under a second.
const (
	pauseFirst = 10 * time.Millisecond
	pauseMax   = 500 * time.Millisecond
)

// pause is a growing, jittered delay.
type pause struct{ b *backoff.ExponentialBackOff }

func newPause() pause {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.Multiplier, b.MaxInterval = pauseFirst, 2, pauseMax
	return pause{b}
}

func (p pause) next() time.Duration { return p.b.NextBackOff() }
func (p pause) reset()              { p.b.Reset() }

// wait pauses before the next try, at least as long as the refusal asks for. It returns ctx's cause when that ends.
func (p pause) wait(ctx context.Context, reason error) error {
	d := p.next()
	var refusal *wire.Error
	if errors.As(reason, &refusal) {
		d = max(d, refusal.RetryAfter)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// again says whether a call that failed on p may be made again, and draws the conclusions about p.
func (c *Client) again(method wire.Method, p *peer, err error) bool {
	var refusal *wire.Error
	switch {
	case errors.Is(err, duplex.ErrClosed): // before errors.As: its cause may be a refusal of another call
		return true
	case errors.Is(err, duplex.ErrBroken):
		return idempotent(method)
	case !errors.As(err, &refusal):
		return false // the context ended, or the answer was unreadable
	}
	switch refusal.Code {
	case wire.CodeNotLeader, wire.CodeNoLeader:
		c.book.hint(refusal.Leader)
		p.retire(err)
		return true
	case wire.CodeOverloaded:
		return true
	case wire.CodeUnknownOutcome:
		return idempotent(method)
	}
	return false
}

// idempotent says whether carrying the call out twice is the same as once. Submit always has a key.
func idempotent(m wire.Method) bool { return m != wire.MethodRetry }

// settle makes the final error of a call.
func settle(ctx context.Context, method wire.Method, err error) error {
	if err == nil {
		return nil
	}
	var refusal *wire.Error
	if errors.Is(err, duplex.ErrBroken) && ctx.Err() == nil {
		return &wire.Error{Code: wire.CodeUnknownOutcome, Detail: fmt.Sprintf("%s: %v", method, err)}
	}
	if errors.Is(err, wire.ErrDeadline) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err) // the peer's clock was the faster one
	}
	if errors.As(err, &refusal) && ctx.Err() == nil {
		return err // it says all there is to say
	}
	return fmt.Errorf("%s: %w", method, err)
}

// fatal says whether asking a coordinator again is in vain: it will never take this client.
func fatal(err error) bool {
	return errors.Is(err, wire.ErrCluster) || errors.Is(err, wire.ErrVersion) || errors.Is(err, wire.ErrDenied)
}
