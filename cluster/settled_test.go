package cluster

import (
	"reflect"
	"testing"

	"github.com/hashicorp/raft"
)

func TestAppendsAreSettled(t *testing.T) {
	t.Parallel()
	entries := func(from, to uint64) (list []*raft.Log) {
		for i := from; i <= to; i++ {
			list = append(list, &raft.Log{Index: i, Term: 7})
		}
		return list
	}
	call := func(prev, term, from, to, commit uint64) raft.AppendEntriesRequest {
		return raft.AppendEntriesRequest{Term: 9, PrevLogEntry: prev, PrevLogTerm: term, Entries: entries(from, to), LeaderCommitIndex: commit}
	}
	snapshot := raft.SnapshotMeta{Index: 100, Term: 6}
	for name, test := range map[string]struct{ in, want raft.AppendEntriesRequest }{
		"a heartbeat":                        {call(0, 0, 1, 0, 0), call(0, 0, 1, 0, 0)},
		"behind the snapshot":                {call(120, 7, 121, 125, 110), call(120, 7, 121, 125, 110)},
		"right behind the snapshot":          {call(100, 6, 101, 105, 90), call(100, 6, 101, 105, 90)},
		"from before the snapshot":           {call(90, 5, 91, 105, 104), call(100, 6, 101, 105, 104)},
		"all before the snapshot":            {call(90, 5, 91, 95, 95), call(100, 6, 1, 0, 95)},
		"from the log's beginning":           {call(0, 0, 1, 105, 3), call(100, 6, 101, 105, 3)},
		"commits more than it covers":        {call(120, 7, 121, 125, 400), call(120, 7, 121, 125, 125)},
		"commits more than it compares with": {call(120, 7, 1, 0, 400), call(120, 7, 1, 0, 120)},
		"from before, and commits more":      {call(90, 5, 91, 95, 400), call(100, 6, 1, 0, 100)},
	} {
		was := test.in
		got := *settle(&test.in, snapshot)
		if len(got.Entries) == 0 {
			got.Entries = nil
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
		if !reflect.DeepEqual(was, test.in) {
			t.Errorf("%s: it was changed in place", name)
		}
	}
}

func TestSnapshotMarkNeverGoesBack(t *testing.T) {
	t.Parallel()
	var n snapshotMark
	for _, index := range []uint64{0, 5, 3, 9, 9, 4} {
		n.note(raft.SnapshotMeta{Index: index, Term: index})
	}
	if got := n.get(); got.Index != 9 || got.Term != 9 {
		t.Errorf("newest is %+v", got)
	}
}

// A follower that has compacted its log further than the leader is sent entries from before: it takes them for what it has.
// Raft by itself refuses each, back to where the leader's log begins, and then keeps being sent a snapshot that is older than
// its own two.
func TestAppendFromBeforeOwnSnapshots(t *testing.T) {
	t.Parallel()
	f := newFollower(t, logStoreBolt, 1, nil)
	if !f.append(leaderTerm, 0, 1, 40, 40) {
		t.Fatal("the first entries were refused")
	}
	for _, to := range []uint64{60, 80} {
		if !f.append(leaderTerm, leaderTerm, to-19, to, to) {
			t.Fatalf("entries up to %d were refused", to)
		}
		eventually(t, "they are applied", func() bool { return f.node.raft.AppliedIndex() == to })
		must(t, f.node.raft.Snapshot().Error())
	}
	if !f.append(leaderTerm, leaderTerm, 31, 50, 80) {
		t.Error("entries from before its snapshots were refused")
	}
	if !f.append(leaderTerm, leaderTerm, 71, 90, 90) {
		t.Error("entries across its newest snapshot were refused")
	}
	eventually(t, "all is applied", func() bool { return f.node.raft.AppliedIndex() == 90 })
	if len(f.reasons()) > 0 {
		t.Errorf("it would have ended itself: %q", f.reasons())
	}
}
