package api

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"slices"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/rpc/wire"
)

func (s *Server) listWorkers(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q)
	if err != nil {
		return err
	}
	after, _, err := afterOf(q, fsm.ParseWorkerID)
	if err != nil {
		return err
	}
	v, err := s.view(w, r)
	if err != nil {
		return err
	}
	infos := v.Workers()
	first, _ := slices.BinarySearchFunc(infos, after+1, func(i fsm.WorkerInfo, id fsm.WorkerID) int { return cmp.Compare(i.ID, id) })
	infos = infos[first:]
	doc := rest.Workers{}
	if len(infos) > limit {
		infos = infos[:limit]
		doc.Next = infos[limit-1].ID.String()
	}
	doc.Workers = s.workers(infos)
	return answer(w, http.StatusOK, doc)
}

func (s *Server) joinWorker(w http.ResponseWriter, r *http.Request) error {
	var in rest.WorkerJoin
	if err := decode(w, r, &in); err != nil {
		return err
	}
	if in.Name == "" {
		return invalid("name is missing")
	}
	cmd := &fsm.JoinWorker{
		Name: in.Name, Process: rand.Uint64(), Queues: in.Queues, Labels: sortedPairs(in.Labels), Slots: max(in.Slots, 1),
	}
	if len(cmd.Queues) == 0 {
		cmd.Queues = []string{wire.DefaultQueue}
	}
	joined, _, err := propose[fsm.WorkerJoined](r.Context(), s, cmd)
	if err != nil {
		return err
	}
	if _, err := s.tasker.Beat(r.Context(), joined.ID, joined.Incarnation, nil); err != nil { // its time to live begins now
		return err
	}
	return answer(w, http.StatusCreated, rest.WorkerJoined{ID: joined.ID.String(), TTL: rest.Duration(s.tasker.TTL())})
}

func sortedPairs(m map[string]string) []fsm.Pair {
	pairs := make([]fsm.Pair, 0, len(m))
	for k, v := range m {
		pairs = append(pairs, fsm.Pair{Key: k, Value: v})
	}
	slices.SortFunc(pairs, func(a, b fsm.Pair) int { return cmp.Compare(a.Key, b.Key) })
	return pairs
}

// worker finds a worker by id, or by name when one worker has it.
func worker(v *fsm.View, idOrName string) (fsm.WorkerInfo, error) {
	if id, err := fsm.ParseWorkerID(idOrName); err == nil {
		if info, ok := v.Worker(id); ok {
			return info, nil
		}
	}
	var found []fsm.WorkerInfo
	for _, info := range v.Workers() {
		if info.Name == idOrName && !info.Lost {
			found = append(found, info)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return fsm.WorkerInfo{}, notFound("worker", idOrName)
	}
	return fsm.WorkerInfo{}, problem(rest.CodeConflict, "%d workers are called %.80q: name one by its id, like %s", len(found), idOrName, found[0].ID)
}

func (s *Server) drainWorker(w http.ResponseWriter, r *http.Request) error {
	return s.drain(w, r, false)
}
func (s *Server) undrainWorker(w http.ResponseWriter, r *http.Request) error {
	return s.drain(w, r, true)
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request, undo bool) error {
	info, err := find(r.Context(), s, func(v *fsm.View) (fsm.WorkerInfo, error) { return worker(v, r.PathValue("id")) })
	if err != nil {
		return err
	}
	_, v, err := propose[any](r.Context(), s, &fsm.DrainWorker{Worker: info.ID, Undo: undo})
	if err != nil {
		return err
	}
	if info, err = worker(v, info.ID.String()); err != nil {
		return err
	}
	return answer(w, http.StatusOK, workerOf(info, s.tasker))
}
