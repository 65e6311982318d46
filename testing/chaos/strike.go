package chaos

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

// stage is a cluster to be broken.
type stage struct {
	tb harness.TB
	c  *harness.Cluster
}

// flapEvery is how long a flapping link is up, and down.
const flapEvery = 200 * time.Millisecond

// syncDelays are how much longer a slow disk takes for an fsync.
var syncDelays = []time.Duration{5 * time.Millisecond, 50 * time.Millisecond, 500 * time.Millisecond}

// cast is who can be broken, as things are at the moment.
type cast struct {
	leader  *harness.Node // any coordinator stands in while none leads
	others  []*harness.Node
	workers []*harness.Node
}

func (s stage) cast(f Fault) cast {
	nodes := s.c.Coordinators()
	leader, err := s.c.FindLeader()
	if err != nil {
		leader = choose(nodes, f)
	}
	return cast{leader, slices.DeleteFunc(nodes, func(n *harness.Node) bool { return n == leader }), s.c.Workers()}
}

func (c cast) coordinators() []*harness.Node { return append([]*harness.Node{c.leader}, c.others...) }

// choose is the one of a list that a fault befalls.
func choose[T any](list []T, f Fault) T { return list[int(f.Victim)%len(list)] }

// further is what decides between that many things more, independent of whom choose takes.
func (f Fault) further(choices int) int { return int(f.Victim>>8) % choices }

// strike breaks something and returns how to heal it.
func (s stage) strike(f Fault) (heal func()) {
	who := s.cast(f)
	switch f.Kind {
	case KillLeader:
		return s.kill(who.leader)
	case KillFollower:
		return s.kill(choose(who.others, f))
	case KillMajority:
		nodes := who.coordinators()
		spared := choose(nodes, f)
		return s.kill(slices.DeleteFunc(nodes, func(n *harness.Node) bool { return n == spared })...)
	case KillCoordinators:
		return s.kill(who.coordinators()...)
	case KillWorker:
		return s.kill(choose(who.workers, f))
	case KillWorkers:
		return s.kill(who.workers...)
	case StopLeader:
		return s.stop(who.leader)
	case StopWorker:
		return s.stop(choose(who.workers, f))
	case PauseLeader:
		return s.pause(who.leader)
	case PauseFollower:
		return s.pause(choose(who.others, f))
	case PauseWorker, LoseWorker:
		return s.pause(choose(who.workers, f))
	case Herd:
		return s.herd()
	case RollingRestart:
		return s.rolling()
	case HandOver:
		return s.handOver(who, f)
	case Damage:
		return s.damage(choose(who.others, f), f)
	case SlowDisk, SlowDisks, HangDisk, FillDisk, FailSync, LosePower, Blackout:
		return s.breakDisk(who, f)
	}
	return s.breakNetwork(who, f)
}

func (s stage) kill(nodes ...*harness.Node) (heal func()) {
	for _, n := range nodes {
		n.Kill()
	}
	return func() { s.restart(nodes...) }
}

func (s stage) restart(nodes ...*harness.Node) {
	for _, n := range nodes {
		n.Restart(s.tb)
	}
}

func (s stage) stop(n *harness.Node) (heal func()) {
	n.Terminate()
	return func() { n.Restart(s.tb) }
}

func (s stage) pause(n *harness.Node) (heal func()) {
	n.Pause()
	return n.Resume
}

// rolling restarts every coordinator, each once the one before is well again.
func (s stage) rolling() (heal func()) {
	for _, n := range s.c.Coordinators() {
		n.Terminate()
		if code, err := n.Wait(); err != nil || code != 0 {
			s.tb.Errorf("%s on SIGTERM: code %d, %v", n.Name(), code, err)
		}
		n.Restart(s.tb)
		s.settled()
	}
	return func() {}
}

// settled waits until every coordinator is well.
func (s stage) settled() {
	harness.Until(s.tb, harness.BoundDefault, "every coordinator to be healthy", func() error {
		for _, n := range s.c.Coordinators() {
			if status, err := n.Status(); err != nil || status.Health != "healthy" || status.Leader == nil {
				return fmt.Errorf("%s: %s %s, %v", n.Name(), status.Health, status.Problem, err)
			}
		}
		return nil
	})
}

// handOver asks the leader to hand over to a follower, which it may refuse or fail to.
func (s stage) handOver(who cast, f Fault) (heal func()) {
	to := choose(who.others, f)
	a, err := who.leader.Do(http.MethodPost, "/v1/operator/raft/transfer", fmt.Sprintf(`{"to": %q}`, to.Name()))
	s.tb.Logf("hand over from %s to %s: %d, %v", who.leader.Name(), to.Name(), a.Status, err)
	return func() {}
}

