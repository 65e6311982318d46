package fsm

import (
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/rpc/pack"
)

// entryVersion is the first field of every entry. An entry of another version is not understood, on purpose.
const entryVersion = 1

// ErrUnknownEntry is returned for an entry or a command that this version does not know. A node that meets one must
// stop: to pass over it would make its state differ from the others'.
var ErrUnknownEntry = errors.New("written by a newer version of muster; upgrade this node")

// entryBytesMax bounds every byte string and entryItemsMax every list inside an entry; what is really allowed is
// checked against Limits when a command is applied.
const (
	entryBytesMax = 1 << 30
	entryItemsMax = 1 << 28
)

// Encode gives a command as bytes, for NewEntry.
func Encode(c Command) []byte {
	w := pack.NewWriter()
	defer w.Free()
	c.write(w)
	return w.Copy()
}

// NewEntry puts encoded commands into one entry with its time, in Unix nanoseconds.
func NewEntry(now int64, commands ...[]byte) []byte {
	w := pack.NewWriter()
	defer w.Free()
	w.Array(3)
	w.Uint(entryVersion)
	w.Int(now)
	w.Array(len(commands))
	for _, c := range commands {
		w.Raw(c)
	}
	return w.Copy()
}

func decodeEntry(data []byte) (now int64, commands []Command, err error) {
	r := pack.NewReader(data)
	r.Begin()
	if v := r.Uint(); r.Err() == nil && v != entryVersion {
		return 0, nil, fmt.Errorf("entry version %d: %w", v, ErrUnknownEntry)
	}
	now = r.Int()
	n := r.List(entryItemsMax)
	commands = make([]Command, 0, min(n, 1<<16))
	for range n {
		c, err := readCommand(r)
		if err != nil {
			return 0, nil, err
		}
		commands = append(commands, c)
	}
	r.End()
	r.End()
	return now, commands, r.Done()
}

// readCommand reads one command: an array whose first value is its kind.
func readCommand(r *pack.Reader) (c Command, err error) {
	r.Begin()
	kind := commandKind(r.Uint8())
	if r.Err() != nil {
		return nil, r.Err()
	}
	switch kind {
	case kindOpenSession:
		c = &OpenSession{Name: readText(r)}
	case kindCloseSession:
		c = &CloseSession{ID: SessionID(r.Uint())}
	case kindSubmitRequest, kindSubmitRequest2:
		c = readSubmitRequest(r, kind == kindSubmitRequest)
	case kindCancelRequest:
		c = &CancelRequest{ID: RequestID(r.Uint())}
	case kindPauseRequest:
		c = &PauseRequest{ID: RequestID(r.Uint())}
	case kindResumeRequest:
		c = &ResumeRequest{ID: RequestID(r.Uint())}
	case kindRetryRequest:
		c = &RetryRequest{ID: RequestID(r.Uint())}
	case kindJoinWorker:
		c = readJoinWorker(r)
	case kindLeaveWorker:
		c = &LeaveWorker{Worker: WorkerID(r.Uint()), Incarnation: r.Uint32()}
	case kindDrainWorker:
		c = &DrainWorker{Worker: WorkerID(r.Uint()), Undo: r.Bool()}
	case kindPickJobs:
		c = &PickJobs{Worker: WorkerID(r.Uint()), Incarnation: r.Uint32(), Max: r.Uint32(), Standing: r.Bool()}
	case kindJobStates:
		c = readJobStates(r)
	case kindProgress:
		c = readProgress(r)
	case kindReassignWorker:
		c = &ReassignWorker{Worker: WorkerID(r.Uint()), Incarnation: r.Uint32(), Term: r.Uint(), Cause: readText(r)}
	case kindTick:
		c = &Tick{Term: r.Uint()}
	case kindSetLimits:
		c = &SetLimits{Limits: readLimits(r)}
	case kindBeginSubmit:
		c = readBeginSubmit(r)
	case kindBeginSubmit2:
		begin := readBeginSubmit(r)
		begin.Hold = r.Bool()
		c = begin
	case kindSubmitPart, kindSubmitPart2:
		c = readSubmitPart(r, kind == kindSubmitPart)
	case kindCommitSubmit:
		c = &CommitSubmit{Upload: r.Uint(), Parts: r.Uint32()}
	case kindDropSubmit:
		c = &DropSubmit{Upload: r.Uint()}
	case kindBeginRestore:
		c = &BeginRestore{Restore: r.Uint(), Bytes: r.Uint()}
	case kindRestorePart:
		c = &RestorePart{Restore: r.Uint(), Offset: r.Uint(), Data: r.Bytes(entryBytesMax)}
	case kindCommitRestore:
		c = &CommitRestore{Restore: r.Uint()}
	case kindDropRestore:
		c = &DropRestore{Restore: r.Uint()}
	default:
		return nil, fmt.Errorf("command %d: %w", kind, ErrUnknownEntry)
	}
	r.End()
	return c, r.Err()
}

