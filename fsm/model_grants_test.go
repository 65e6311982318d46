package fsm

import "slices"

// wants is how many slots a worker may be given now.
func (m *model) wants(w *modelWorker) uint32 {
	free := w.cmd.Slots
	for _, j := range m.held(w.id) {
		free -= j.spec.Slots
	}
	switch {
	case w.gone || w.draining || w.removed:
		return 0
	case w.standing:
		return free
	}
	return min(free, w.credit)
}

// grantable says whether a worker could be given a job now.
func (m *model) grantable(w *modelWorker, j *modelJob) bool {
	if j.state != Ready || !j.r.room() || j.spec.Slots > m.wants(w) || !slices.Contains(w.cmd.Queues, j.spec.Queue) {
		return false
	}
	for _, l := range j.spec.Labels {
		if !slices.Contains(w.cmd.Labels, l) {
			return false
		}
	}
	return true
}

// grant gives a job to a worker, and says what is wrong with that.
func (m *model) grant(g Grant, to WorkerID) (objection string) {
	j, w := m.job(g.Job), m.worker(to)
	switch {
	case j == nil || w == nil:
		return "the job or the worker is not known"
	case !m.grantable(w, j):
		return "the worker may not have it"
	case g.Attempt != j.attempt+1:
		return "the attempt does not follow the last"
	}
	for _, o := range m.jobs() {
		if m.grantable(w, o) && o.before(j) {
			return "job " + o.id.String() + " comes first"
		}
	}
	j.state, j.attempt, j.worker, j.reason, j.progress = Picked, g.Attempt, to, NoReason, 0
	if !w.standing {
		w.credit -= j.spec.Slots
	}
	return ""
}

// leftover is a job that could have been granted and was not.
func (m *model) leftover() (*modelJob, *modelWorker) {
	for _, w := range m.workers {
		for _, j := range m.jobs() {
			if !w.removed && m.grantable(w, j) {
				return j, w
			}
		}
	}
	return nil, nil
}
