package api

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/musterhq/muster/cluster/backup"
	"github.com/musterhq/muster/rpc/rest"
)

const (
	// snapshotsMax is how many readers of snapshots there may be at one time: each keeps the state as it was from
	// being given up.
	snapshotsMax = 2
	// snapshotPiece is written within streamWriteLimit or the reader is given up. A chunk of the state may be far larger.
	snapshotPiece = 64 << 10
	// snapshotPause is how long a snapshot that is to be restored may stay without a further byte.
	snapshotPause = 30 * time.Second
)

// getSnapshot streams the state as it is after all that was acknowledged before the call.
func (s *Server) getSnapshot(w http.ResponseWriter, r *http.Request) error {
	if s.snapshots.Add(1) > snapshotsMax {
		s.snapshots.Add(-1)
		return s.later(problem(rest.CodeOverloaded, "%d snapshots are being read already, which is the limit; nothing was done", snapshotsMax))
	}
	defer s.snapshots.Add(-1)
	ctx, cancel := s.streaming(r)
	defer cancel()
	v, err := s.view(w, r.WithContext(ctx))
	if err != nil {
		return err
	}
	st := s.tasker.Status()
	w.Header().Set("Content-Type", mediaBinary)
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=muster-%d.snapshot", v.Index()))
	head := backup.Header{
		Cluster: st.Cluster, ClusterID: st.ClusterID, Node: st.Node.Name, Version: st.Version, Term: st.Term, Time: time.Now().UTC(),
	}
	if err := backup.Write(pieces{w, ctx.Err}, head, v); err != nil {
		s.log.Warn("a reader of a snapshot was given up", "error", err)
		panic(http.ErrAbortHandler) // the reader must not take it for the end
	}
	return nil
}

// putSnapshot puts the state of a snapshot in place of the cluster's.
func (s *Server) putSnapshot(w http.ResponseWriter, r *http.Request) error {
	force, err := flag(r.URL.Query(), paramForce)
	if err != nil {
		return err
	}
	h, done, err := s.tasker.Restore(r.Context(), patient{r.Body, http.NewResponseController(w)}, force)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, rest.SnapshotRestored{
		Cluster: h.Cluster, ClusterID: h.ClusterID, Saved: h.Time, Index: h.Index,
		Sessions: done.Sessions, Requests: done.Requests, Returned: done.Returned,
	})
}

// patient is a body that may take as long as it likes to come, as long as something comes now and then.
type patient struct {
	body io.Reader
	rc   *http.ResponseController
}

func (p patient) Read(b []byte) (int, error) {
	p.rc.SetReadDeadline(time.Now().Add(snapshotPause))
	n, err := p.body.Read(b)
	if err != nil {
		p.rc.SetReadDeadline(time.Time{}) // what follows takes its time, and whoever waits must not be cut off
	}
	return n, err
}

// pieces writes in pieces, so that each has its time, until gone says why to end.
type pieces struct {
	w    http.ResponseWriter
	gone func() error
}

func (p pieces) Write(b []byte) (n int, err error) {
	for n < len(b) {
		if err := p.gone(); err != nil {
			return n, err
		}
		m, err := p.w.Write(b[n:min(n+snapshotPiece, len(b))])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