func readDuration(r *pack.Reader) time.Duration { return time.Duration(r.Int()) }

func readText(r *pack.Reader) string { return r.String(entryBytesMax) }

func (c OpenSession) write(w *pack.Writer) {
	w.Array(2)
	w.Uint(uint64(kindOpenSession))
	w.String(c.Name)
}

func (c CloseSession) write(w *pack.Writer)  { writeID(w, kindCloseSession, uint64(c.ID)) }
func (c CancelRequest) write(w *pack.Writer) { writeID(w, kindCancelRequest, uint64(c.ID)) }
func (c RetryRequest) write(w *pack.Writer)  { writeID(w, kindRetryRequest, uint64(c.ID)) }
func (c PauseRequest) write(w *pack.Writer)  { writeID(w, kindPauseRequest, uint64(c.ID)) }
func (c ResumeRequest) write(w *pack.Writer) { writeID(w, kindResumeRequest, uint64(c.ID)) }
func (c Tick) write(w *pack.Writer)          { writeID(w, kindTick, c.Term) }

func writeID(w *pack.Writer, kind commandKind, id uint64) {
	w.Array(2)
	w.Uint(uint64(kind))
	w.Uint(id)
}

func (c SubmitRequest) write(w *pack.Writer) {
	kind, fields := kindSubmitRequest, 9
	if !plainNeeds(c.Jobs) {
		kind = kindSubmitRequest2
	}
	if c.Hold {
		kind, fields = kindSubmitRequest2, 10
	}
	w.Array(fields)
	w.Uint(uint64(kind))
	w.String(c.Session)
	w.String(c.Name)
	w.String(c.Key)
	w.Uint(c.Body)
	w.Uint(uint64(c.MaxRunning))
	w.Uint(uint64(c.OnFailure))
	writeSpecs(w, c.Specs)
	w.Array(len(c.Jobs))
	for i := range c.Jobs {
		writeEntryJob(w, &c.Jobs[i])
	}
	if c.Hold {
		w.Bool(true)
	}
}

func readSubmitRequest(r *pack.Reader, first bool) *SubmitRequest {
	c := &SubmitRequest{
		Session: readText(r), Name: readText(r), Key: readText(r), Body: r.Uint(), MaxRunning: r.Uint32(),
		OnFailure: OnFailure(r.Uint8()), Specs: readSpecs(r),
	}
	n := r.List(entryItemsMax)
	c.Jobs = make([]JobEntry, 0, min(n, r.Remaining()))
	for range n {
		c.Jobs = append(c.Jobs, readEntryJob(r))
	}
	c.bare = first && !plainNeeds(c.Jobs)
	r.End()
	c.Hold = !first && r.Bool()
	return c
}

