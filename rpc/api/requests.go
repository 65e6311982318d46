package api

import (
	"errors"
	"net/http"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/rpc/spec"
	"github.com/musterhq/muster/rpc/wire"
)

// keyBytesMax is the length of an idempotency key.
const keyBytesMax = 255

func (s *Server) submitRequest(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	cmd, err := s.readSpec(w, r)
	if err != nil {
		return err
	}
	cmd.Key = key
	submitted, _, err := propose[fsm.RequestSubmitted](r.Context(), s, cmd)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/requests/"+submitted.ID.String())
	status := http.StatusCreated
	if submitted.Repeat {
		status = http.StatusOK
	}
	return answer(w, status, submittedOf(submitted))
}

func idempotencyKey(r *http.Request) (string, error) {
	key := r.Header.Get(rest.HeaderKey)
	if len(key) > keyBytesMax {
		return "", invalid("%s has %d bytes, at most %d are allowed", rest.HeaderKey, len(key), keyBytesMax)
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return "", invalid("%s may have printable ASCII characters only", rest.HeaderKey)
		}
	}
	return key, nil
}

// readSpec reads a body into the command that submits it. So many bytes of bodies are read at one time, no more.
func (s *Server) readSpec(w http.ResponseWriter, r *http.Request) (*fsm.SubmitRequest, error) {
	if err := checkMediaType(r, true); err != nil {
		return nil, err
	}
	held := &meteredBody{ReadCloser: r.Body, budget: s.submits}
	defer held.release()
	r.Body = held
	body, err := readBody(w, r, s.maxBody)
	if err != nil {
		return nil, err
	}
	doc, err := spec.Parse(body)
	if err != nil {
		return nil, err
	}
	cmd, err := submitOf(&doc)
	if err != nil {
		return nil, canonicalProblem(err)
	}
	return cmd, s.checkPayloads(r, cmd)
}

func canonicalProblem(err error) error {
	var bad *wire.SpecError
	if !errors.As(err, &bad) {
		return err
	}
	p := invalid("%v", bad)
	p.Errors = []rest.FieldProblem{{Field: bad.Field, Detail: bad.Error()}}
	return p
}

// checkPayloads refuses early what the state machine would refuse: a payload too large travels no further.
func (s *Server) checkPayloads(r *http.Request, cmd *fsm.SubmitRequest) error {
	v, err := s.local(r.Context())
	if err != nil {
		return err
	}
	limit := int(v.Limits().PayloadBytes)
	for i := range cmd.Jobs {
		if n := len(cmd.Jobs[i].Payload); n > limit {
			return problem(rest.CodeTooLarge, "payload of job %q has %d bytes, at most %d are allowed: put it in a file and pass its path",
				cmd.Jobs[i].Name, n, limit)
		}
	}
	return nil
}

func (s *Server) listRequests(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q)
	if err != nil {
		return err
	}
	f := fsm.RequestFilter{Limit: limit + 1}
	if f.Before, _, err = afterOf(q, fsm.ParseRequestID); err != nil {
		return err
	}
	if f.State, f.HasState, err = stateOf(q); err != nil {
		return err
	}
	v, err := s.view(w, r)
	if err != nil {
		return err
	}
	if name := q.Get(paramSession); name != "" {
		info, err := session(v, name)
		if err != nil {
			return err
		}
		f.Session = info.ID
	}
	infos := v.Requests(f)
	doc := rest.Requests{Requests: make([]rest.Request, 0, len(infos))}
	for i, info := range infos {
		if i == limit {
			doc.Next = infos[i-1].ID.String()
			break
		}
		doc.Requests = append(doc.Requests, requestOf(info))
	}
	return answer(w, http.StatusOK, doc)
}

// request finds the request of the path.
func request(v *fsm.View, r *http.Request) (fsm.RequestInfo, error) {
	id, err := pathID(r, "request", fsm.ParseRequestID)
	if err != nil {
		return fsm.RequestInfo{}, err
	}
	info, ok := v.Request(id)
	if !ok {
		return info, notFound("request", id.String())
	}
	return info, nil
}

func (s *Server) getRequest(w http.ResponseWriter, r *http.Request) error {
	return describe(s, w, r, request, func(_ *fsm.View, info fsm.RequestInfo) any { return requestOf(info) })
}

func (s *Server) cancelRequest(w http.ResponseWriter, r *http.Request) error {
	return s.steer(w, r, func(id fsm.RequestID) fsm.Command { return &fsm.CancelRequest{ID: id} })
}

func (s *Server) pauseRequest(w http.ResponseWriter, r *http.Request) error {
	return s.steer(w, r, func(id fsm.RequestID) fsm.Command { return &fsm.PauseRequest{ID: id} })
}

func (s *Server) resumeRequest(w http.ResponseWriter, r *http.Request) error {
	return s.steer(w, r, func(id fsm.RequestID) fsm.Command { return &fsm.ResumeRequest{ID: id} })
}

// steer has something done to the request of the path, and answers with how it is then.
func (s *Server) steer(w http.ResponseWriter, r *http.Request, command func(fsm.RequestID) fsm.Command) error {
	id, err := pathID(r, "request", fsm.ParseRequestID)
	if err != nil {
		return err
	}
	_, v, err := propose[any](r.Context(), s, command(id))
	if err != nil {
		return err
	}
	info, err := request(v, r)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, requestOf(info))
}

func (s *Server) retryRequest(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "request", fsm.ParseRequestID)
	if err != nil {
		return err
	}
	revived, v, err := propose[uint32](r.Context(), s, &fsm.RetryRequest{ID: id})
	if err != nil {
		return err
	}
	info, err := request(v, r)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, rest.Retried{Revived: revived, Request: requestOf(info)})
}

func (s *Server) getGraph(w http.ResponseWriter, r *http.Request) error {
	p, err := jobPageOf(r.URL.Query())
	if err != nil {
		return err
	}
	v, err := s.view(w, r)
	if err != nil {
		return err
	}
	info, err := request(v, r)
	if err != nil {
		return err
	}
	doc := rest.Graph{Request: info.ID.String(), Jobs: []rest.Node{}}
	doc.Next = p.each(v, info, func(j fsm.JobInfo) int {
		n := nodeOf(j, v)
		doc.Jobs = append(doc.Jobs, n)
		return needsBytes(n.Needs) + needsBytes(n.NeedsAny)
	})
	return answer(w, http.StatusOK, doc)
}
