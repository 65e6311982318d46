package fsm

// EventKind tells what happened.
type EventKind uint8

// The kinds of events.
const (
	EventJob      EventKind = iota + 1 // a job changed its state; Picked is a grant to Worker
	EventProgress                      // a job's progress
	EventRequest                       // a request was submitted, ended or revived; Job.Index is NoJob
	EventWorker                        // a worker joined, left, was lost or is drained
	EventStop                          // Worker must stop running (Job, Attempt): it is no longer its own
)

// Event is one thing that happened in the entry Index. Events are hints for those who watch; the state is the truth.
type Event struct {
	Index    uint64
	Now      int64 // Unix nanoseconds of the entry
	Kind     EventKind
	State    State // of the job, or of the request for EventRequest
	Reason   Reason
	Progress uint8
	Attempt  uint32
	Job      JobID
	Session  SessionID // of the request; 0 for EventWorker
	Worker   WorkerID
}