// A job's entry is [name, spec, payload, needs]; a need is one number, see writeNeed.
func writeEntryJob(w *pack.Writer, j *JobEntry) {
	fields := 4
	switch {
	case len(j.Needs) > 0:
	case len(j.Payload) > 0:
		fields = 3
	case j.Spec > 0:
		fields = 2
	default:
		fields = 1
	}
	w.Array(fields)
	w.String(j.Name)
	if fields > 1 {
		w.Uint(uint64(j.Spec))
	}
	if fields > 2 {
		w.Bytes(j.Payload)
	}
	if fields > 3 {
		w.Array(len(j.Needs))
		for _, n := range j.Needs {
			writeNeed(w, n)
		}
	}
}

func readEntryJob(r *pack.Reader) (j JobEntry) {
	r.Begin()
	j.Name, j.Spec, j.Payload = readText(r), r.Uint32(), r.Bytes(entryBytesMax)
	if n := r.List(entryItemsMax); n > 0 {
		j.Needs = make([]Need, n)
		for i := range j.Needs {
			j.Needs[i] = readNeed(r)
		}
	}
	r.End()
	r.End()
	return j
}

// A need is its job's index and, in the two low bits, its condition. Where any is enough, needAny is set above the index.
const needAny = 1 << 34

func writeNeed(w *pack.Writer, n Need) {
	v := uint64(n.Job)<<2 | uint64(n.When&3)
	if n.Any {
		v |= needAny
	}
	w.Uint(v)
}

func readNeed(r *pack.Reader) Need {
	v := r.Uint()
	n := Need{When: When(v & 3), Any: v&needAny != 0}
	n.Job = uint32(min(v&^needAny>>2, 1<<32-1))
	return n
}

func writeSpecs(w *pack.Writer, specs []JobSpec) {
	w.Array(len(specs))
	for i := range specs {
		writeSpec(w, &specs[i])
	}
}

func writeSpec(w *pack.Writer, s *JobSpec) {
	w.Array(13)
	w.Uint(uint64(s.Kind))
	w.Strings(s.Args)
	writePairs(w, s.Env)
	w.String(s.Dir)
	w.String(s.Queue)
	writePairs(w, s.Labels)
	w.Uint(uint64(s.Slots))
	w.Int(int64(s.Priority))
	w.Int(int64(s.Timeout))
	w.Int(int64(s.StartAfter))
	w.Int(s.StartAt)
	w.Array(5)
	w.Uint(uint64(s.Retry.Limit))
	w.Int(int64(s.Retry.Backoff))
	w.Uint(uint64(s.Retry.Factor))
	w.Int(int64(s.Retry.Max))
	w.Array(len(s.Retry.Never))
	for _, code := range s.Retry.Never {
		w.Int(int64(code))
	}
	w.Uint(uint64(s.LostLimit))
}

func readSpecs(r *pack.Reader) []JobSpec {
	n := r.List(entryItemsMax)
	specs := make([]JobSpec, 0, min(n, 1<<12)) // a spec is much larger than its bytes: do not trust n
	for range n {
		var s JobSpec
		r.Begin()
		s.Kind, s.Args, s.Env = WorkKind(r.Uint8()), r.Strings(entryItemsMax, entryBytesMax), readPairs(r)
		s.Dir, s.Queue, s.Labels, s.Slots = readText(r), readText(r), readPairs(r), r.Uint32()
		s.Priority = int8(max(-128, min(127, r.Int())))
		s.Timeout, s.StartAfter, s.StartAt = readDuration(r), readDuration(r), r.Int()
		r.Begin()
		s.Retry = Retry{Limit: r.Uint32(), Backoff: readDuration(r), Factor: r.Uint32(), Max: readDuration(r)}
		if codes := r.List(entryItemsMax); codes > 0 {
			s.Retry.Never = make([]int32, codes)
			for i := range s.Retry.Never {
				s.Retry.Never[i] = int32(r.Int())
			}
		}
		r.End()
		r.End()
		s.LostLimit = r.Uint32()
		r.End()
		specs = append(specs, s)
	}
	r.End()
	return specs
}

