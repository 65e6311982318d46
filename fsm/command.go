package fsm

import (
	"time"

	"github.com/musterhq/muster/rpc/pack"
)

// Command is one change of the state. Exactly the types in this file, in command_parts.go and in
// command_restore.go implement it.
// A command that is refused changes nothing.
type Command interface {
	write(*pack.Writer)
}

// OpenSession opens a session, or answers with the open one of that name. Its answer is SessionOpened.
type OpenSession struct{ Name string }

// SessionOpened answers OpenSession.
type SessionOpened struct {
	ID      SessionID
	Created bool // false: it was there
}

// CloseSession refuses further requests to a session; what runs goes on. Its answer is nil. Once Limits.KeepFor has
// passed and none of its requests is kept any more, a Tick forgets the session: its name is free again, and it no
// longer counts against Limits.Sessions. A session that is never closed stays.
type CloseSession struct{ ID SessionID }

// SubmitRequest stores a request with its whole DAG. Its answer is RequestSubmitted.
//
// With a Key it is idempotent: the same Key with the same Body answers the first request, with another Body it
// is refused as CodeConflict.
type SubmitRequest struct {
	Session    string // name; opened if absent
	Name       string
	Key        string // idempotency key; empty: none
	Body       uint64 // hash of what the client sent; compared when Key repeats
	MaxRunning uint32 // jobs picked or running at once; 0: no limit
	OnFailure  OnFailure
	Specs      []JobSpec
	Jobs       []JobEntry
	Hold       bool // none of its jobs is granted before ResumeRequest

	bare bool // read as it was written before there were conditions
}

// JobEntry is one job of a SubmitRequest.
type JobEntry struct {
	Name    string
	Spec    uint32 // index into Specs
	Payload []byte // JSON, or nil
	Needs   []Need // no two of the same job
}

// RequestSubmitted answers SubmitRequest.
type RequestSubmitted struct {
	ID      RequestID
	Session SessionID
	Jobs    uint32
	State   State // Running, Done, Failed or Cancelled: of the request as it is now
	Repeat  bool  // the Key was known: this is the first answer
}

// CancelRequest cancels every job of a request that has not ended. Its answer is nil; a request that has ended is
// refused as CodeConflict unless it was cancelled.
type CancelRequest struct{ ID RequestID }

// RetryRequest puts the failed jobs of an ended request, and what was cancelled with them, to work again.
// Its answer is the number of jobs it revived, as a uint32.
type RetryRequest struct{ ID RequestID }

// PauseRequest keeps the jobs of a request from workers: none is granted any more; those that workers hold go on, needs
// are met and times pass. Its answer is nil; a request that has ended, or is about to, is refused as CodeConflict.
type PauseRequest struct{ ID RequestID }

// ResumeRequest ends a pause or a hold. Ready jobs go on the board anew, behind those of their priority that are there. Its answer
// is nil, also when the request was not paused.
type ResumeRequest struct{ ID RequestID }

// JoinWorker registers a worker. The same Identity keeps its WorkerID; a new Process of it takes the jobs away from
// the old one as lost. Its answer is WorkerJoined.
type JoinWorker struct {
	Name     string
	Identity string // stable over restarts (it lives in the worker's data directory); empty: always a new worker
	Process  uint64 // random for each start of the worker; a join repeated by the same process changes nothing
	Queues   []string
	Labels   []Pair // sorted by Key
	Slots    uint32
}

// WorkerJoined answers JoinWorker.
type WorkerJoined struct {
	ID          WorkerID
	Incarnation uint32 // fences what an earlier process of this worker still says
}

// LeaveWorker is a worker's clean good-bye: what it holds goes back on the board without spending an attempt's
// budget. Its answer is nil.
type LeaveWorker struct {
	Worker      WorkerID
	Incarnation uint32
}

// DrainWorker stops (or, undone, allows again) further grants to a worker. Its answer is nil.
type DrainWorker struct {
	Worker WorkerID
	Undo   bool
}

// PickJobs is pickJob: it asks for up to Max slots' worth of jobs. What the board has is granted at once; the rest
// stands as an order that later entries of the log fill as jobs become ready, until another PickJobs replaces it.
// Its answer is []Grant: what was granted in this command.
type PickJobs struct {
	Worker      WorkerID
	Incarnation uint32
	Max         uint32 // slots wanted now; 0 ends the standing order
	Standing    bool   // every slot that becomes free again is wanted too (Max is then ignored unless 0)
}

// Grant says that a job is now the worker's, as that attempt.
type Grant struct {
	Job     JobID
	Attempt uint32
}

// ReportKind is what a worker says of a job.
type ReportKind uint8

// The reports of a worker.
const (
	ReportStart  ReportKind = iota + 1 // it runs
	ReportDone                         // it ended well
	ReportFailed                       // it ended badly
	ReportReturn                       // it was not run, or was stopped by a drain: back on the board
)

// JobReport is one word of a worker on one attempt.
type JobReport struct {
	Job      JobID
	Attempt  uint32
	Kind     ReportKind
	Result   []byte // DONE: JSON if JSON is true, else bytes
	JSON     bool
	Error    string // FAILED: for people
	ExitCode int32  // of a process; -1 when it had none
	NoRetry  bool   // FAILED: permanent
	Timeout  bool   // FAILED: it ran into its timeout
}

