package fsm

import "slices"

// taskKind is what a task does to its request. The numbers are part of the snapshot's format: never reuse or reorder them.
type taskKind uint8

const (
	taskTurn    taskKind = iota + 1 // turn the needs round, so that each job knows its dependents. Nothing else goes before it.
	taskRelease                     // release the jobs that need nothing
	taskMet                         // count the need for one job as met, in its dependents
	taskDoom                        // tell those that wait on a job that it has ended; cancel those that cannot run, and so on
	taskCancel                      // cancel all that has not ended: the request is halted
	taskRevive                      // put what failed or was cancelled to work again
	taskPark                        // take the ready jobs of a request that is paused off the board
	taskAdmit                       // put the ready jobs of one that was resumed back
	taskKindCount
)

// task is a piece of work on a request that is too large for one entry, and how far it has come. What is small is done at
// once and never becomes one. Entries go on with it as far as Limits.Steps allows.
type task struct {
	kind   taskKind
	at     uint32 // what comes next: a job, or a place in a list of dependents
	job    uint32 // taskMet: the job that is done
	reason Reason // taskCancel
	cause  uint32 // taskCancel: one more than a job's index, or 0
	// Of a taskDoom: the jobs whose dependents are still to be told. The first is the one under way. It only grows
	// at its end and shrinks at its head, so that a View may share it.
	doomed []uint32
}

// The cost of things, in looks. Limits.Steps counts changes.
const (
	costLook   = 1  // at a job or a need that stays as it is
	costChange = 16 // of a job, with its event and its hash
	costReap   = 32 // of a request, key, session or worker that is forgotten
)

// smallChanges is how many jobs one that ends may change without a charge: the entry pays for them by its own size.
const smallChanges = 4

// afford says whether so much is to be done at once, in the entry that brings it about, and charges it to the entry.
func (m *Machine) afford(changes, looks int) bool {
	cost := changes*costChange + looks*costLook
	switch {
	case changes <= smallChanges && looks <= smallChanges*costChange:
		return true
	case cost > m.purse:
		return false
	}
	m.purse -= cost
	return true
}

// spend charges the entry, and says whether it had anything left.
func (m *Machine) spend(cost int) bool {
	if m.purse <= 0 {
		return false
	}
	m.purse -= cost
	return true
}

// begin gives a request a task and lets it wait for its turn: the last, but for a pause, which comes first, and for what tells
// jobs of the end of another. That goes before a taskRevive, which counts the needs of each job that it wakes: whoever is awake must have been told
// by then, and whoever is not must not be told again.
func (m *Machine) begin(r *request, t task) {
	r = m.db.editRequest(r)
	at := len(r.tasks)
	switch t.kind {
	case taskPark, taskAdmit: // others wait for what lies before theirs on the board
		at = 0
		if r.turning() {
			at = 1
		}
	case taskMet, taskDoom:
		if revive := slices.IndexFunc(r.tasks, func(t task) bool { return t.kind == taskRevive }); revive >= 0 {
			at = revive
		}
	}
	r.tasks = slices.Insert(r.tasks, at, t)
	m.enqueue(r)
}

func (m *Machine) enqueue(r *request) {
	if !r.queued {
		r.queued = true
		m.queue = append(m.queue, r.id)
	}
}

// halt puts a task that cancels everything in the place of all others, which are pointless now, but for taskTurn.
func (m *Machine) halt(r *request, why Reason, cause uint32) {
	r = m.db.editRequest(r)
	m.drop(r)
	m.begin(r, task{kind: taskCancel, reason: why, cause: cause})
}

// drop forgets what was still to be done to a request, but for taskTurn: a later retry needs it.
func (m *Machine) drop(r *request) {
	if len(r.tasks) == 0 {
		return
	}
	r = m.db.editRequest(r)
	if r.tasks[0].kind == taskTurn {
		r.tasks = r.tasks[:1]
	} else {
		r.tasks = nil
	}
}

// halting is the task that cancels everything, if there is one: then nothing of the request is granted, and a job that
// something happens to is cancelled first.
func (r *request) halting() *task {
	if n := len(r.tasks); n > 0 && r.tasks[n-1].kind == taskCancel {
		return &r.tasks[n-1]
	}
	return nil
}

// turning says whether the dependents of its jobs are not known yet.
func (r *request) turning() bool { return len(r.tasks) > 0 && r.tasks[0].kind == taskTurn }

func (r *request) halted() bool { return r.halting() != nil }

// endingAs is how a halted request will end; Waiting: it is not halted.
func (r *request) endingAs() State {
	switch {
	case !r.halted():
		return Waiting
	case r.cancelled:
		return Cancelled
	}
	return Failed
}
