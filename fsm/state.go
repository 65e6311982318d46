package fsm

import "math"

// stamp says when something happened: in which entry, and that entry's time. The zero stamp: it has not.
type stamp struct {
	index uint64
	at    int64 // Unix nanoseconds
}

// jobFlags are the facts of a job that need one bit.
type jobFlags uint8

const (
	flagHeld  jobFlags = 1 << iota // ready, but parked: its request ran max_running jobs when it came up
	flagDirty                      // changed in this entry: its hash is not in the sum. Never persisted.
)

// job is one job's changing part: small, and with one pointer, because there are millions.
// What does not change is in its request's dag.
type job struct {
	state    State
	reason   Reason
	progress uint8
	flags    jobFlags
	attempt  uint32 // grants so far; with the JobID it is the fencing token
	retries  uint16 // spent on FAILED
	lost     uint16 // spent on lost workers
	open     uint32 // needs not yet met
	cause    uint32 // the job because of which it was cancelled, plus one; 0: none
	hopes    uint32 // while none of the needs is met of which any is enough: how many of them still may be. Together they are one of open.
	worker   WorkerID
	order    uint64 // place on the board among equal priorities: first come, first served
	due      int64  // while Delayed: not before; while Running: its timeout, 0: none
	delayed  stamp
	ready    stamp
	picked   stamp
	started  stamp
	ended    stamp
	more     *jobMore // nil for most
}

// jobMore is what only some jobs have. It is never modified once a job points to it: it is replaced.
type jobMore struct {
	result       []byte
	json         bool
	err          string
	exit         int32
	text         string // of the progress
	percent      uint8  // the newest progress that was reported
	progressedAt stamp
	past         []pastAttempt // oldest first, the last pastMax of them
	dropped      uint32        // older ones no longer kept
	hash         uint64        // of all the above
}

// pastMax is how many earlier attempts a job's history keeps.
const pastMax = 32

// pastAttempt is how an earlier attempt went.
type pastAttempt struct {
	attempt  uint32
	worker   WorkerID
	to       State // that the job went into when the attempt was over
	reason   Reason
	progress uint8
	exit     int32
	err      string
	delayed  stamp
	ready    stamp
	picked   stamp
	started  stamp
	ended    stamp
}

// extra is a copy of j's jobMore to be changed and given back with setMore.
func (j *job) extra() jobMore {
	if j.more == nil {
		return jobMore{}
	}
	return *j.more
}

func (j *job) setMore(m jobMore) {
	m.hash = m.sum()
	j.more = &m
}

// pageJobs is the number of jobs that are copied together when one of them changes after a View was taken.
const pageJobs = 32

// page is a run of a request's jobs.
type page struct {
	gen  uint64
	jobs []job // pageJobs of them, fewer on the last page
}

// request is one submitted DAG.
type request struct {
	gen        uint64
	dirty      bool // its hash is not in the sum. Never persisted.
	id         RequestID
	session    SessionID
	name       string
	key        string
	body       uint64
	state      State
	cancelled  bool // a person cancelled it
	maxRunning uint32
	onFailure  OnFailure
	pause      Pause
	index      uint64
	created    int64
	ended      int64
	boarded    uint32             // jobs on the board. Derived.
	surplus    uint32             // of them, those beyond what max_running has room for. Derived.
	counts     [stateCount]uint32 // jobs by state. Derived.
	jobSum     uint64             // Σ hashes of the jobs, less those that are dirty. Derived.
	tasks      []task             // what is still to be done to it, in this order
	queued     bool               // it is in the queue of those with tasks. Derived.
	dag        *dag
	pages      []*page
}

func (r *request) len() uint32 { return uint32(r.dag.len()) }

// job is for reading only; see SessionsDB.editJob.
func (r *request) job(i uint32) *job { return &r.pages[i/pageJobs].jobs[i%pageJobs] }

func (r *request) spec(i uint32) *JobSpec { return r.dag.spec(i) }

// live is the number of jobs that have not ended.
func (r *request) live() uint32 {
	return r.len() - r.counts[Done] - r.counts[Failed] - r.counts[Cancelled]
}

// assigned is the number of jobs that workers hold.
func (r *request) assigned() uint32 { return r.counts[Picked] + r.counts[Running] }

// room is the number of jobs that max_running lets workers be given now; none while the request is paused.
func (r *request) room() uint32 {
	if r.pause != NotPaused {
		return 0
	}
	if r.maxRunning == 0 {
		return math.MaxUint32
	}
	return r.maxRunning - min(r.maxRunning, r.assigned())
}

// session groups requests under a name.
type session struct {
	id       SessionID
	name     string
	closed   bool
	created  int64
	closedAt int64
	requests uint32 // kept. Derived.
	live     uint32 // not ended. Derived.
}

// keyed remembers the first answer to an idempotency key.
type keyed struct {
	key     string
	request RequestID
	session SessionID
	jobs    uint32
	body    uint64
	created int64
	ended   State // how it ended, once the request is reaped
}
