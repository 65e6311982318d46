package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/fsm"
)

const (
	// partJobsMax and partBytesMax bound a part of a large request: a request that is larger than one comes in parts, so
	// that no log entry is large and none takes long to apply. Other commands get their turn between two parts.
	partJobsMax  = 4096
	partBytesMax = 128 << 10
	// uploadsMax is how many large requests are taken in at a time; more are refused as overloaded.
	uploadsMax = 8
	// partRetry is the pause before a part is proposed again that found the queue full.
	partRetry = 100 * time.Millisecond
)

// partSize bounds a part of a large request, and what is not large.
type partSize struct{ jobs, bytes int }

// errUploads is returned when too many large requests come at the same time. It is an ErrOverloaded.
var errUploads = fmt.Errorf("%w: %d large requests are being taken in already", ErrOverloaded, uploadsMax)

// largeRequest is the request that a command submits, if it is too large for one entry.
func (p partSize) largeRequest(cmd fsm.Command) *fsm.SubmitRequest {
	var c *fsm.SubmitRequest
	switch s := cmd.(type) {
	case fsm.SubmitRequest:
		c = &s
	case *fsm.SubmitRequest:
		c = s
	default:
		return nil
	}
	if len(c.Jobs) <= p.jobs && len(c.Specs) <= p.jobs && c.WireBytes() <= p.bytes {
		return nil
	}
	return c
}

// submitInParts submits a large request, one part after the other. It becomes a request with the last, or not at all: what
// is not whole when this leadership ends, or stays without a next part, is forgotten. So only the last part's outcome may
// be unknown.
func (t *Tasker) submitInParts(ctx context.Context, l *leadership, c *fsm.SubmitRequest) (any, error) {
	select {
	case l.uploads <- struct{}{}:
		defer func() { <-l.uploads }()
	default:
		return nil, errUploads
	}
	ordered, refusal := c.Ordered()
	if refusal != nil {
		return nil, refusal
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	upload := binary.BigEndian.Uint64(random[:])
	for cmd := range ordered.InParts(upload, t.c.parts.jobs, t.c.parts.bytes) {
		value, err := t.proposePart(ctx, l, cmd)
		_, last := cmd.(*fsm.CommitSubmit)
		if err == nil && value == nil && !last {
			continue
		}
		if err != nil {
			l.committer.drop(fsm.DropSubmit{Upload: upload})
		}
		if !last && errors.Is(err, ErrUnknownOutcome) {
			err = t.notLeader()
		}
		return value, err
	}
	return nil, ErrUnknownOutcome // cannot be: the last part returns
}

// proposePart proposes a part, and waits while the queue is full.
func (t *Tasker) proposePart(ctx context.Context, l *leadership, cmd fsm.Command) (any, error) {
	for {
		value, err := t.propose(ctx, l, cmd, true)
		if !errors.Is(err, errQueueFull) {
			return value, err
		}
		select {
		case <-time.After(partRetry):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
