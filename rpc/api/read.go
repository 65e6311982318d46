package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

// view gives the state as fresh as the call wants it, and says in the answer's header which it was.
func (s *Server) view(w http.ResponseWriter, r *http.Request) (*fsm.View, error) {
	c, err := consistencyOf(r)
	if err != nil {
		return nil, err
	}
	v, age, err := s.read(r.Context(), c)
	if err != nil {
		return nil, err
	}
	if c == cluster.Stale {
		w.Header().Set(rest.HeaderAge, ageText(age))
	}
	w.Header().Set(rest.HeaderIndex, strconv.FormatUint(v.Index(), 10))
	return v, nil
}

// read reads within readTimeout.
func (s *Server) read(ctx context.Context, c cluster.Consistency) (*fsm.View, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	v, age, err := s.tasker.Read(ctx, c)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errTimedOut
	}
	return v, age, err
}

// ageText is the age of a stale read; negative is of a node that never heard a leader.
func ageText(age time.Duration) string {
	if age < 0 {
		return "unknown"
	}
	return age.Round(time.Millisecond).String()
}

// local gives the state as this node has it.
func (s *Server) local(ctx context.Context) (*fsm.View, error) {
	v, _, err := s.tasker.Read(ctx, cluster.Stale)
	return v, err
}

// find looks something up in the state as this node has it. A leader that was deposed and does not know it yet has an old
// one: what look refuses is only refused of a state of which a majority says that it is no older than the call.
func find[T any](ctx context.Context, s *Server, look func(*fsm.View) (T, error)) (found T, err error) {
	v, err := s.local(ctx)
	if err != nil {
		return found, err
	}
	if found, err = look(v); err == nil {
		return found, nil
	}
	if v, _, err = s.read(ctx, cluster.Linearizable); err != nil {
		return found, err
	}
	return look(v)
}

// describe answers with the document of one thing that the path names.
func describe[T any](s *Server, w http.ResponseWriter, r *http.Request, find func(*fsm.View, *http.Request) (T, error), doc func(*fsm.View, T) any) error {
	v, err := s.view(w, r)
	if err != nil {
		return err
	}
	found, err := find(v, r)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, doc(v, found))
}

// propose has a command replicated and gives its answer, and the state after it.
func propose[T any](ctx context.Context, s *Server, cmd fsm.Command) (answer T, v *fsm.View, err error) {
	ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	value, err := s.tasker.Propose(ctx, cmd)
	if err != nil {
		return answer, nil, err
	}
	answer, _ = value.(T) // nil for commands that answer nothing
	v, err = s.local(ctx)
	return answer, v, err
}
