package wire

import (
	"fmt"

	"github.com/musterhq/muster/rpc/pack"
)

// Message is what a frame carries as its body.
type Message interface {
	Append(w *pack.Writer) // writes the message as one record
	Read(r *pack.Reader)   // reads what Append wrote into a zero message; check the reader's Err
}

// Method says what a frame's body is and what is asked for. Numbers are never reordered.
type Method uint8

// Calls of managers. The comment is request -> answer.
const (
	MethodHello        Method = iota + 1 // Hello -> Welcome; the first frame of a connection
	MethodOpenSession                    // OpenSession -> SessionOpened
	MethodCloseSession                   // CloseSession -> Empty
	MethodSubmit                         // Submit -> Submitted
	MethodCancel                         // Cancel -> Empty
	MethodRetry                          // Retry -> Retried
	MethodRequest                        // GetRequest -> RequestInfo
	MethodJobs                           // ListJobs -> JobsPage
	MethodJob                            // GetJob -> JobInfo
	MethodWait                           // Wait -> RequestInfo
	MethodDrain                          // Drain -> Empty
	MethodStatus                         // GetStatus -> Status
	MethodPause                          // Pause -> Empty
)

// Calls of workers.
const (
	MethodJoin   Method = iota + 64 // Join -> Joined
	MethodLeave                     // Leave -> Empty
	MethodPick                      // Pick -> Empty; grants come as pushes
	MethodReport                    // Report -> Reported
	MethodBeat                      // Beat -> BeatAnswer; missing grants come as pushes
	MethodInputs                    // Inputs -> InputsPage
)

// Pushes: nobody answers them.
const (
	MethodProgress Method = iota + 128 // worker to leader: Progress
	MethodGranted                      // leader to worker: Granted
	MethodStop                         // leader to worker: Stop
	MethodLeader                       // coordinator to anyone: Leader, whenever it changes
)

// Calls of the leader to a worker.
const (
	MethodReadLog Method = iota + 192 // ReadLog -> LogChunk
)

var methodNames = map[Method]string{
	MethodHello: "Hello", MethodOpenSession: "OpenSession", MethodCloseSession: "CloseSession", MethodSubmit: "Submit",
	MethodCancel: "Cancel", MethodRetry: "Retry", MethodRequest: "Request", MethodJobs: "Jobs", MethodJob: "Job",
	MethodWait: "Wait", MethodDrain: "Drain", MethodStatus: "Status", MethodPause: "Pause", MethodJoin: "Join", MethodLeave: "Leave",
	MethodPick: "Pick", MethodReport: "Report", MethodBeat: "Beat", MethodInputs: "Inputs", MethodProgress: "Progress",
	MethodGranted: "Granted", MethodStop: "Stop", MethodLeader: "Leader", MethodReadLog: "ReadLog",
}

func (m Method) String() string {
	if name, ok := methodNames[m]; ok {
		return name
	}
	return fmt.Sprintf("method %d", uint8(m))
}

// Empty is an answer that says no more than that it was done.
type Empty struct{}

// Append writes m.
func (*Empty) Append(w *pack.Writer) { w.Array(0) }

// Read reads what Append wrote.
func (*Empty) Read(r *pack.Reader) {
	r.Begin()
	r.End()
}
