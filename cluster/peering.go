package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/musterhq/muster/cluster/gossip"
	"github.com/musterhq/muster/config"
	"golang.org/x/time/rate"
)

const (
	peerTimeout      = time.Second            // of one question to a peer, dial included
	peerServeTimeout = 5 * time.Second        // of answering one
	peerFormingEvery = 100 * time.Millisecond // between rounds of questions while no cluster is formed
	peerFormedEvery  = time.Second
	peerAskMax       = 16 // questions at a time
)

// peering knows the other coordinators: from gossip, from the configured addresses, from those who call, and by asking
// each of them. Gossip only hints; what counts is what a node answers itself.
type peering struct {
	cfg    config.Coordinator
	dir    *dataDir
	book   *addressBook
	gossip *gossip.Gossip // nil: configured addresses only
	self   func(*nodeInfo)
	log    hclog.Logger
	other  rate.Sometimes
	rpc    string
	http   string
	dial   func(ctx context.Context, address string) (net.Conn, error)
	wall   func() time.Time
	life   uint64                 // of this process
	since  time.Time              // its start
	twin   atomic.Pointer[error]  // why this process must end: another has its identity
	follow func() (leader string) // Raft's word; nil: it has none
	held   watchers
	told   atomic.Pointer[subject] // a process that this node was asked about, and found ended
}

// newPeering makes the peering of the node in dir that is dialled at rpc and http. g may be nil. self adds what is not in
// the configuration or the identity: term, leader, indexes, clock, hash; it may be nil.
func newPeering(cfg config.Coordinator, dir *dataDir, rpc, http string, book *addressBook, g *gossip.Gossip, self func(*nodeInfo), log hclog.Logger) *peering {
	p := &peering{cfg: cfg, dir: dir, book: book, gossip: g, self: self, log: log, rpc: rpc, http: http, wall: time.Now, life: 1 + rand.Uint64N(math.MaxUint64), since: time.Now()}
	p.dial = func(ctx context.Context, address string) (net.Conn, error) {
		return dialTCP(ctx, peerTimeout, address)
	}
	p.other.Interval = refusalLogEvery
	return p
}

// info is what this node says about itself.
func (p *peering) info() nodeInfo {
	id := p.dir.identity()
	i := nodeInfo{
		ID: id.Node, Name: p.cfg.Name, Cluster: id.Cluster, ClusterID: id.ClusterID, RPC: p.rpc, HTTP: p.http,
		Expect: p.cfg.BootstrapExpect, Clock: p.wall().UnixMilli(), Life: p.life, Up: uint64(time.Since(p.since).Milliseconds()),
	}
	if id.Promise != nil {
		i.Promise = id.Promise.ClusterID
	}
	if id.ClusterID == "" {
		for _, c := range p.candidates() {
			if c.ID != id.Node && len(i.Seen) < peerListMax {
				i.Seen = append(i.Seen, c.ID)
			}
		}
	}
	if p.self != nil {
		p.self(&i)
	}
	return i
}

// candidates is the others that answer and want to form the same cluster, in order of their ids.
func (p *peering) candidates() []contact {
	now := time.Now()
	own := p.dir.identity()
	return slices.DeleteFunc(p.book.list(), func(c contact) bool {
		return c.ID == own.Node || !c.answering(now) || c.Cluster != own.Cluster || c.ClusterID != "" || c.Expect != p.cfg.BootstrapExpect
	})
}

// run keeps the address book fresh until ctx ends, or another process is found that has this node's identity.
func (p *peering) run(ctx context.Context) error {
	for ctx.Err() == nil {
		every := peerFormingEvery
		if id := p.dir.identity(); id.ClusterID != "" {
			every = peerFormedEvery
			p.announce(id.ClusterID)
		}
		p.round(ctx)
		if twin := p.twin.Load(); twin != nil {
			return *twin
		}
		p.pause(ctx, every)
	}
	return nil
}

// pause waits for the next round. What gossip says meanwhile is noted, and cuts the pause short only while no cluster is
// formed: later a thousand workers may come and go.
func (p *peering) pause(ctx context.Context, every time.Duration) {
	t := time.NewTimer(every)
	defer t.Stop()
	var changed <-chan struct{}
	if p.gossip != nil {
		changed = p.gossip.Changed()
	}
	formed := p.dir.formed()
	if every == peerFormedEvery {
		formed = nil
	}
	for {
		select {
		case <-changed:
			p.hear()
			if every == peerFormingEvery {
				return
			}
		case <-ctx.Done():
			return
		case <-formed:
			return
		case <-t.C:
			return
		}
	}
}

// hear notes what gossip shows.
func (p *peering) hear() {
	if p.gossip != nil {
		p.book.gossiped(p.gossip.Coordinators())
	}
}

// announce puts the cluster's id into gossip.
func (p *peering) announce(clusterID string) {
	if p.gossip == nil {
		return
	}
	if err := p.gossip.Update(func(m *gossip.Meta) { m.ClusterID = clusterID }); err != nil {
		p.log.Warn("publish the cluster id", "error", err)
	}
}

// round asks everyone who is known or configured.
func (p *peering) round(ctx context.Context) {
	p.hear()
	own := p.info()
	targets := make(map[member]bool) // without an id: whoever is there
	for _, address := range p.cfg.Coordinators {
		targets[member{RPC: address}] = true
	}
	for _, c := range p.book.list() {
		if c.ID == own.ID {
			continue
		}
		for _, address := range []string{c.RPC, c.Claimed} {
			if address != "" && address != own.RPC && !targets[member{RPC: address}] {
				targets[member{ID: c.ID, RPC: address}] = true
			}
		}
	}
	delete(targets, member{RPC: own.RPC})
	places := make(chan struct{}, peerAskMax)
	var all sync.WaitGroup
	for m := range targets {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			p.exchange(ctx, m.RPC, m.ID)
		})
	}
	all.Wait()
	p.introduce()
}