// JobStates reports on many attempts at once; each is judged by itself. Its answer is []Code, one for each report:
//
//	CodeOK        noted, now or by an earlier report that said the same
//	CodeStale     not, or no longer, this worker's attempt; or it has ended otherwise
//	CodeNotFound  no such job, or its request is reaped
//	CodeLimit     DONE with a result of more than Limits.ResultBytes: the job runs on until it is reported otherwise
//	CodeInvalid   no such kind of report
//
// A worker that is not registered in that incarnation is refused as a whole, as CodeNotFound or CodeStale.
type JobStates struct {
	Worker      WorkerID
	Incarnation uint32
	Reports     []JobReport
}

// ProgressItem is the newest progress of one attempt.
type ProgressItem struct {
	Job     JobID
	Attempt uint32
	Percent uint8 // 0–100
	Text    string
}

// Progress records progress; stale items are passed over. Its answer is nil.
type Progress struct{ Items []ProgressItem }

// ReassignWorker declares a worker's process lost: its jobs go back on the board as attempt n+1 or fail at their
// LostLimit. It is refused as CodeStale when Term is not the term of the log entry that carries it, or the
// incarnation has moved on. Its answer is the number of jobs it took, as a uint32.
type ReassignWorker struct {
	Worker      WorkerID
	Incarnation uint32
	Term        uint64
	Cause       string // for people: "no beat for 10s", "connection lost"
}

// Tick lets the time of its entry take effect: due delays, timeouts and the retention of requests, sessions, keys and
// workers, as many as Limits.Steps allows.
// Its answer is the number of changes, as a uint32.
type Tick struct{ Term uint64 }

// SetLimits replaces the limits that Apply obeys. Its answer is nil.
type SetLimits struct{ Limits Limits }

// Limits are part of the state, so that every coordinator refuses alike. Zero fields are refused, but for those that
// came later than the others: those stay as they are when they are all zero.
type Limits struct {
	Jobs         uint32        // of one request
	Needs        uint32        // of one job
	Edges        uint32        // of one request
	Sessions     uint32        // open, and closed ones until they are forgotten (see CloseSession)
	Workers      uint32        // registered
	LiveJobs     uint64        // not yet reaped, over all requests
	PayloadBytes uint32        // of one job
	ResultBytes  uint32        // of one job
	TextBytes    uint32        // names, errors, progress text: longer errors and progress are cut
	KeepFor      time.Duration // ended requests are kept this long, and closed sessions without requests
	KeepRequests uint32        // ended requests kept at most
	KeepJobs     uint64        // jobs of ended requests kept at most; the newest ended request always is
	KeepKeys     time.Duration // idempotency keys live at least this long
	Keys         uint32        // idempotency keys kept; a submit with a new one is refused beyond that, one without is not
	SpecBytes    uint32        // of the arguments, directory, env and labels of one JobSpec, all together
	Steps        uint32        // jobs that one entry changes beside those that its commands name; the rest is left to later entries
	Uploads      uint32        // requests that come in parts, at a time
	UploadBytes  uint64        // of their parts, all together
	UploadFor    time.Duration // a request that comes in parts is forgotten when its next does not come within this
}

// since is l with what a command, or a snapshot, of an earlier version does not say as it was.
func (l Limits) since(was Limits) Limits {
	if l.Steps == 0 && l.Uploads == 0 && l.UploadBytes == 0 && l.UploadFor == 0 {
		l.Steps, l.Uploads, l.UploadBytes, l.UploadFor = was.Steps, was.Uploads, was.UploadBytes, was.UploadFor
	}
	return l
}

// DefaultLimits are those of a new cluster.
func DefaultLimits() Limits {
	return Limits{
		Jobs: 1_000_000, Needs: 100_000, Edges: 10_000_000, Sessions: 1_000_000, Workers: 100_000,
		LiveJobs: 10_000_000, PayloadBytes: 256 << 10, ResultBytes: 256 << 10, TextBytes: 4 << 10,
		KeepFor: 72 * time.Hour, KeepRequests: 100_000, KeepJobs: 2_000_000, KeepKeys: 24 * time.Hour,
		Keys: 2_000_000, SpecBytes: 256 << 10, Steps: 4096,
		Uploads: 16, UploadBytes: 1 << 30, UploadFor: time.Minute,
	}
}

type commandKind uint8

// The numbers are part of the log's format: never reuse or reorder them.
const (
	kindOpenSession commandKind = iota + 1
	kindCloseSession
	kindSubmitRequest
	kindCancelRequest
	kindRetryRequest
	kindAddJobs // kept for the job-model commands
	kindJoinWorker
	kindLeaveWorker
	kindDrainWorker
	kindPickJobs
	kindJobStates
	kindProgress
	kindReassignWorker
	kindTick
	kindSetLimits
	kindBeginSubmit
	kindSubmitPart
	kindCommitSubmit
	kindDropSubmit
	kindBeginRestore
	kindRestorePart
	kindCommitRestore
	kindDropRestore
	kindSubmitRequest2 // kindSubmitRequest with needs that are not plain, or on hold: who does not know of those must not read it
	kindSubmitPart2    // likewise
	kindBeginSubmit2   // likewise
	kindPauseRequest
	kindResumeRequest
)
