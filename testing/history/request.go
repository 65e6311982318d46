package history

import "cmp"

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
	Ended  bool // and was read so: it is not only about to be
}

// requestModel says whether a request in a state may answer so, and how it is then. steps: between that its end is settled
// and that it has ended there may be a while, in which a submit finds it running, and a retry too early.
type requestModel struct{ steps bool }

func (m requestModel) step(s requestState, in Input, out Output) (requestState, bool) {
	switch in.Kind {
	case Submit:
		return m.submit(s, in, out)
	case Read:
		return s.read(out)
	case Cancel:
		return s.cancel(out)
	case Retry:
		return m.retry(s, out)
	}
	return s, false
}

// submit: the first one makes the request; each further one of the same body is answered alike, one of another refused.
func (m requestModel) submit(s requestState, in Input, out Output) (requestState, bool) {
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
		if m.steps && out.State == running && !s.Ended {
			return s.named(out.ID)
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
	state := cmp.Or(out.Ending, out.State)
	ended := state == done || state == failed
	switch {
	case s.Ended && out.Ending != "":
		ok = false
	case s.State == state:
	case (s.State == running || s.State == over) && ended:
		s.State = state
	default:
		ok = false
	}
	s.Ended = out.State != running
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
func (m requestModel) retry(s requestState, out Output) (requestState, bool) {
	switch out.Code {
	case Unknown:
		if s.State == failed || s.State == cancelled || s.State == over {
			s.State, s.Ended = running, false
		}
		return s, true
	case NotFound:
		return s, !s.Exists
	case OK:
		ok := s.Exists && s.State != done
		s.State, s.Ended = running, false // it may have failed by itself just before
		return s, ok
	case Conflict: // it runs, or is done
		if m.steps && !s.Ended { // or is about to end
			return s, s.Exists
		}
		ok := s.Exists && s.State != failed && s.State != cancelled
		if s.State == over {
			s.State = done
		}
		return s, ok
	}
	return s, false
}
