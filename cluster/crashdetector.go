package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// watchRetryMin and watchRetryMax are the pauses before a watch that broke is opened again, growing twofold.
	watchRetryMin = 5 * time.Millisecond
	watchRetryMax = time.Second
	// staggerShare of the heartbeat time-out lies between two followers that stand for election: time for the first one
	// to win, with its and the voters' writes on a busy disk.
	staggerShare = 2
)

// crashDetector sees that the leader's process has ended when that happens, instead of when its heartbeats have been
// missing for long. The system closes the connections of a process that ends; each follower holds one to the leader for
// nothing but this. One that closes proves nothing, so a follower stands for election only if
//
//   - where the leader listened a new connection is refused, or its node answers as a later process, and
//   - a majority of the voters, this one among them, find so, each for itself.
//
// Anything else (no answer, no route, one follower that is cut off) is left to the heartbeat time-out. Standing is safe in
// Raft whatever happens; the rules above are there so that no living leader is disturbed.
//
// The follower with the longest log, or of those the one that has applied most of it, stands at once, the others later and
// only if nobody leads by then. A node stands at most once against the leader of a term.
type crashDetector struct {
	self    string
	raft    electorate
	peers   *peering
	stagger time.Duration
	log     hclog.Logger

	stood uint64 // term of the last leader that this node stood against
}

// reign is a leader's time, as a follower sees it. The zero value: this node follows nobody.
type reign struct {
	leader string
	term   uint64
}

// electorate is what the detector needs of Raft.
type electorate interface {
	follows() reign
	leaderChanges() (changed <-chan struct{}, stop func()) // of capacity 1: look again
	voters() []string
	campaign()
}

func newCrashDetector(self string, r electorate, peers *peering, heartbeat time.Duration, log hclog.Logger) *crashDetector {
	return &crashDetector{self: self, raft: r, peers: peers, stagger: heartbeat / staggerShare, log: log}
}

// run watches one leader after the other until ctx ends.
func (d *crashDetector) run(ctx context.Context) error {
	changed, stop := d.raft.leaderChanges()
	defer stop()
	for ctx.Err() == nil {
		r := d.raft.follows()
		if r.leader != "" {
			d.during(ctx, r, changed)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}

// during watches a leader until Raft follows another or none.
func (d *crashDetector) during(ctx context.Context, r reign, changed <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { d.watch(ctx, r) })
	defer watching.Wait()
	defer cancel()
	for d.raft.follows() == r {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// watch holds a connection to the leader, and stands for election when its process has ended, until ctx ends.
func (d *crashDetector) watch(ctx context.Context, r reign) {
	var seen subject // the process that was watched last
	var where string
	wait := watchRetryMin
	for ctx.Err() == nil {
		began := time.Now()
		if s, address, ok := d.untilClosed(ctx, r.leader); ok {
			seen, where = s, address
			if time.Since(began) > watchRetryMax {
				wait = watchRetryMin
			}
		}
		if told := d.peers.told.Load(); seen.Life == 0 && told != nil && told.ID == r.leader { // there was no time for a watch
			seen, where = *told, d.peers.book.rpc(r.leader)
		}
		if seen.Life != 0 && d.ended(ctx, where, seen) && d.stand(ctx, r, seen) {
			return
		}
		if !sleep(ctx, wait) {
			return
		}
		wait = min(2*wait, watchRetryMax)
	}
}

// untilClosed opens a watch and returns when it is closed: whose it was, and where. It is false when there was none.
func (d *crashDetector) untilClosed(ctx context.Context, leader string) (s subject, address string, ok bool) {
	address = d.peers.book.rpc(leader)
	if address == "" {
		return s, "", false
	}
	conn, s, err := d.peers.watch(ctx, address, leader)
	if err != nil {
		d.log.Trace("cannot watch the leader", "leader", leader, "error", err)
		return s, "", false
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_, _ = conn.Read(make([]byte, 1))
	return s, address, ctx.Err() == nil
}

func (d *crashDetector) ended(ctx context.Context, address string, s subject) bool {
	ctx, cancel := context.WithTimeout(ctx, d.stagger)
	defer cancel()
	return d.peers.ended(ctx, address, s)
}

// stand has this node stand for election once it is its turn, and says whether there is nothing more to do.
func (d *crashDetector) stand(ctx context.Context, r reign, s subject) bool {
	if r.term <= d.stood || !slices.Contains(d.raft.voters(), d.self) {
		return true
	}
	rank, agreed := d.canvass(ctx, s)
	if !agreed {
		return false
	}
	d.log.Info("the leader's process has ended", "leader", r.leader, "term", r.term, "rank", rank)
	if !sleep(ctx, time.Duration(rank)*d.stagger) {
		return true
	}
	if d.raft.follows().term > r.term && !sleep(ctx, d.stagger) { // another stands: give it time
		return true
	}
	if now := d.raft.follows(); now.leader != r.leader {
		return true
	}
	d.stood = r.term
	d.raft.campaign()
	return true
}

// canvass asks the other voters what they find. It returns how many of those who agree come before this node, and whether
// they and it are a majority.
func (d *crashDetector) canvass(ctx context.Context, s subject) (rank int, agreed bool) {
	ctx, cancel := context.WithTimeout(ctx, d.stagger)
	defer cancel()
	voters := d.raft.voters()
	infos := make([]nodeInfo, len(voters)) // of those who agree
	var asking sync.WaitGroup
	for i, id := range voters {
		address := d.peers.book.rpc(id)
		if id == s.ID || id == d.self || address == "" {
			continue
		}
		asking.Go(func() {
			answer, err := d.peers.ask(ctx, address, peerRequest{Verb: verbWitness, To: id, About: s})
			if err != nil {
				d.log.Debug("a voter does not find that the leader's process has ended", "voter", id, "error", err)
				return
			}
			infos[i] = answer.Info
		})
	}
	asking.Wait()
	yes, own := 1, d.peers.info()
	for _, i := range infos {
		if i.ID == "" {
			continue
		}
		yes++
		if precedes(i, own) {
			rank++
		}
	}
	return rank, yes > len(voters)/2
}

// precedes says whether a is to stand before b: it has the longer log, without which nobody is elected, or is further in
// applying it, which a leader must have done before it serves. A process that has just started may have much to apply.
func precedes(a, b nodeInfo) bool {
	return cmp.Or(cmp.Compare(b.LastIndex, a.LastIndex), cmp.Compare(b.Applied, a.Applied), cmp.Compare(a.ID, b.ID)) < 0
}
