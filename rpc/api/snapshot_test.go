package api

import (
	"bytes"
	"net/http"
	"strings"
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

func TestSnapshotIsPutInPlace(t *testing.T) {
	r := newRig(t)
	r.call(201, "POST", "/v1/requests", chain)
	saved := string(r.call(200, "GET", "/v1/operator/snapshot", "").body)
	got := as[rest.SnapshotRestored](t, r.call(200, "PUT", "/v1/operator/snapshot", saved, "Content-Type", mediaBinary))
	if got.Requests != 1 || got.Sessions != 1 || got.Returned != 1 || got.Cluster != "test" || got.Saved.IsZero() || got.Index == 0 {
		t.Errorf("answered %+v", got)
	}
	r.fails(400, rest.CodeInvalid, "PUT", "/v1/operator/snapshot", saved[1:])
	r.fails(400, rest.CodeInvalid, "PUT", "/v1/operator/snapshot", "")
	r.fails(400, rest.CodeInvalid, "PUT", "/v1/operator/snapshot?force=perhaps", saved)
	r.fake.failWith = cluster.ErrForeignSnapshot
	if p := r.fails(409, rest.CodeConflict, "PUT", "/v1/operator/snapshot", saved); !strings.Contains(p.Detail, "force=true") {
		t.Errorf("it does not say what to do: %s", p.Detail)
	}
	r.fake.failWith = cluster.ErrUnknownOutcome
	r.fails(503, rest.CodeUnknownOutcome, "PUT", "/v1/operator/snapshot", saved)
}
