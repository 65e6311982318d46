package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// sureTransport gives Raft pipelines that end. Raft stops reading a pipeline's answers at the first that is no success, and
// may send once more: that send waits for room that only reading makes, for ever. Its follower then gets heartbeats but no
// entries until the leader changes (hashicorp/raft#612).
type sureTransport struct{ Transport }

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
