package api

import (
	"net/http"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

func (s *Server) openSession(w http.ResponseWriter, r *http.Request) error {
	var in rest.SessionOpen
	if err := decode(w, r, &in); err != nil {
		return err
	}
	if in.Name == "" {
		return invalid("name is missing")
	}
	opened, v, err := propose[fsm.SessionOpened](r.Context(), s, &fsm.OpenSession{Name: in.Name})
	if err != nil {
		return err
	}
	info, ok := v.Session(opened.ID)
	if !ok {
		return notFound("session", opened.ID.String())
	}
	status := http.StatusOK
	if opened.Created {
		status = http.StatusCreated
		w.Header().Set("Location", "/v1/sessions/"+opened.ID.String())
	}
	return answer(w, status, sessionOf(info))
}

func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q)
	if err != nil {
		return err
	}
	after, _, err := afterOf(q, fsm.ParseSessionID)
	if err != nil {
		return err
	}
	v, err := s.view(w, r)
	if err != nil {
		return err
	}
	infos := v.Sessions(after, limit+1)
	doc := rest.Sessions{Sessions: make([]rest.Session, 0, len(infos))}
	for i, info := range infos {
		if i == limit {
			doc.Next = infos[i-1].ID.String()
			break
		}
		doc.Sessions = append(doc.Sessions, sessionOf(info))
	}
	return answer(w, http.StatusOK, doc)
}

// session finds a session by id or name.
func session(v *fsm.View, idOrName string) (fsm.SessionInfo, error) {
	if id, err := fsm.ParseSessionID(idOrName); err == nil {
		if info, ok := v.Session(id); ok {
			return info, nil
		}
	}
	if info, ok := v.SessionByName(idOrName); ok {
		return info, nil
	}
	return fsm.SessionInfo{}, notFound("session", idOrName)
}

func (s *Server) getSession(w http.ResponseWriter, r *http.Request) error {
	find := func(v *fsm.View, r *http.Request) (fsm.SessionInfo, error) { return session(v, r.PathValue("id")) }
	return describe(s, w, r, find, func(_ *fsm.View, info fsm.SessionInfo) any { return sessionOf(info) })
}

func (s *Server) closeSession(w http.ResponseWriter, r *http.Request) error {
	info, err := find(r.Context(), s, func(v *fsm.View) (fsm.SessionInfo, error) { return session(v, r.PathValue("id")) })
	if err != nil {
		return err
	}
	_, v, err := propose[any](r.Context(), s, &fsm.CloseSession{ID: info.ID})
	if err != nil {
		return err
	}
	if info, err = session(v, info.ID.String()); err != nil {
		return err
	}
	return answer(w, http.StatusOK, sessionOf(info))
}
