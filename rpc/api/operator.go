package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

func (s *Server) listRaft(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, rest.RaftServers{Servers: s.coordinators()})
}

func (s *Server) transferLeadership(w http.ResponseWriter, r *http.Request) error {
	var in rest.Transfer
	if err := decode(w, r, &in); err != nil {
		return err
	}
	if in.To != "" {
		if _, err := s.server(in.To); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), proposeTimeout)
	defer cancel()
	if err := s.tasker.TransferLeadership(ctx, in.To); err != nil {
		return operatorProblem(err)
	}
	return s.listRaft(w, r)
}

func (s *Server) removeServer(w http.ResponseWriter, r *http.Request) error {
	found, err := s.server(r.PathValue("id"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), proposeTimeout)
	defer cancel()
	if err := s.tasker.RemoveServer(ctx, found.ID); err != nil {
		return operatorProblem(err)
	}
	return s.listRaft(w, r)
}

// server finds a coordinator by id or name.
func (s *Server) server(idOrName string) (cluster.Server, error) {
	var named []cluster.Server
	for _, srv := range s.tasker.Servers() {
		if srv.ID == idOrName {
			return srv, nil
		}
		if srv.Name == idOrName {
			named = append(named, srv)
		}
	}
	switch len(named) {
	case 1:
		return named[0], nil
	case 0:
		return cluster.Server{}, problem(rest.CodeNotFound, "no coordinator %.80q in the Raft configuration; GET /v1/operator/raft lists them", idOrName)
	}
	return cluster.Server{}, problem(rest.CodeConflict, "%d coordinators are called %.80q: name one by its id", len(named), idOrName)
}

// operatorProblem makes a conflict of what the cluster refuses in words only.
func operatorProblem(err error) error {
	var (
		notLeader *cluster.NotLeaderError
		refusal   *fsm.Refusal
	)
	for _, known := range []error{cluster.ErrNoLeader, cluster.ErrUnknownOutcome, cluster.ErrOverloaded, cluster.ErrBadServer, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return err
		}
	}
	if errors.As(err, &notLeader) || errors.As(err, &refusal) {
		return err
	}
	return problem(rest.CodeConflict, "%v", err)
}
