package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Forming a cluster
//
// BootstrapExpect coordinators without any state form a cluster, once, however they start: at the same time, one after
// the other, more of them than expected, or some again halfway.
//
//  1. Each asks the others that it knows about themselves, all the time. One that belongs to a formed cluster ends the
//     matter: this node waits until that cluster's leader takes it in.
//  2. The chosen are the expect lowest ids of those who answer. Only the lowest of them goes on, and only when each of
//     them answers again just now, sees the same others, and so chooses the same, and when nobody else who is known says
//     otherwise.
//  3. It draws a cluster id and asks each chosen one for its promise to be of this cluster or none. A promise is on disk
//     before it is given, the proposer's own first.
//  4. With all promises it bootstraps Raft, alone, with all of them as voters. The others have no Raft state; they learn
//     of the cluster with the first Raft stream, whose handshake names the cluster's id.
//  5. Without all of them it drops the proposal, on disk first, and says so. The id is never used again.
//
// Invariant: two clusters cannot form with one node in common. A cluster starts with the promises of all of its members, and
// a node has one promise at a time. It takes it back only on the proposer's word that the proposal is dropped, and a
// proposal that was dropped is never bootstrapped.
//
// Two clusters of disjoint members form only if twice as many coordinators as expected are started and one half cannot see
// the other; nothing short of configuring their ids could tell.
//
// A node whose proposer never comes back, its disk lost between steps 3 and 4, keeps its promise and says so in its log. It
// holds nothing: its data directory can be removed.

const (
	formingPoll     = 50 * time.Millisecond
	formingRetry    = 100 * time.Millisecond // after a proposal that failed, and as much again at random
	seedsPatience   = 3 * time.Second        // of a node that expects nobody else but was given seeds to look at
	promiseCheck    = 300 * time.Millisecond // before the first doubt whether a proposer still means it
	formingLogEvery = 5 * time.Second
)

// formation takes part in forming the cluster.
type formation struct {
	peers   *peering
	dir     *dataDir
	node    *node
	log     hclog.Logger
	started time.Time
	said    string // last state logged
	saidAt  time.Time
}

func newFormation(peers *peering, dir *dataDir, n *node, log hclog.Logger) *formation {
	return &formation{peers: peers, dir: dir, node: n, log: log, started: time.Now()}
}

// run returns once this node belongs to a cluster, or ctx ended.
func (f *formation) run(ctx context.Context) error {
	own := f.dir.identity()
	if p := own.Promise; p != nil && p.Proposer.ID == own.Node && own.ClusterID == "" {
		// From before a restart. It was not bootstrapped, or the node would be formed.
		if err := f.dir.release(p.ClusterID); err != nil {
			return fmt.Errorf("drop an old proposal: %w", err)
		}
	}
	for {
		changed := f.peers.book.changed()
		wait := formingPoll
		if f.dir.identity().ClusterID == "" {
			proposed, err := f.step(ctx)
			if err != nil && ctx.Err() == nil {
				f.log.Warn("form a cluster", "error", err)
			}
			if proposed {
				changed, wait = nil, formingRetry+rand.N(formingRetry)
			}
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-f.dir.formed():
			t.Stop()
			return nil
		case <-changed:
		case <-t.C:
		}
		t.Stop()
	}
}

// step goes as far as it can now. proposed says that a proposal was made.
func (f *formation) step(ctx context.Context) (proposed bool, err error) {
	own := f.peers.info()
	if p := f.dir.identity().Promise; p != nil {
		f.doubt(ctx, own, *p)
		return false, nil
	}
	if c, ok := f.formedOther(); ok {
		f.say("waiting to be taken into the cluster", "cluster_id", c.ClusterID, "seen_at", c.RPC)
		return false, nil
	}
	switch {
	case own.Expect <= 0:
		f.say("waiting for a cluster to join; to form a new one set bootstrap_expect (--bootstrap-expect)")
		return false, nil
	case own.Expect > peerListMax:
		return false, fmt.Errorf("bootstrap_expect %d: at most %d", own.Expect, peerListMax)
	case own.Expect == 1 && f.patient():
		return false, nil
	}
	f.warnOfOthers(own)
	chosen := f.chosen(own)
	if len(chosen) < own.Expect {
		f.say("waiting for coordinators to form a cluster", "present", len(chosen), "expected", own.Expect)
		return false, nil
	}
	if chosen[0].ID != own.ID {
		f.say("waiting for another coordinator to form the cluster", "proposer", chosen[0].ID, "at", chosen[0].RPC)
		return false, nil
	}
	if err := f.confirm(ctx, own, chosen); err != nil {
		f.say("not all coordinators agree yet on who forms the cluster", "error", err)
		return false, nil
	}
	return true, f.propose(ctx, own, chosen)
}

// chosen is the lowest ids of this node and those who want to form a cluster with it, at most as many as expected.
func (f *formation) chosen(own nodeInfo) []member {
	all := []member{{ID: own.ID, RPC: own.RPC}}
	for _, c := range f.peers.candidates() {
		all = append(all, member{ID: c.ID, RPC: c.RPC})
	}
	slices.SortFunc(all, func(a, b member) int { return strings.Compare(a.ID, b.ID) })
	return all[:min(len(all), own.Expect)]
}

// formedOther is a node of a formed cluster of this name.
func (f *formation) formedOther() (contact, bool) {
	now := time.Now()
	for _, c := range f.peers.book.list() {
		if c.ClusterID != "" && c.alive(now) {
			return c, true
		}
	}
	return contact{}, false
}

// patient says that there may be a cluster behind the seeds which did not answer yet.
func (f *formation) patient() bool {
	cfg := f.peers.cfg
	others := slices.ContainsFunc(cfg.Coordinators, func(a string) bool { return a != f.peers.rpc }) ||
		slices.ContainsFunc(cfg.Join, func(a string) bool { return a != cfg.Gossip })
	return others && len(f.peers.candidates()) == 0 && time.Since(f.started) < seedsPatience
}

