package cluster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// heldPipeline has no room for a send while an answer waits to be read, as Raft's own.
type heldPipeline struct {
	sent   chan *heldFuture
	done   chan raft.AppendFuture
	closed chan struct{}
}

type heldFuture struct {
	raft.AppendFuture // unused
	resp              *raft.AppendEntriesResponse
	err               error
}

func (f *heldFuture) Error() error                          { return f.err }
func (f *heldFuture) Response() *raft.AppendEntriesResponse { return f.resp }

func (p *heldPipeline) AppendEntries(_ *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	f := &heldFuture{resp: resp}
	select {
	case p.sent <- f:
		return f, nil
	case <-p.closed:
		return nil, raft.ErrPipelineShutdown
	}
}

func (p *heldPipeline) Consumer() <-chan raft.AppendFuture { return p.done }
func (p *heldPipeline) Close() error                       { close(p.closed); return nil }

// answer reads what was sent and answers it by way of judge.
func (p *heldPipeline) answer(judge func(*heldFuture)) {
	for {
		select {
		case f := <-p.sent:
			judge(f)
			select {
			case p.done <- f:
			case <-p.closed:
				return
			}
		case <-p.closed:
			return
		}
	}
}

type heldTransport struct {
	Transport
	p *heldPipeline
}

func (t heldTransport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return t.p, nil
}

func TestPipelineThatFailedDoesNotHoldTheSender(t *testing.T) {
	for name, judge := range map[string]func(*heldFuture){
		"refused": func(*heldFuture) { time.Sleep(time.Second) },
		"lost":    func(f *heldFuture) { time.Sleep(time.Second); f.err = errors.New("lost") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				held := &heldPipeline{sent: make(chan *heldFuture), done: make(chan raft.AppendFuture), closed: make(chan struct{})}
				go held.answer(judge)
				p, err := sureTransport{Transport: heldTransport{p: held}}.AppendEntriesPipeline("", "")
				if err != nil {
					t.Fatal(err)
				}
				go func() { // Raft's decoder: it reads one answer that is no success, and no more
					select {
					case <-p.Consumer():
					case <-held.closed:
					}
				}()
				for range 5 {
					_, err = p.AppendEntries(new(raft.AppendEntriesRequest), new(raft.AppendEntriesResponse))
				}
				if !errors.Is(err, raft.ErrPipelineShutdown) {
					t.Fatalf("a send on a failed pipeline: %v", err)
				}
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second) // the last answer's
			})
		})
	}
}
