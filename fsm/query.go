package fsm

import "time"

// SessionInfo describes a session.
type SessionInfo struct {
	ID       SessionID
	Name     string
	Closed   bool
	Created  time.Time
	Requests uint32 // kept, ended or not
	Live     uint32 // not ended
}

// RequestInfo describes a request.
type RequestInfo struct {
	ID          RequestID
	Session     SessionID
	SessionName string
	Name        string
	Key         string
	State       State // Running, Done, Failed or Cancelled
	Ending      State // while it is Running: Cancelled or Failed once that is settled and its jobs are still being cancelled; else Waiting
	MaxRunning  uint32
	OnFailure   OnFailure
	Pause       Pause
	Jobs        uint32
	Counts      Counts
	Index       uint64 // of the log entry that submitted it
	Created     time.Time
	Ended       time.Time // zero while it runs
}

// Counts is a number of jobs for each state.
type Counts [stateCount]uint64

// Times are when a job came to where it is. Those of earlier attempts are in its history. Zero: not yet.
type Times struct {
	Submitted, Ready, Picked, Started, Ended time.Time
	NotBefore                                time.Time // while Delayed
}

// JobInfo describes a job. Its slices belong to the View: read only.
type JobInfo struct {
	ID           JobID
	Name         string
	Spec         *JobSpec
	Payload      []byte
	Needs        []Need
	State        State
	Reason       Reason
	Attempt      uint32 // 0: never granted
	Retries      uint32 // spent on FAILED
	Lost         uint32 // spent on lost workers
	Worker       WorkerID
	WorkerName   string
	Progress     uint8
	ProgressText string
	Result       []byte
	ResultJSON   bool
	Error        string
	ExitCode     int32
	Cause        uint32 // index of the job because of which it was cancelled; NoJob: none
	Times        Times
}

// Step is one entry of a job's history.
type Step struct {
	Index    uint64 // of the log entry
	At       time.Time
	State    State
	Attempt  uint32
	Worker   WorkerID // of that attempt
	Reason   Reason
	Progress uint8
	Error    string
	ExitCode int32
}

// WorkerInfo describes a worker.
type WorkerInfo struct {
	ID          WorkerID
	Incarnation uint32
	Name        string
	Queues      []string
	Labels      []Pair
	Slots       uint32
	Used        uint32 // slots of what it holds
	Running     uint32 // jobs it holds
	Lost        bool   // declared lost or has left; it may join again
	Draining    bool
	Joined      time.Time
}

// RequestFilter selects requests, newest first.
type RequestFilter struct {
	Session  SessionID // 0: any
	State    State     // matched when HasState
	HasState bool
	Before   RequestID // exclusive; 0: from the newest
	Limit    int
}

// JobFilter selects jobs of one request in their order.
type JobFilter struct {
	State    State
	HasState bool
	After    int // index of the last one seen; -1: from the first
	Limit    int
}
