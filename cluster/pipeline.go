package cluster

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// sureTransport gives Raft pipelines and hand-overs that end. Raft stops reading a pipeline's answers at the first that is no success, and
// may send once more: that send waits for room that only reading makes, for ever. Its follower then gets heartbeats but no
// entries until the leader changes (hashicorp/raft#612).
type sureTransport struct {
	Transport
	handOver time.Duration // for how long Raft waits for a hand-over
}

// AppendEntriesPipeline opens a pipeline that ends itself at the first answer that is no success.
func (t sureTransport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.Transport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	p := &surePipeline{AppendPipeline: inner, answers: make(chan raft.AppendFuture), ended: make(chan struct{})}
	go p.pass()
	return p, nil
}

// TimeoutNow tells a node to stand for election. It waits no longer than Raft does with the hand-over that this is part of:
// until it returns, Raft refuses every proposal.
func (t sureTransport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	var own raft.TimeoutNowResponse // the answer may come when nobody waits any more
	done := make(chan error, 1)
	go func() { done <- t.Transport.TimeoutNow(id, target, args, &own) }() // ends by the transport's own time-out
	limit := time.NewTimer(t.handOver)
	defer limit.Stop()
	select {
	case err := <-done:
		*resp = own
		return err
	case <-limit.C:
		return fmt.Errorf("no answer within %s", t.handOver)
	}
}

// surePipeline owns the goroutine that passes answers on; Close ends it.
type surePipeline struct {
	raft.AppendPipeline
	answers chan raft.AppendFuture
	once    sync.Once
	ended   chan struct{}
}

// Consumer is where the answers come out.
func (p *surePipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close ends the pipeline, and every send that waits for room in it.
func (p *surePipeline) Close() (err error) {
	p.once.Do(func() {
		close(p.ended)
		err = p.AppendPipeline.Close()
	})
	return err
}

func (p *surePipeline) pass() {
	for {
		select {
		case f := <-p.AppendPipeline.Consumer():
			failed := f.Error() != nil
			if !failed { // Raft takes an answer that never came for a sign of life of the follower
				select {
				case p.answers <- f:
				case <-p.ended:
					return
				}
			}
			if failed || !f.Response().Success {
				_ = p.Close()
				return
			}
		case <-p.ended:
			return
		}
	}
}
