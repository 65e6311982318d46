package api

import (
	"context"
	"net/http"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

// parentsBytesMax is how much of its parents' results an assignment carries.
const parentsBytesMax = 16 << 20

// joined finds a worker that may pick and beat.
func (s *Server) joined(ctx context.Context, id string) (fsm.WorkerInfo, error) {
	if id == "" {
		return fsm.WorkerInfo{}, invalid("worker is missing: give the id that POST /v1/workers answered")
	}
	wid, err := fsm.ParseWorkerID(id)
	if err != nil {
		return fsm.WorkerInfo{}, invalid("worker: %v", err)
	}
	return find(ctx, s, func(v *fsm.View) (fsm.WorkerInfo, error) {
		info, ok := v.Worker(wid)
		switch {
		case !ok:
			return info, notFound("worker", id)
		case info.Lost:
			return info, lostWorker(id)
		}
		return info, nil
	})
}

func lostWorker(id string) error {
	return problem(rest.CodeStale, "worker %s was not heard for too long, or has left: what it ran is no longer its own; join again with POST /v1/workers", id)
}

func (s *Server) alive(w http.ResponseWriter, r *http.Request) error {
	var in rest.Alive
	if err := decode(w, r, &in); err != nil {
		return err
	}
	running, err := grantsOf(in.Running)
	if err != nil {
		return err
	}
	info, err := s.joined(r.Context(), in.Worker)
	if err != nil {
		return err
	}
	a, err := s.tasker.Beat(r.Context(), info.ID, info.Incarnation, running)
	if err != nil {
		return err
	}
	if !a.Known {
		return lostWorker(in.Worker)
	}
	v, err := s.local(r.Context()) // one that has what the beat found
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, rest.AliveAnswer{Stop: attemptsOf(a.Stop), Missing: assignmentsOf(v, a.Missing)})
}

// assignmentsOf describes grants to a worker. One that has moved on meanwhile is left out.
func assignmentsOf(v *fsm.View, grants []fsm.Grant) []rest.Assignment {
	list := make([]rest.Assignment, 0, len(grants))
	for _, g := range grants {
		if j, ok := v.Job(g.Job); ok && j.Attempt == g.Attempt {
			list = append(list, assignmentOf(v, j))
		}
	}
	return list
}

func assignmentOf(v *fsm.View, j fsm.JobInfo) rest.Assignment {
	a := rest.Assignment{
		ID: j.ID.String(), Attempt: j.Attempt, Name: j.Name, Request: j.ID.Request.String(), Spec: workOf(j.Spec),
		Payload: jsonOf(j.Payload), Parents: make(map[string]rest.Parent, len(j.Needs)),
	}
	if r, ok := v.Request(j.ID.Request); ok {
		a.Session = r.Session.String()
	}
	left := parentsBytesMax
	for _, need := range j.Needs {
		parent, ok := v.Job(fsm.JobID{Request: j.ID.Request, Index: need.Job})
		if left -= len(parent.Result); !ok || left < 0 {
			a.ParentsLeftOut++
			continue
		}
		a.Parents[parent.Name], _ = resultOf(parent)
	}
	return a
}