// introduce leads gossip to those who answer and are not seen there: their seeds, or ours, may be out of date.
func (p *peering) introduce() {
	if p.gossip == nil {
		return
	}
	now := time.Now()
	for _, c := range p.book.list() {
		if !c.Gossiped && c.Gossip != "" && c.answering(now) {
			p.gossip.Seed(c.Gossip)
		}
	}
}

// exchange asks one node about itself and notes the answer.
func (p *peering) exchange(ctx context.Context, address, id string) {
	answer, err := p.ask(ctx, address, peerRequest{Verb: verbExchange, To: id})
	if id != "" && answer.Info.ID != "" && answer.Info.ID != id {
		p.book.gone(id, address)
		return
	}
	if err != nil {
		p.log.Trace("ask a coordinator", "address", address, "error", err)
		if errors.Is(err, errRefused) {
			p.other.Do(func() { p.log.Warn("a coordinator does not talk to this node", "address", address, "error", err) })
		}
		return
	}
	for _, m := range answer.Known {
		if m.ID == p.dir.identity().Node {
			p.meet(ctx, m.RPC)
		} else {
			p.book.heardOf(m)
		}
	}
}

// ask sends a question and notes who answered.
func (p *peering) ask(ctx context.Context, address string, q peerRequest) (peerAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	conn, err := p.dial(ctx, address)
	if err != nil {
		return peerAnswer{}, err
	}
	defer conn.Close()
	return p.askOn(ctx, conn, q)
}

// askOn is ask on a new connection, which it leaves open.
func (p *peering) askOn(ctx context.Context, conn net.Conn, q peerRequest) (peerAnswer, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	q.From = p.info()
	if _, err := conn.Write([]byte{prefacePeer}); err != nil {
		return peerAnswer{}, err
	}
	if err := writeFrame(conn, q.encode()); err != nil {
		return peerAnswer{}, err
	}
	data, err := readFrame(conn)
	if err != nil {
		return peerAnswer{}, err
	}
	answer, err := decodePeerAnswer(data)
	if err != nil {
		return answer, err
	}
	own := p.dir.identity()
	if answer.Info.Cluster == own.Cluster && (own.ClusterID == "" || answer.Info.ClusterID == "" || answer.Info.ClusterID == own.ClusterID) && answer.Info.ID != own.Node {
		p.book.answered(answer.Info)
	}
	if answer.Refusal != "" {
		return answer, fmt.Errorf("%w: %s", errRefused, answer.Refusal)
	}
	return answer, nil
}

// serve answers one question, after its preface byte.
func (p *peering) serve(ctx context.Context, conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(peerServeTimeout))
	data, err := readFrame(conn)
	if err != nil {
		return
	}
	q, err := decodePeerRequest(data)
	if err != nil {
		p.log.Debug("peer request", "from", conn.RemoteAddr(), "error", err)
		return
	}
	var answer peerAnswer
	if err := p.grant(ctx, q); err != nil {
		answer.Refusal = err.Error()
	}
	answer.Info = p.info()
	for _, c := range p.book.list() {
		if c.RPC != "" && c.alive(time.Now()) && len(answer.Known) < peerListMax {
			answer.Known = append(answer.Known, member{ID: c.ID, RPC: c.RPC})
		}
	}
	if err := writeFrame(conn, answer.encode()); err != nil {
		p.log.Debug("answer a peer", "to", conn.RemoteAddr(), "error", err)
		return
	}
	if q.Verb == verbWatch && answer.Refusal == "" {
		p.held.hold(q.From.ID, conn)
	}
}

// grant does what is asked, or says why not.
func (p *peering) grant(ctx context.Context, q peerRequest) error {
	own := p.dir.identity()
	switch {
	case q.From.Cluster != own.Cluster:
		return fmt.Errorf("this is a coordinator of cluster %q, the caller is of cluster %q", own.Cluster, q.From.Cluster)
	case q.To != "" && q.To != own.Node:
		return fmt.Errorf("this is node %s, the caller means %s", own.Node, q.To)
	case q.From.ClusterID != "" && own.ClusterID != "" && q.From.ClusterID != own.ClusterID:
		return fmt.Errorf("this is a coordinator of the cluster with id %s, the caller is of another cluster %q with id %s", own.ClusterID, own.Cluster, q.From.ClusterID)
	}
	if q.From.ID != own.Node {
		p.book.called(q.From)
	} else if err := p.refuseTwin(q.From); err != nil {
		return err
	}
	switch q.Verb {
	case verbExchange, verbWatch:
		return nil
	case verbWitness:
		return p.witness(ctx, q.About)
	case verbPromise:
		if q.Promise.Proposer.ID != q.From.ID || len(q.Promise.Members) != p.cfg.BootstrapExpect {
			return fmt.Errorf("this node expects %d coordinators to form a cluster, the proposal names %d", p.cfg.BootstrapExpect, len(q.Promise.Members))
		}
		return p.dir.promise(q.Promise)
	case verbRelease:
		if old := own.Promise; old != nil && old.Proposer.ID == q.From.ID {
			return p.dir.release(q.Promise.ClusterID)
		}
		return nil
	}
	return fmt.Errorf("unknown question %d", q.Verb)
}
