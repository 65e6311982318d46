package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

const (
	// caughtUpEntries is how far behind the commit index a healthy node may be.
	caughtUpEntries = 1024
	// statusBytesMax is the size of a leader's status that a follower reads: a hundred thousand workers fit.
	statusBytesMax = 64 << 20
	// statusTimeout is how long a status waits for a majority or for the leader, before it tells what it knows.
	statusTimeout = 2 * time.Second
)

// getStatus answers on any node, leader or not, majority or not: this is what people look at when nothing works.
func (s *Server) getStatus(w http.ResponseWriter, r *http.Request) error {
	c, err := consistencyOf(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.statusWait)
	defer cancel()
	st := s.tasker.Status()
	var doc rest.Status
	switch {
	case c == cluster.Stale:
		doc, err = s.ownStatus(r.Context(), st, cluster.Stale)
	case s.tasker.IsLeader():
		doc, err = s.ownStatus(ctx, st, cluster.Linearizable)
	default:
		doc, err = s.leadersStatus(ctx, r, st)
	}
	if err != nil && c != cluster.Stale {
		why := err
		if doc, err = s.ownStatus(r.Context(), st, cluster.Stale); err == nil && doc.Problem == "" {
			doc.Problem = fmt.Sprintf("this is what %s knows by itself: %v", st.Node.Name, s.problemOf(why))
		}
	}
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, doc)
}

// ownStatus is made of what this node knows.
func (s *Server) ownStatus(ctx context.Context, st cluster.Status, c cluster.Consistency) (rest.Status, error) {
	v, _, err := s.tasker.Read(ctx, c)
	if err != nil {
		return rest.Status{}, err
	}
	doc := rest.Status{
		Cluster: st.Cluster, ClusterID: st.ClusterID, Node: st.Node.ID, NodeName: st.Node.Name, Version: st.Version, Raft: raftOf(st),
		Coordinators: s.coordinators(), Workers: s.workers(v.Workers()), Jobs: countsOf(v.Counts()),
		Health: rest.Healthy, Tolerates: st.Tolerates, Problem: st.Problem, Fresh: c == cluster.Linearizable,
		Started: st.Started.UTC(), QueueBytes: st.QueueBytes, DiskFree: st.DiskFree,
	}
	if st.HasLeader {
		doc.Leader = leaderOf(st.Leader)
	}
	if !st.Healthy || !st.HasLeader {
		doc.Health = rest.Unhealthy
	}
	return doc, nil
}

// leadersStatus is the leader's, with what is about this node put in its place.
func (s *Server) leadersStatus(ctx context.Context, r *http.Request, st cluster.Status) (rest.Status, error) {
	peer, err := s.forwardTo(r)
	if err != nil {
		return rest.Status{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+peer.HTTP+"/v1/status", nil)
	if err != nil {
		return rest.Status{}, fmt.Errorf("leader's address %q: %w", peer.HTTP, err)
	}
	req.Header.Set(headerForwarded, st.Node.ID)
	if token := r.Header.Get("Authorization"); token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := s.peers.Do(req)
	if err != nil {
		return rest.Status{}, s.noLeader("the leader does not answer: %v", err)
	}
	defer resp.Body.Close()
	var doc rest.Status
	if err := json.NewDecoder(io.LimitReader(resp.Body, statusBytesMax)).Decode(&doc); err != nil || resp.StatusCode != http.StatusOK {
		return rest.Status{}, s.noLeader("the leader at %s answered %s", peer.HTTP, resp.Status)
	}
	if doc.Leader == nil || doc.Leader.ID != doc.Node {
		return rest.Status{}, s.noLeader("%s was taken for the leader and is not", peer.HTTP)
	}
	doc.Node, doc.NodeName, doc.Version = st.Node.ID, st.Node.Name, st.Version
	doc.Raft, doc.Started, doc.DiskFree = raftOf(st), st.Started.UTC(), st.DiskFree
	return doc, nil
}

func (s *Server) coordinators() []rest.Coordinator {
	servers := s.tasker.Servers()
	list := make([]rest.Coordinator, len(servers))
	for i, srv := range servers {
		list[i] = coordinatorOf(srv)
	}
	return list
}

func (s *Server) workers(infos []fsm.WorkerInfo) []rest.Worker {
	list := make([]rest.Worker, len(infos))
	for i, w := range infos {
		list[i] = workerOf(w, s.tasker)
	}
	return list
}

func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) error {
	st := s.tasker.Status()
	h := rest.Health{Status: rest.Healthy, Node: st.Node.ID}
	switch {
	case !st.HasLeader:
		h.Problem = "no leader is known"
	case st.Committed > st.Applied+caughtUpEntries:
		h.Problem = fmt.Sprintf("%d log entries behind", st.Committed-st.Applied)
	}
	if st.HasLeader {
		h.Leader = st.Leader.ID
	}
	if h.Problem != "" {
		h.Status = rest.Unhealthy
		return answer(w, http.StatusServiceUnavailable, h)
	}
	return answer(w, http.StatusOK, h)
}

func (s *Server) getOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	doc, err := s.openAPI()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaJSON)
	w.Write(doc)
	return nil
}
