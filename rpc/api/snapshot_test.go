package api

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/cluster/backup"
	"github.com/musterhq/muster/rpc/rest"
)

func TestSnapshotIsTheStateOfTheLeader(t *testing.T) {
	r := newRig(t)
	r.call(201, "POST", "/v1/requests", chain)
	got := r.call(200, "GET", "/v1/operator/snapshot", "")
	h, m, err := backup.Read(bytes.NewReader(got.body), int64(len(got.body)))
	if err != nil {
		t.Fatal(err)
	}
	if h.Cluster != "test" || h.Node != "alpha" || h.Term != 3 || h.Version != "v0" {
		t.Errorf("header %+v", h)
	}
	v, _, _ := r.fake.Read(t.Context(), cluster.Stale)
	if m.Hash() != v.Hash() || m.Index() != v.Index() || m.View().Totals().Requests != 1 {
		t.Errorf("the state is another: index %d of %d", m.Index(), v.Index())
	}
}

func TestSnapshotNeedsAMajority(t *testing.T) {
	r := newRig(t)
	r.fake.failWith = cluster.ErrNoLeader
	r.fails(503, rest.CodeNoLeader, "GET", "/v1/operator/snapshot", "")
}

func TestSnapshotReadersAreLimited(t *testing.T) {
	r := newRig(t)
	r.server.snapshots.Store(snapshotsMax)
	r.fails(http.StatusTooManyRequests, rest.CodeOverloaded, "GET", "/v1/operator/snapshot", "")
	r.server.snapshots.Store(0)
	for range snapshotsMax + 1 {
		r.call(200, "GET", "/v1/operator/snapshot", "")
	}
}