func (f *formation) warnOfOthers(own nodeInfo) {
	now := time.Now()
	for _, c := range f.peers.book.list() {
		if c.answering(now) && c.ClusterID == "" && c.Expect > 0 && c.Expect != own.Expect {
			f.say("a coordinator expects another number of coordinators; set bootstrap_expect to the same on all",
				"node", c.ID, "at", c.RPC, "theirs", c.Expect, "ours", own.Expect)
		}
	}
}

// confirm asks everyone who shows a sign of life, and says who does not agree.
func (f *formation) confirm(ctx context.Context, own nodeInfo, chosen []member) error {
	now := time.Now()
	var ask []contact
	for _, c := range f.peers.book.list() {
		if c.ID != own.ID && c.alive(now) {
			ask = append(ask, c)
		}
	}
	return f.each(len(ask), func(i int) error {
		c := ask[i]
		answer, err := f.peers.ask(ctx, c.RPC, peerRequest{Verb: verbExchange, To: c.ID})
		info := answer.Info
		if info.ID != "" && info.ID != c.ID && !slices.ContainsFunc(chosen, func(m member) bool { return m.ID == c.ID }) {
			return nil // gossip still shows one whose place another has taken
		}
		if err != nil {
			return fmt.Errorf("%s at %s: %w", c.ID, c.RPC, err)
		}
		switch isChosen := slices.ContainsFunc(chosen, func(m member) bool { return m.ID == info.ID }); {
		case info.ClusterID != "":
			return fmt.Errorf("%s belongs to a cluster already, with id %s", info.ID, info.ClusterID)
		case info.Promise != "":
			return fmt.Errorf("%s promised to form another cluster, with id %s", info.ID, info.Promise)
		case isChosen && !sees(info, chosen):
			return fmt.Errorf("%s sees other coordinators than this node does", info.ID)
		}
		return nil
	})
}

// sees says whether a node that sees these others would choose the same.
func sees(info nodeInfo, chosen []member) bool {
	ids := append(slices.Clone(info.Seen), info.ID)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) < len(chosen) {
		return false
	}
	for i, m := range chosen {
		if ids[i] != m.ID {
			return false
		}
	}
	return true
}

// propose asks the chosen for their promises, and bootstraps with all of them.
func (f *formation) propose(ctx context.Context, own nodeInfo, chosen []member) error {
	p := promise{ClusterID: newID(), Seq: time.Now().UnixNano(), Proposer: member{ID: own.ID, RPC: own.RPC}, Members: chosen}
	if err := f.dir.promise(p); err != nil {
		return err
	}
	err := f.each(len(chosen), func(i int) error {
		if chosen[i].ID == own.ID {
			return nil
		}
		_, err := f.peers.ask(ctx, chosen[i].RPC, peerRequest{Verb: verbPromise, To: chosen[i].ID, Promise: p})
		if err != nil {
			return fmt.Errorf("%s at %s: %w", chosen[i].ID, chosen[i].RPC, err)
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, f.drop(ctx, own, p))
	}
	if err := f.node.bootstrap(chosen); err != nil {
		// Whatever was written stays promised: a restart finds out whether it was.
		return err
	}
	if err := f.dir.form(p.ClusterID); err != nil {
		return err
	}
	f.log.Info("formed a cluster", "cluster", own.Cluster, "cluster_id", p.ClusterID, "coordinators", len(chosen))
	f.node.campaign()
	return nil
}

// drop takes a proposal back, on disk before the others hear of it. Those who do not hear will ask.
func (f *formation) drop(ctx context.Context, own nodeInfo, p promise) error {
	if err := f.dir.release(p.ClusterID); err != nil {
		return err
	}
	_ = f.each(len(p.Members), func(i int) error {
		if m := p.Members[i]; m.ID != own.ID {
			_, _ = f.peers.ask(ctx, m.RPC, peerRequest{Verb: verbRelease, To: m.ID, Promise: p})
		}
		return nil
	})
	return nil
}

// doubt asks the proposer of a promise whether it still means it, when it has been silent for long enough.
func (f *formation) doubt(ctx context.Context, own nodeInfo, p promise) {
	if p.Proposer.ID == own.ID || !sleep(ctx, promiseCheck) || f.dir.identity().ClusterID != "" {
		return
	}
	at := p.Proposer.RPC
	if c, ok := f.peers.book.find(p.Proposer.ID); ok && c.RPC != "" {
		at = c.RPC
	}
	answer, err := f.peers.ask(ctx, at, peerRequest{Verb: verbExchange, To: p.Proposer.ID})
	if err != nil {
		f.say("this node promised to form a cluster with a coordinator that does not answer; if that one's data is lost, "+
			"remove the data directory of this node, which holds nothing yet, and start it again",
			"proposer", p.Proposer.ID, "at", at, "data", f.dir.path, "error", err)
		return
	}
	if answer.Info.Promise != p.ClusterID && answer.Info.ClusterID != p.ClusterID {
		if err := f.dir.release(p.ClusterID); err != nil {
			f.log.Warn("take a promise back", "error", err)
		}
	}
}

// each does n things at the same time and joins their errors.
func (f *formation) each(n int, do func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// say logs a state when it is new, and again from time to time while it lasts.
func (f *formation) say(what string, args ...any) {
	if now := time.Now(); what != f.said || now.Sub(f.saidAt) > formingLogEvery {
		if f.said != "" || now.Sub(f.started) > time.Second { // what passes within a second is no news
			f.log.Info(what, args...)
		}
		f.said, f.saidAt = what, now
	}
}
