package wire

import "time"

// Join registers a worker.
type Join struct {
	Name     string
	Identity string // stable over restarts; empty: always a new worker
	Process  uint64 // random for each start of the worker
	Queues   []string
	Labels   []Pair // sorted by Key
	Slots    uint32
}

// Joined answers Join.
type Joined struct {
	ID          WorkerID
	Incarnation uint32
	TTL         time.Duration // without a beat before it is lost; beat every TTL/5
}

// Leave is a worker's clean good-bye.
type Leave struct {
	Worker      WorkerID
	Incarnation uint32
}

// Pick asks for jobs; they come as Granted pushes.
type Pick struct {
	Worker      WorkerID
	Incarnation uint32
	Max         uint32 // slots wanted; 0 ends the standing order
	Standing    bool   // every slot that becomes free again is wanted too
}

// Attempt is the fencing token of all that a worker says of a job.
type Attempt struct {
	Job     JobID
	Attempt uint32
}

// ReportKind is what a worker says of an attempt.
type ReportKind uint8

// The reports.
const (
	ReportStart  ReportKind = iota + 1 // it runs
	ReportDone                         // it ended well
	ReportFailed                       // it ended badly
	ReportReturn                       // back on the board, unrun or stopped by a drain
)

// JobReport is one word of a worker on one attempt.
type JobReport struct {
	Job      JobID
	Attempt  uint32
	Kind     ReportKind
	Result   []byte // DONE
	JSON     bool   // Result is JSON
	Error    string // FAILED: for people
	ExitCode int32  // of a process; -1 when it had none
	NoRetry  bool   // FAILED: permanent
	Timeout  bool   // FAILED: it ran into its timeout
}

// Report reports on many attempts at once; each is judged by itself, in order.
type Report struct {
	Worker      WorkerID
	Incarnation uint32
	Reports     []JobReport // at most ReportsMax
}

// Reported answers Report with a code for each report: CodeOK, CodeStale when it is not (or no longer) the worker's
// attempt, CodeNotFound, CodeLimit for a result that is too large, CodeInvalid.
type Reported struct{ Codes []Code }

// ProgressItem is the newest progress of an attempt.
type ProgressItem struct {
	Job     JobID
	Attempt uint32
	Percent uint8 // 0–100
	Text    string
}

// Progress is a push of the newest progress of attempts.
type Progress struct{ Items []ProgressItem }

// Beat is stillAlive, with every attempt that the worker holds, granted or running.
type Beat struct {
	Worker      WorkerID
	Incarnation uint32
	Held        []Attempt // at most AttemptsMax
}

// BeatAnswer answers Beat.
type BeatAnswer struct {
	Known bool      // false: join again
	Stop  []Attempt // not, or no longer, the worker's
}

// Granted is a push: the jobs are now the worker's. The same attempt may come more than once.
type Granted struct{ Jobs []Assignment }

// Assignment is one granted job with what is needed to run it.
type Assignment struct {
	Job         JobID
	Attempt     uint32
	Name        string
	ArrayIndex  int32       // -1: not of an array
	Request     *RequestRef // shared by the assignments of one push; never nil once read
	Spec        *RunSpec    // shared likewise; read only
	Payload     []byte      // JSON, or nil
	Parents     []Parent    // what it needs, in the order of its needs
	FetchInputs bool        // Parents are too large to come along: ask with Inputs
}

// RequestRef tells whose job it is.
type RequestRef struct {
	Name        string
	Session     SessionID
	SessionName string
}

// RunSpec is the part of a Spec that a worker needs.
type RunSpec struct {
	Kind    WorkKind
	Args    []string
	Env     []Pair // sorted by Key
	Dir     string
	Timeout time.Duration // 0: none
	Slots   uint32
}

// Parent is a job that another needs, and its result.
type Parent struct {
	Job    uint32 // index in the request
	Name   string
	Result []byte // nil: none
	JSON   bool   // Result is JSON
}

// Stop is a push: the attempts are no longer the worker's.
type Stop struct{ Attempts []Attempt }

// Inputs asks for the parents of a job that the worker holds, page by page.
type Inputs struct {
	Job     JobID
	Attempt uint32
	Skip    uint32 // parents passed over
}

// InputsPage answers Inputs.
type InputsPage struct {
	Parents []Parent
	More    bool
}

// Streams of a job's output.
const (
	Stdout uint8 = 1
	Stderr uint8 = 2
)

// ReadLog asks a worker for output of an attempt.
type ReadLog struct {
	Job     JobID
	Attempt uint32
	Stream  uint8 // Stdout or Stderr
	Offset  int64
	Max     uint32 // bytes; at most LogBytesMax
}

// LogChunk answers ReadLog.
type LogChunk struct {
	Data []byte
	EOF  bool // the attempt has ended and nothing follows Data
}
