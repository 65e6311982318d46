package fsm

func (m *Machine) openSession(c *OpenSession) (any, *Refusal) {
	if id, ok := m.db.names.Get(c.Name); ok {
		if m.db.session(id).closed {
			return nil, refuse(CodeConflict, "session %q is closed", c.Name)
		}
		return SessionOpened{ID: id}, nil
	}
	if refusal := m.mayOpen(c.Name); refusal != nil {
		return nil, refusal
	}
	return SessionOpened{ID: m.addSession(c.Name), Created: true}, nil
}

// mayOpen says why a new session of that name cannot be opened.
func (m *Machine) mayOpen(name string) *Refusal {
	if refusal := checkName("a session's name", name); refusal != nil {
		return refusal
	}
	if m.db.sessions.Len() >= int(m.limits.Sessions) {
		return refuse(CodeLimit, "there are %d sessions, as many as the limit allows: close some that are done with", m.limits.Sessions)
	}
	return nil
}

func (m *Machine) addSession(name string) SessionID {
	s := &session{id: m.nextSession, name: name, created: m.now}
	m.nextSession++
	m.db.addSession(s)
	return s.id
}

func (m *Machine) closeSession(c *CloseSession) *Refusal {
	s := m.db.session(c.ID)
	switch {
	case s == nil:
		return refuse(CodeNotFound, "session %s is not known", c.ID)
	case s.closed:
		return nil
	}
	m.db.editSession(c.ID, func(s *session) { s.closed, s.closedAt = true, m.now })
	m.dueSession(m.db.session(c.ID))
	return nil
}