// breakNetwork cuts links.
func (s stage) breakNetwork(who cast, f Fault) (heal func()) {
	net := s.c.Network()
	all := append(who.coordinators(), who.workers...)
	// What is cut off from the other coordinators may still reach the workers, or not even them.
	rest := [][]*harness.Node{all, who.coordinators()}[f.further(2)]
	switch f.Kind {
	case CutLeader:
		net.Cut([]*harness.Node{who.leader}, rest)
	case CutFollower:
		net.Cut([]*harness.Node{choose(who.others, f)}, rest)
	case CutPair, CutOneWay:
		nodes := who.coordinators()
		slices.SortFunc(nodes, func(a, b *harness.Node) int { return cmp.Compare(a.Name(), b.Name()) })
		i := int(f.Victim) % len(nodes)
		a, b := nodes[i], nodes[(i+1+f.further(len(nodes)-1))%len(nodes)]
		if f.Kind == CutPair {
			net.Cut([]*harness.Node{a}, []*harness.Node{b})
		} else {
			net.Drop(a, b)
		}
	case Flap:
		return s.flap(net, who.leader, choose(who.others, f))
	case CutWorker:
		net.Cut([]*harness.Node{choose(who.workers, f)}, all)
	case CutWorkers:
		net.Cut(who.workers, who.coordinators())
	case SilenceWorker:
		w := choose(who.workers, f)
		s.tb.Logf("%d connections of %s go dead", net.Silence(w), w.Name())
	default:
		s.tb.Fatalf("chaos: no such fault: %s", f.Kind)
	}
	return net.Heal
}

// flap takes a link down and up until it is healed.
func (s stage) flap(net *harness.Network, a, b *harness.Node) (heal func()) {
	ctx, cancel := context.WithCancel(s.tb.Context())
	var flapping sync.WaitGroup
	flapping.Go(func() {
		for ctx.Err() == nil {
			net.Cut([]*harness.Node{a}, []*harness.Node{b})
			pass(ctx, flapEvery)
			net.Heal()
			pass(ctx, flapEvery)
		}
	})
	return func() {
		cancel()
		flapping.Wait()
		net.Heal()
	}
}

// breakDisk breaks disks of coordinators.
func (s stage) breakDisk(who cast, f Fault) (heal func()) {
	nodes := who.coordinators()
	n := choose(nodes, f)
	random := stream(uint64(f.Victim), streamFaults)
	switch f.Kind {
	case SlowDisk:
		nodes = []*harness.Node{n}
	case SlowDisks:
		nodes = slices.DeleteFunc(nodes, func(spared *harness.Node) bool { return spared == n })
	case HangDisk:
		return s.hang(who.leader)
	case FillDisk:
		n.Excuse() // it may end itself
		n.Disk().Fill(true)
		return func() {
			n.Disk().Heal()
			n.Restart(s.tb)
		}
	case FailSync:
		n.Excuse() // and must
		n.Disk().FailSync(1)
		return func() {
			s.endsItself(n)
			n.Restart(s.tb)
		}
	case LosePower:
		n.PowerLoss(s.tb, random)
		return func() { n.Restart(s.tb) }
	case Blackout:
		s.kill(nodes...)
		for _, n := range nodes {
			n.PowerLoss(s.tb, random)
		}
		return func() { s.restart(nodes...) }
	}
	delay := syncDelays[f.further(len(syncDelays))]
	s.tb.Logf("%v more for each fsync", delay)
	for _, n := range nodes {
		n.Disk().SlowSync(delay)
	}
	return func() {
		for _, n := range nodes {
			n.Disk().Heal()
		}
	}
}

// endLine is what a coordinator logs when it gives up on its disk.
const endLine = "this node ends itself"

// hang makes a coordinator's fsyncs hang, of which it must end itself. Its process is only gone with the healing.
func (s stage) hang(n *harness.Node) (heal func()) {
	n.Excuse()
	before := len(n.Log())
	n.Disk().Hang()
	return func() {
		harness.Until(s.tb, harness.BoundDefault, n.Name()+" to end itself for its hanging disk", func() error {
			if !n.Running() || strings.Contains(n.Log()[before:], endLine) {
				return nil
			}
			return fmt.Errorf("it runs, and its log has no %q", endLine)
		})
		n.Disk().Heal()
		n.Restart(s.tb)
	}
}

// endsItself waits for the end of a coordinator that must end by itself.
func (s stage) endsItself(n *harness.Node) {
	harness.Until(s.tb, harness.BoundDefault, n.Name()+" to end itself", func() error {
		if n.Running() {
			return fmt.Errorf("it runs")
		}
		return nil
	})
}

// heal sees to it that every node runs and nothing is broken.
func (s stage) heal() {
	for _, n := range append(s.c.Coordinators(), s.c.Workers()...) {
		if n.Disk() != nil {
			n.Disk().Heal()
		}
		n.Resume()
		if !n.Running() {
			n.Restart(s.tb)
		}
	}
}