func writePairs(w *pack.Writer, list []Pair) {
	w.Array(2 * len(list))
	for _, p := range list {
		w.String(p.Key)
		w.String(p.Value)
	}
}

func readPairs(r *pack.Reader) []Pair {
	n := r.List(entryItemsMax) / 2
	var list []Pair
	if n > 0 {
		list = make([]Pair, n)
	}
	for i := range list {
		list[i] = Pair{readText(r), readText(r)}
	}
	r.End()
	return list
}

func (c JoinWorker) write(w *pack.Writer) {
	w.Array(7)
	w.Uint(uint64(kindJoinWorker))
	w.String(c.Name)
	w.String(c.Identity)
	w.Uint(c.Process)
	w.Strings(c.Queues)
	writePairs(w, c.Labels)
	w.Uint(uint64(c.Slots))
}

func readJoinWorker(r *pack.Reader) *JoinWorker {
	return &JoinWorker{
		Name: readText(r), Identity: readText(r), Process: r.Uint(), Queues: r.Strings(entryItemsMax, entryBytesMax),
		Labels: readPairs(r), Slots: r.Uint32(),
	}
}

func (c LeaveWorker) write(w *pack.Writer) {
	w.Array(3)
	w.Uint(uint64(kindLeaveWorker))
	w.Uint(uint64(c.Worker))
	w.Uint(uint64(c.Incarnation))
}

func (c DrainWorker) write(w *pack.Writer) {
	w.Array(3)
	w.Uint(uint64(kindDrainWorker))
	w.Uint(uint64(c.Worker))
	w.Bool(c.Undo)
}

func (c PickJobs) write(w *pack.Writer) {
	w.Array(5)
	w.Uint(uint64(kindPickJobs))
	w.Uint(uint64(c.Worker))
	w.Uint(uint64(c.Incarnation))
	w.Uint(uint64(c.Max))
	w.Bool(c.Standing)
}

func (c ReassignWorker) write(w *pack.Writer) {
	w.Array(5)
	w.Uint(uint64(kindReassignWorker))
	w.Uint(uint64(c.Worker))
	w.Uint(uint64(c.Incarnation))
	w.Uint(c.Term)
	w.String(c.Cause)
}

// The reports of JobStates are one flat list, because they are the bulk of the log: for each
// kind | flags<<3, request, index, attempt, and then what its flags announce.
const (
	reportHasResult = 1 << iota
	reportIsJSON
	reportHasError
	reportNoRetry
	reportTimeout
)

func (c JobStates) write(w *pack.Writer) {
	w.Array(5)
	w.Uint(uint64(kindJobStates))
	w.Uint(uint64(c.Worker))
	w.Uint(uint64(c.Incarnation))
	w.Uint(uint64(len(c.Reports)))
	values := 0
	for i := range c.Reports {
		flags := reportFlags(&c.Reports[i])
		values += 4 + flags&1 + 2*(flags>>2&1)
	}
	w.Array(values)
	for i := range c.Reports {
		p := &c.Reports[i]
		flags := reportFlags(p)
		w.Uint(uint64(p.Kind) | uint64(flags)<<3)
		w.Uint(uint64(p.Job.Request))
		w.Uint(uint64(p.Job.Index))
		w.Uint(uint64(p.Attempt))
		if flags&reportHasResult != 0 {
			w.Bytes(p.Result)
		}
		if flags&reportHasError != 0 {
			w.String(p.Error)
			w.Int(int64(p.ExitCode))
		}
	}
}

func reportFlags(p *JobReport) (flags int) {
	set := func(flag int, on bool) {
		if on {
			flags |= flag
		}
	}
	set(reportHasResult, len(p.Result) > 0)
	set(reportIsJSON, p.JSON)
	set(reportHasError, p.Error != "" || p.ExitCode != 0)
	set(reportNoRetry, p.NoRetry)
	set(reportTimeout, p.Timeout)
	return flags
}

