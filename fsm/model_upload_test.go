package fsm

import "slices"

// modelUpload is a request that comes in parts.
type modelUpload struct {
	head    BeginSubmit
	id      RequestID
	parts   uint32
	specs   []JobSpec
	jobs    []JobEntry
	touched int64
}

// whole is the request as far as it has come.
func (u *modelUpload) whole() SubmitRequest {
	h := &u.head
	return SubmitRequest{
		Session: h.Session, Name: h.Name, Key: h.Key, Body: h.Body, MaxRunning: h.MaxRunning, OnFailure: h.OnFailure, Hold: h.Hold, Specs: u.specs, Jobs: u.jobs,
	}
}

func (m *model) upload(id uint64) *modelUpload {
	for _, u := range m.uploads {
		if u.head.Upload == id {
			return u
		}
	}
	return nil
}

func (m *model) drop(id uint64) {
	m.uploads = slices.DeleteFunc(m.uploads, func(u *modelUpload) bool { return u.head.Upload == id })
}

func (m *model) begin(c BeginSubmit, _ uint64) (any, Code) {
	if answer, code := m.repeated(c.Key, c.Body); code != CodeOK || answer != nil {
		return answer, code
	}
	switch {
	case m.upload(c.Upload) != nil:
		return nil, CodeConflict
	case len(m.uploads) >= int(m.limits.Uploads):
		return nil, CodeLimit
	}
	u := &modelUpload{head: c, id: RequestID(len(m.requests) + 1), touched: m.now}
	if _, code := m.mayCome(u.whole(), int(c.Jobs)); code != CodeOK {
		return nil, code
	}
	m.requests = append(m.requests, &modelRequest{id: u.id, reaped: true}) // nobody sees it
	m.uploads = append(m.uploads, u)
	return nil, CodeOK
}

func (m *model) part(c SubmitPart) Code {
	u := m.upload(c.Upload)
	switch {
	case u == nil:
		return CodeNotFound
	case c.Part != u.parts:
		return CodeConflict
	}
	jobs, specs := slices.Concat(u.jobs, c.Jobs), slices.Concat(u.specs, c.Specs)
	for i, j := range jobs {
		if slices.ContainsFunc(j.Needs, func(n Need) bool { return int(n.Job) >= i }) {
			return CodeInvalid
		}
	}
	if len(jobs) > int(u.head.Jobs) || !sound(jobs, len(specs)) {
		return CodeInvalid
	}
	u.jobs, u.specs, u.touched = jobs, specs, m.now
	u.parts++
	return CodeOK
}

func (m *model) commit(c CommitSubmit) (any, Code) {
	u := m.upload(c.Upload)
	switch {
	case u == nil:
		return nil, CodeNotFound
	case c.Parts != u.parts:
		return nil, CodeConflict
	}
	if answer, code := m.repeated(u.head.Key, u.head.Body); code != CodeOK || answer != nil {
		if code == CodeOK {
			m.drop(c.Upload)
		}
		return answer, code
	}
	if len(u.jobs) != int(u.head.Jobs) {
		return nil, CodeInvalid
	}
	session, code := m.mayCome(u.whole(), len(u.jobs))
	if code != CodeOK {
		return nil, code
	}
	m.drop(c.Upload)
	return m.accept(u.whole(), u.id, session), CodeOK
}
