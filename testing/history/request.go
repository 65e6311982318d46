package history

// The states of a request and of a job, as they are read.
const (
	running   = "running"
	done      = "done"
	failed    = "failed"
	cancelled = "cancelled"
	// over stands for done or failed: it ended by itself, and nobody has seen how.
	over = "over"
)

// requestState is a request as the model knows it. The zero value: never submitted.
type requestState struct {
	Exists bool
	ID     string // empty: nobody was told yet
	Body   uint64
	State  string
}

// stepRequest says whether a request in state s may answer so, and how it is then.
func stepRequest(s requestState, in Input, out Output) (requestState, bool) {
	switch in.Kind {
	case Submit:
		return s.submit(in, out)
	case Read:
		return s.read(out)
	case Cancel:
		return s.cancel(out)
	case Retry:
		return s.retry(out)
	}
	return s, false
}

// submit: the first one makes the request; each further one of the same body is answered alike, one of another refused.
func (s requestState) submit(in Input, out Output) (requestState, bool) {
	switch out.Code {
	case Unknown:
		if !s.Exists {
			return requestState{Exists: true, Body: in.Body, State: running}, true
		}
		return s, true
	case Conflict:
		return s, s.Exists && s.Body != in.Body
	case OK:
		if s.Exists != out.Repeat || s.Exists && s.Body != in.Body {
			return s, false
		}
		if !s.Exists {
			s = requestState{Exists: true, ID: out.ID, Body: in.Body, State: running}
		}
		return s.read(out) // the answer tells how it stands
	}
	return s, false
}

// named is s once its id was told.
func (s requestState) named(id string) (requestState, bool) {
	if s.ID != "" && s.ID != id {
		return s, false
	}
	s.ID = id
	return s, true
}

// read: a running request may have ended by itself; one that was cancelled is nothing else.
func (s requestState) read(out Output) (requestState, bool) {
	if out.Code == NotFound {
		return s, !s.Exists
	}
	if out.Code != OK || !s.Exists {
		return s, false
	}
	s, ok := s.named(out.ID)
	ended := out.State == done || out.State == failed
	switch {
	case s.State == out.State:
	case (s.State == running || s.State == over) && ended:
		s.State = out.State
	default:
		ok = false
	}
	return s, ok
}

// cancel ends a request that runs, says yes again to one that it has ended, and no to one that ended by itself.
func (s requestState) cancel(out Output) (requestState, bool) {
	switch out.Code {
	case Unknown:
		if s.Exists && s.State == running {
			s.State = cancelled
		}
		return s, true
	case NotFound:
		return s, !s.Exists
	case OK:
		ok := s.Exists && (s.State == running || s.State == cancelled)
		s.State = cancelled
		return s, ok
	case Conflict:
		if s.State == running {
			s.State = over
		}
		return s, s.Exists && s.State != cancelled
	}
	return s, false
}

// retry sets a request that failed or was cancelled going again.
func (s requestState) retry(out Output) (requestState, bool) {
	switch out.Code {
	case Unknown:
		if s.State == failed || s.State == cancelled || s.State == over {
			s.State = running
		}
		return s, true
	case NotFound:
		return s, !s.Exists
	case OK:
		ok := s.Exists && s.State != done
		s.State = running // it may have failed by itself just before
		return s, ok
	case Conflict: // it runs, or is done
		ok := s.Exists && s.State != failed && s.State != cancelled
		if s.State == over {
			s.State = done
		}
		return s, ok
	}
	return s, false
}
