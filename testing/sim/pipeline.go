package sim

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// pipeline sends appends without waiting for the answers, which come back in order. As in Raft's own transport two are
// under way, and a send waits while an answer is not read.
type pipeline struct {
	t      *transport
	to     raft.ServerAddress
	flying chan *appendFuture
	done   chan raft.AppendFuture
	once   sync.Once
	closed chan struct{}
}

type appendFuture struct {
	start time.Time
	args  *raft.AppendEntriesRequest
	resp  *raft.AppendEntriesResponse
	ended chan struct{}
	err   error
}

func (f *appendFuture) Error() error                          { <-f.ended; return f.err }
func (f *appendFuture) Start() time.Time                      { return f.start }
func (f *appendFuture) Request() *raft.AppendEntriesRequest   { return f.args }
func (f *appendFuture) Response() *raft.AppendEntriesResponse { return f.resp }

// AppendEntriesPipeline implements raft.Transport.
func (t *transport) AppendEntriesPipeline(_ raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	if t.find(nameOf(string(to))) == nil {
		return nil, errRefused
	}
	p := &pipeline{t: t, to: to, flying: make(chan *appendFuture), done: make(chan raft.AppendFuture), closed: make(chan struct{})}
	go p.land()
	return p, nil
}

// AppendEntries implements raft.AppendPipeline.
func (p *pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	f := &appendFuture{start: time.Now(), args: args, resp: resp, ended: make(chan struct{})}
	select {
	case p.flying <- f:
	case <-p.closed:
		return nil, raft.ErrPipelineShutdown
	case <-p.t.closed:
		return nil, raft.ErrTransportShutdown
	}
	go func() {
		f.err = ask(p.t, p.to, p.t.timeout, true, raft.RPC{Command: args}, resp)
		close(f.ended)
	}()
	return f, nil
}

// land hands the answers out in order, until the pipeline or the process ends.
func (p *pipeline) land() {
	for {
		select {
		case f := <-p.flying:
			<-f.ended
			select {
			case p.done <- f:
			case <-p.closed:
				return
			case <-p.t.closed:
				return
			}
		case <-p.closed:
			return
		case <-p.t.closed:
			return
		}
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.done }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}
