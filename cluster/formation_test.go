package cluster

import (
	"testing"
	"time"

	"github.com/musterhq/muster/config"
)

// staticConfigs is n coordinators that know one another's rpc addresses.
func staticConfigs(t *testing.T, n, expect int) []config.Coordinator {
	var addresses []string
	for range n {
		addresses = append(addresses, freeAddress(t))
	}
	var list []config.Coordinator
	for _, a := range addresses {
		cfg := testConfig(t, expect)
		cfg.RPC, cfg.Coordinators = a, addresses
		list = append(list, cfg)
	}
	return list
}

func TestFormationOfOne(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(t, 1), false)
	leaderOf(t, r)
	if f := r.node.apply([]byte("x"), time.Second); f.Error() != nil || f.Response() != uint64(1) {
		t.Fatalf("apply: %v, %v", f.Response(), f.Error())
	}
}

func TestFormationInEachOrder(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}, {1, 2, 0}} {
		cfgs := staticConfigs(t, 3, 3)
		var rigs []*rig
		for _, i := range order {
			rigs = append(rigs, start(t, cfgs[i], false))
		}
		began := time.Now()
		oneCluster(t, rigs...)
		t.Logf("order %v: formed %v after the last start", order, time.Since(began).Round(time.Millisecond))
		for _, r := range rigs {
			r.stop()
		}
	}
}

func TestFormationByGossip(t *testing.T) {
	t.Parallel()
	seed := start(t, testConfig(t, 3), true)
	began := time.Now()
	rigs := []*rig{seed}
	for range 2 {
		cfg := testConfig(t, 3)
		cfg.Join = []string{seed.g.Addr()}
		rigs = append(rigs, start(t, cfg, true))
	}
	leader := oneCluster(t, rigs...)
	t.Logf("formed in %v", time.Since(began).Round(time.Millisecond))
	if err := leader.node.apply([]byte("hello"), time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	for _, r := range rigs {
		eventually(t, "every node applies", func() bool { n, _ := r.fsm.sum(); return n == 1 })
		eventually(t, "gossip shows the cluster's id everywhere", func() bool {
			for _, m := range r.g.Coordinators() {
				if m.ClusterID != leader.dir.identity().ClusterID {
					return false
				}
			}
			return len(r.g.Coordinators()) == 3
		})
	}
}

// More start than are expected: three form the cluster, the others are taken in and promoted.
func TestFormationOfMoreThanExpected(t *testing.T) {
	t.Parallel()
	var rigs []*rig
	for _, cfg := range staticConfigs(t, 5, 3) {
		rigs = append(rigs, start(t, cfg, false))
	}
	oneCluster(t, rigs...)
}

// Nodes that are stopped at any moment of the formation still form one cluster.
func TestFormationWithRestarts(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{20, 120, 180} {
		cfgs := staticConfigs(t, 3, 3)
		rigs := make([]*rig, 3)
		for i := range rigs {
			rigs[i] = start(t, cfgs[i], false)
		}
		time.Sleep(after * time.Millisecond) // which step this hits does not matter: each must heal
		for i := range rigs[:2] {
			rigs[i].crash()
			rigs[i] = start(t, cfgs[i], false)
		}
		oneCluster(t, rigs...)
		for _, r := range rigs {
			r.stop()
		}
	}
}

// A proposal that was dropped binds nobody for ever: the next one succeeds although a member still holds the old promise.
func TestFormationOutlivesADroppedProposal(t *testing.T) {
	t.Parallel()
	cfgs := staticConfigs(t, 3, 3)
	var members []member
	for i := range cfgs {
		d, err := openDataDir(cfgs[i])
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, member{ID: d.identity().Node, RPC: cfgs[i].RPC})
		if err := d.close(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range cfgs {
		d, err := openDataDir(cfgs[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := d.promise(promise{ClusterID: "dropped", Seq: 1, Proposer: members[0], Members: members}); err != nil {
			t.Fatal(err)
		}
		if err := d.close(); err != nil {
			t.Fatal(err)
		}
	}
	var rigs []*rig
	for _, cfg := range cfgs {
		rigs = append(rigs, start(t, cfg, false))
	}
	if leader := oneCluster(t, rigs...); leader.dir.identity().ClusterID == "dropped" {
		t.Fatal("a proposal from before a restart was used")
	}
}

// A newcomer that could form a cluster with others of its kind joins the one that is there.
func TestFormationJoinsWhatIsThere(t *testing.T) {
	t.Parallel()
	first := start(t, testConfig(t, 1), false)
	leaderOf(t, first)
	late := testConfig(t, 1)
	late.Coordinators = []string{first.rpc()}
	second := start(t, late, false)
	if leader := oneCluster(t, first, second); leader != first {
		t.Fatal("the newcomer leads")
	}
}

func TestMembershipFollowsAMovedServer(t *testing.T) {
	t.Parallel()
	var rigs []*rig
	cfgs := staticConfigs(t, 3, 3)
	for _, cfg := range cfgs {
		rigs = append(rigs, start(t, cfg, false))
	}
	leader := oneCluster(t, rigs...)
	moved := 0
	for rigs[moved] == leader {
		moved++
	}
	id := rigs[moved].node.id
	rigs[moved].stop()
	cfg := cfgs[moved]
	cfg.RPC = freeAddress(t)
	rigs[moved] = start(t, cfg, false)
	if rigs[moved].node.id != id {
		t.Fatal("another identity in the same directory")
	}
	eventually(t, "the new address in the configuration", func() bool {
		for _, r := range rigs {
			if !r.leads() {
				continue
			}
			for _, s := range r.node.raft.GetConfiguration().Configuration().Servers {
				if s.ID == id && addressOf(s) == cfg.RPC {
					return true
				}
			}
		}
		return false
	})
	leader = leaderOf(t, rigs...)
	if err := leader.node.apply([]byte("x"), time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the moved node applies", func() bool { n, _ := rigs[moved].fsm.sum(); return n == 1 })
}

func TestRestartKeepsStateAndHandsLeadershipOver(t *testing.T) {
	t.Parallel()
	var rigs []*rig
	cfgs := staticConfigs(t, 3, 3)
	for _, cfg := range cfgs {
		rigs = append(rigs, start(t, cfg, false))
	}
	leader := oneCluster(t, rigs...)
	for range 10 {
		if err := leader.node.apply([]byte("entry"), time.Second).Error(); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range rigs {
		r.stop()
	}
	for i, cfg := range cfgs {
		rigs[i] = start(t, cfg, false)
	}
	leaderOf(t, rigs...)
	for _, r := range rigs {
		eventually(t, "the state is back", func() bool { n, size := r.fsm.sum(); return n == 10 && size == 50 })
	}
}

// A node that lost its data comes back as a new one, in the same place.
func TestMembershipTakesInANodeThatLostItsData(t *testing.T) {
	t.Parallel()
	var rigs []*rig
	cfgs := staticConfigs(t, 3, 3)
	for _, cfg := range cfgs {
		rigs = append(rigs, start(t, cfg, false))
	}
	oneCluster(t, rigs...)
	old := rigs[0].node.id
	rigs[0].stop()
	cfgs[0].Data = t.TempDir()
	rigs[0] = start(t, cfgs[0], false)
	if rigs[0].node.id == old {
		t.Fatal("an identity without its data")
	}
	eventually(t, "it is a voter beside its lost self", func() bool { return rigs[0].voters() == 4 })
	if a, b := rigs[0].dir.identity().ClusterID, rigs[1].dir.identity().ClusterID; a != b {
		t.Fatalf("two clusters: %s and %s", a, b)
	}
}
