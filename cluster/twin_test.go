package cluster

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/musterhq/muster/cluster/gossip"
	"github.com/musterhq/muster/config"
)

// copyOf is the configuration of a node that starts elsewhere in a copy of another's data directory.
func copyOf(t *testing.T, cfg config.Coordinator) config.Coordinator {
	t.Helper()
	to := t.TempDir()
	must(t, os.CopyFS(to, os.DirFS(cfg.Data)))
	cfg.Data, cfg.RPC = to, freeAddress(t)
	return cfg
}

// twinOf is why a node finds that it must end; empty: it does not.
func twinOf(r *rig) string {
	if err := r.peers.twin.Load(); err != nil {
		return (*err).Error()
	}
	return ""
}

// Of two processes of one identity the later one finds that it must end, whichever directory is the copy, and the others stay
// with the one that they know.
func TestTheLaterOfTwoTwinsEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		originalLast bool
	}{{"the copy comes later", false}, {"the original comes later", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var rigs []*rig
			configs := staticConfigs(t, 3, 3)
			for _, cfg := range configs {
				rigs = append(rigs, start(t, cfg, false))
			}
			leader := oneCluster(t, rigs...)
			at := 0
			if rigs[at] == leader {
				at = 1
			}
			rigs[at].stop()
			first, second := configs[at], copyOf(t, configs[at])
			if c.originalLast {
				first, second = second, first
			}
			older := start(t, first, false)
			id := string(older.node.id)
			known := func(what, address string) {
				t.Helper()
				eventually(t, what, func() bool { return leader.peers.book.rpc(id) == address })
			}
			known("the first is known where it is", older.rpc())
			eventually(t, "the first answers", func() bool {
				k, _ := leader.peers.book.find(id)
				return k.RPC == older.rpc() && k.answering(time.Now())
			})
			younger := start(t, second, false)
			eventually(t, "the second finds the first", func() bool { return twinOf(younger) != "" })
			for _, want := range []string{second.Data, older.rpc(), "is a copy of the other", "joins anew"} {
				if !strings.Contains(twinOf(younger), want) {
					t.Errorf("%q does not say %q", twinOf(younger), want)
				}
			}
			known("the first is still where it was", older.rpc())
			if got := twinOf(older); got != "" {
				t.Errorf("the first would end: %s", got)
			}
		})
	}
}

// A process that starts elsewhere than Raft has it looks for its twin before anybody can reach it.
func TestATwinIsSoughtAtTheStart(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, 1)
	original := start(t, cfg, false)
	leaderOf(t, original)
	servers := original.node.raft.GetConfiguration().Configuration().Servers
	d := openTestDir(t, cfg.Cluster, "")
	d.id = original.dir.identity() // as in a copy
	for _, c := range []struct {
		name, at string
		servers  []raft.Server
		twin     bool
	}{
		{"moved while it runs", "127.0.0.1:1", servers, true},
		{"not moved", original.rpc(), servers, false},
		{"not of the configuration", "127.0.0.1:1", nil, false},
	} {
		p := newPeering(cfg, d, c.at, "", newAddressBook(), nil, nil, testLog(t))
		err := p.seek(context.Background(), c.servers)
		if (err != nil) != c.twin || err != nil && !strings.Contains(err.Error(), original.rpc()) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	original.stop()
	p := newPeering(cfg, d, "127.0.0.1:1", "", newAddressBook(), nil, nil, testLog(t))
	must(t, p.seek(context.Background(), servers)) // it has moved, and nothing is where it was
}

// Whoever answers where it was is not taken for moved; once it no longer does, it is.
func TestAddressBookKeepsWhoStillAnswers(t *testing.T) {
	t.Parallel()
	b := newAddressBook()
	b.answered(nodeInfo{ID: "a", RPC: "old:1", Life: 1})
	b.answered(nodeInfo{ID: "a", RPC: "new:1", Life: 2})
	b.gossiped([]gossip.Meta{{NodeID: "a", RPC: "new:1"}})
	if c, _ := b.find("a"); c.RPC != "old:1" || c.Claimed != "new:1" {
		t.Errorf("%+v", c)
	}
	b.put("a", func(c *contact) { c.Answered = time.Now().Add(-answerFresh) })
	b.answered(nodeInfo{ID: "a", RPC: "new:1", Life: 2})
	if c, _ := b.find("a"); c.RPC != "new:1" || c.Claimed != "" {
		t.Errorf("%+v", c)
	}
	b.answered(nodeInfo{ID: "a", RPC: "other:1", Life: 2}) // one process may be told of by another name
	if c, _ := b.find("a"); c.RPC != "other:1" {
		t.Errorf("%+v", c)
	}
}