func readJobStates(r *pack.Reader) *JobStates {
	c := &JobStates{Worker: WorkerID(r.Uint()), Incarnation: r.Uint32()}
	n := int(r.Uint32())
	values := r.List(entryItemsMax)
	c.Reports = make([]JobReport, 0, min(n, values/4))
	for range min(n, values/4) {
		head := r.Uint()
		flags := int(head >> 3)
		p := JobReport{
			Kind: ReportKind(head & 7), Job: JobID{RequestID(r.Uint()), r.Uint32()}, Attempt: r.Uint32(),
			JSON: flags&reportIsJSON != 0, NoRetry: flags&reportNoRetry != 0, Timeout: flags&reportTimeout != 0,
		}
		if flags&reportHasResult != 0 {
			p.Result = r.Bytes(entryBytesMax)
		}
		if flags&reportHasError != 0 {
			p.Error, p.ExitCode = readText(r), int32(r.Int())
		}
		c.Reports = append(c.Reports, p)
	}
	r.End()
	return c
}

func (c Progress) write(w *pack.Writer) {
	w.Array(2)
	w.Uint(uint64(kindProgress))
	w.Array(len(c.Items))
	for i := range c.Items {
		p := &c.Items[i]
		w.Array(5)
		w.Uint(uint64(p.Job.Request))
		w.Uint(uint64(p.Job.Index))
		w.Uint(uint64(p.Attempt))
		w.Uint(uint64(p.Percent))
		w.String(p.Text)
	}
}

func readProgress(r *pack.Reader) *Progress {
	n := r.List(entryItemsMax)
	c := &Progress{Items: make([]ProgressItem, 0, min(n, 1<<12))}
	for range n {
		r.Begin()
		c.Items = append(c.Items, ProgressItem{
			Job: JobID{RequestID(r.Uint()), r.Uint32()}, Attempt: r.Uint32(), Percent: uint8(min(r.Uint(), 100)), Text: readText(r),
		})
		r.End()
	}
	r.End()
	return c
}

func (c SetLimits) write(w *pack.Writer) {
	w.Array(2)
	w.Uint(uint64(kindSetLimits))
	writeLimits(w, c.Limits)
}

func writeLimits(w *pack.Writer, l Limits) {
	w.Array(19)
	w.Uint(uint64(l.Jobs))
	w.Uint(uint64(l.Needs))
	w.Uint(uint64(l.Edges))
	w.Uint(uint64(l.Sessions))
	w.Uint(uint64(l.Workers))
	w.Uint(l.LiveJobs)
	w.Uint(uint64(l.PayloadBytes))
	w.Uint(uint64(l.ResultBytes))
	w.Uint(uint64(l.TextBytes))
	w.Int(int64(l.KeepFor))
	w.Uint(uint64(l.KeepRequests))
	w.Uint(l.KeepJobs)
	w.Int(int64(l.KeepKeys))
	w.Uint(uint64(l.Keys))
	w.Uint(uint64(l.SpecBytes))
	w.Uint(uint64(l.Steps))
	w.Uint(uint64(l.Uploads))
	w.Uint(l.UploadBytes)
	w.Int(int64(l.UploadFor))
}

func readLimits(r *pack.Reader) Limits {
	r.Begin()
	defer r.End()
	return Limits{
		Jobs: r.Uint32(), Needs: r.Uint32(), Edges: r.Uint32(), Sessions: r.Uint32(), Workers: r.Uint32(),
		LiveJobs: r.Uint(), PayloadBytes: r.Uint32(), ResultBytes: r.Uint32(), TextBytes: r.Uint32(),
		KeepFor: readDuration(r), KeepRequests: r.Uint32(), KeepJobs: r.Uint(), KeepKeys: readDuration(r),
		Keys: r.Uint32(), SpecBytes: r.Uint32(), Steps: r.Uint32(), Uploads: r.Uint32(), UploadBytes: r.Uint(), UploadFor: readDuration(r),
	}
}
