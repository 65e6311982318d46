package history

// Further states of a job.
const (
	picked = "picked"
	// free stands for waiting, ready and delayed: in nobody's hands, and not ended as far as is known.
	free = "free"
	// held stands for picked and running.
	held = "held"
	// ended stands for failed or cancelled: nobody has seen which.
	ended = "ended"
)

// jobState is a job as the model knows it. The zero value but for State, which is free: never picked.
type jobState struct {
	State   string // free, held, done, failed, cancelled or ended
	Attempt uint32 // the newest that is known
	Worker  string // whose it is or was
	Started bool
	Result  string // of a job that is done
	Retried bool   // with its request, and nobody has seen it go on since
}

// jobModel says whether a job in a state may answer so, and how it is then. strangers: workers that are not recorded may
// run it, too, so it may be found running or done although nobody said so. steps: what becomes of it with its request may
// show a while later.
type jobModel struct{ strangers, steps bool }

func (m jobModel) step(s jobState, in Input, out Output) (jobState, bool) {
	switch in.Kind {
	case Pick:
		if s.State == held && in.Attempt == s.Attempt && in.Worker == s.Worker {
			return s, true // handed out again to its holder, who seemed not to have it
		}
		ok := (s.State == free || s.State == held) && in.Attempt > s.Attempt
		return jobState{State: held, Attempt: in.Attempt, Worker: in.Worker}, ok
	case Start, Done, Failed, Return:
		return s.report(in, out.Code)
	case ReadJob:
		return m.read(s, out)
	case Cancel:
		return m.cancel(s, out.Code), true
	case Retry:
		return m.retry(s, out.Code), true
	}
	return s, false
}

// report: only the worker that holds the current attempt changes the job; what it said before it may say again.
func (s jobState) report(in Input, code Code) (jobState, bool) {
	current := s.Attempt == in.Attempt && s.Worker == in.Worker
	holds := current && s.State == held
	switch code {
	case OK:
		if holds {
			return s.reported(in), true
		}
		return s, current && s.repeats(in)
	case Unknown:
		if holds {
			return s.reported(in), true
		}
		return s, true
	case Stale:
		if current && s.State == done && (in.Kind == Start || in.Kind == Done) {
			return s, false
		}
		fallthrough
	case Fenced:
		if holds { // it was lost, or ended by itself, before
			s.State, s.Started = free, false
		}
		return s, true
	}
	return s, false
}

func (s jobState) reported(in Input) jobState {
	switch in.Kind {
	case Start:
		s.Started = true
	case Done:
		s.State, s.Result = done, in.Result
	default: // FAILED: a retry comes, or the end; the next to read it sees which
		s.State, s.Started = free, false
	}
	return s
}

// repeats says whether a word on an attempt that is over may be answered as if it were the first time.
func (s jobState) repeats(in Input) bool {
	switch in.Kind {
	case Start: // an attempt that failed or timed out had begun
		return s.State == done || s.State == free || s.State == failed || s.State == ended
	case Done:
		return s.State == done && s.Result == in.Result
	case Failed:
		return s.State == free || s.State == failed || s.State == ended
	}
	return s.State == free
}

// read: attempts count up, whoever holds one stays its holder, and what ended stays so.
func (m jobModel) read(s jobState, out Output) (jobState, bool) {
	if out.Code != OK || out.Attempt < s.Attempt {
		return s, false
	}
	same := out.Attempt == s.Attempt
	now := jobState{State: out.State, Attempt: out.Attempt, Worker: out.Worker}
	switch s.State {
	case done:
		return s, same && out.State == done && out.Worker == s.Worker && out.Result == s.Result
	case failed, cancelled:
		return s, same && out.State == s.State
	case ended:
		if m.steps && out.State != done && out.State != failed && out.State != cancelled {
			now.State = ended // not yet
			return now, true
		}
		return now, out.State == failed || out.State == cancelled
	}
	if s.Retried && same && (out.State == failed || out.State == cancelled) {
		return s, true // not yet, or again
	}
	mine := same && s.State == held && out.Worker == s.Worker
	switch out.State {
	case picked:
		now.State = held
		return now, !same || mine && !s.Started
	case running:
		now.State, now.Started = held, true
		return now, mine && s.Started || m.strangers && (!same || mine)
	case done:
		now.Result = out.Result
		return now, m.strangers && (!same || mine)
	case failed:
		return now, out.Attempt > 0
	case cancelled:
		return now, true
	}
	now.State = free
	if same {
		now.Worker = s.Worker
	}
	return now, true
}

// cancel is that of its request. It is judged there; here it means that nothing goes on.
func (m jobModel) cancel(s jobState, code Code) jobState {
	open := s.State == free || s.State == held
	if open && (code == OK || code == Unknown || code == Conflict && !m.strangers) {
		s.State, s.Started = ended, false
	}
	return s
}

// retry is that of its request: whatever is not done begins anew.
func (m jobModel) retry(s jobState, code Code) jobState {
	over := s.State == failed || s.State == cancelled || s.State == ended
	if code == OK && s.State != done || code == Unknown && over {
		s.State, s.Started, s.Retried = free, false, m.steps
	}
	return s
}
