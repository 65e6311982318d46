package cluster

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/musterhq/muster/fsm"
)

// manyJobs is a request of n jobs, each of which needs the one behind it: the reverse of the order in which they can run.
func manyJobs(key string, n int) fsm.SubmitRequest {
	c := oneJob(key)
	c.Jobs = make([]fsm.JobEntry, n)
	for i := range c.Jobs {
		c.Jobs[i].Name = fmt.Sprint("job-", i)
		if i < n-1 {
			c.Jobs[i].Needs = []fsm.Need{{Job: uint32(i + 1)}}
		}
	}
	return c
}

// TestLargeRequestComesInParts submits a request of several parts, under its key a second time, and cancels it.
func TestLargeRequestComesInParts(t *testing.T) {
	all := runCluster(t)
	leader := theLeader(t, all...)
	const n = 3 * partJobsMax
	submitted := func(key string) fsm.RequestSubmitted {
		v, err := leader.Propose(t.Context(), manyJobs(key, n))
		if err != nil {
			t.Fatal(err)
		}
		return v.(fsm.RequestSubmitted)
	}
	first := submitted("k")
	if again := submitted("k"); !again.Repeat || again.ID != first.ID || again.Jobs != n {
		t.Fatalf("submitted %+v, again %+v", first, again)
	}
	request := func() fsm.RequestInfo {
		v, _, err := leader.Read(t.Context(), Linearizable)
		if err != nil {
			t.Fatal(err)
		}
		info, ok := v.Request(first.ID)
		if !ok || len(v.Requests(fsm.RequestFilter{Limit: 10})) != 1 {
			t.Fatalf("requests %+v", v.Requests(fsm.RequestFilter{Limit: 10}))
		}
		return info
	}
	eventually(t, "the first job to be ready", func() bool { return request().Counts[fsm.Ready] == 1 })
	if _, err := leader.Propose(t.Context(), fsm.CancelRequest{ID: first.ID}); err != nil {
		t.Fatal(err)
	}
	if info := request(); info.State != fsm.Cancelled && info.Ending != fsm.Cancelled {
		t.Fatalf("cancelled it is %+v", info)
	}
	eventually(t, "all to be cancelled", func() bool {
		info := request()
		return info.State == fsm.Cancelled && info.Counts[fsm.Cancelled] == n
	})
	cycle := manyJobs("cycle", n)
	cycle.Jobs[n-1].Needs = []fsm.Need{{Job: 0}}
	var no *fsm.Refusal
	if _, err := leader.Propose(t.Context(), cycle); !errors.As(err, &no) || no.Code != fsm.CodeInvalid {
		t.Fatalf("a cycle was answered %v", err)
	}
}

// TestLeaderChangeBetweenParts: what had come of a request is forgotten with the leader, and can be sent anew.
func TestLeaderChangeBetweenParts(t *testing.T) {
	all := runCluster(t)
	leader := theLeader(t, all...)
	c := manyJobs("k", partJobsMax+1)
	ordered, refusal := c.Ordered()
	if refusal != nil {
		t.Fatal(refusal)
	}
	var last fsm.Command
	for cmd := range ordered.InParts(7, partJobsMax, partBytesMax) {
		if last = cmd; isCommit(cmd) {
			break // the leader ends before it
		}
		if _, err := leader.Propose(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
	}
	at := slices.IndexFunc(all, func(o running) bool { return o.Tasker().IsLeader() })
	all[at].stop() // it hands over: no other is to be stopped for leading by now
	leader = theLeader(t, slices.Delete(all, at, at+1)...)
	var no *fsm.Refusal
	if _, err := leader.Propose(t.Context(), last); !errors.As(err, &no) || no.Code != fsm.CodeNotFound {
		t.Fatalf("the last part was answered %v", err)
	}
	v, err := leader.Propose(t.Context(), c)
	if err != nil || v.(fsm.RequestSubmitted).Repeat {
		t.Fatalf("submitted anew: %+v, %v", v, err)
	}
}

func isCommit(cmd fsm.Command) bool { _, is := cmd.(*fsm.CommitSubmit); return is }
