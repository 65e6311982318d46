package fsm

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/musterhq/muster/rpc/pack"
)

// Restore reads a snapshot into a new Machine and checks it: sums, invariants and hash. The caller then puts it in
// the place of the old one. It returns ErrBadSnapshot, with what is wrong.
func Restore(in io.Reader) (*Machine, error) {
	src := bufio.NewReaderSize(in, 1<<20)
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(src, magic); err != nil || string(magic) != snapshotMagic && string(magic) != snapshotMagic1 {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrBadSnapshot)
	}
	re := &restorer{m: New()}
	for n := 1; !re.ended; n++ {
		chunk, err := readChunk(src)
		if err != nil {
			return nil, fmt.Errorf("%w: chunk %d: %v", ErrBadSnapshot, n, err)
		}
		if err := re.chunk(chunk); err != nil {
			return nil, fmt.Errorf("%w: chunk %d: %w", ErrBadSnapshot, n, err)
		}
	}
	m := re.m
	m.db.settle()
	if got := m.Hash(); got != re.hash {
		return nil, fmt.Errorf("%w: state hash %016x, written as %016x", ErrBadSnapshot, got, re.hash)
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("%w: it contradicts itself: %w", ErrBadSnapshot, err)
	}
	return m, nil
}

func readChunk(src io.Reader) ([]byte, error) {
	var head [chunkHeaderSize]byte
	if _, err := io.ReadFull(src, head[:]); err != nil {
		return nil, fmt.Errorf("cut short: %v", err)
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n > chunkBytesMax {
		return nil, fmt.Errorf("%d bytes long", n)
	}
	// Grow with what is really there: a wrong length must not allocate a gigabyte.
	data, err := io.ReadAll(io.LimitReader(src, int64(n)))
	if err != nil || len(data) < int(n) {
		return nil, fmt.Errorf("cut short after %d of %d bytes", len(data), n)
	}
	if sum := crc32.Checksum(data, castagnoli); sum != binary.BigEndian.Uint32(head[4:]) {
		return nil, fmt.Errorf("checksum %08x, written as %08x", sum, binary.BigEndian.Uint32(head[4:]))
	}
	return data, nil
}

type restorer struct {
	m     *Machine
	r     *request // being read: its jobs follow
	rolls bool     // it came in parts
	u     *upload  // being read: its jobs follow
	specs []JobSpec
	want  uint32
	jobs  []JobEntry
	state []job
	hash  uint64
	ended bool
}

func (re *restorer) chunk(data []byte) error {
	r := pack.NewReader(data)
	for r.Err() == nil && r.Remaining() > 0 && !re.ended {
		r.Begin()
		kind := recordKind(r.Uint8())
		if err := re.record(r, kind); err != nil {
			return err
		}
		r.End()
	}
	return r.Done()
}

func (re *restorer) record(r *pack.Reader, kind recordKind) error {
	if re.r != nil && kind != recordJob {
		return fmt.Errorf("request %s has %d jobs of %d", re.r.id, len(re.jobs), re.want)
	}
	if re.u != nil && kind != recordUploadJob {
		return fmt.Errorf("request %s, which is not whole, has %d jobs of %d", re.u.request, re.u.dag.jobs, re.want)
	}
	switch kind {
	case recordMeta:
		re.meta(r)
	case recordSession:
		re.m.db.addSession(&session{id: SessionID(r.Uint()), name: readText(r), closed: r.Bool(), created: r.Int(), closedAt: r.Int()})
	case recordWorker:
		re.worker(r)
	case recordKey:
		re.key(r)
	case recordRequest:
		re.request(r)
	case recordJob:
		return re.job(r)
	case recordUpload:
		return re.upload(r)
	case recordUploadJob:
		return re.uploadJob(r)
	case recordIncoming:
		if re.m.incoming != nil {
			return fmt.Errorf("two states come in parts")
		}
		re.m.incoming = readIncoming(r)
	case recordIncomingPart:
		if re.m.incoming == nil {
			return fmt.Errorf("a part without its state")
		}
		re.m.incoming = re.m.incoming.with(r.Bytes(entryBytesMax), re.m.incoming.touched)
	case recordEnd:
		re.hash = r.Uint()
		re.ended = true
		re.rebuildKeys()
		re.rebuildQueue()
		re.rebuildSessions()
	default:
		if r.Err() == nil {
			return fmt.Errorf("record %d: %w", kind, ErrUnknownEntry)
		}
	}
	return nil
}

func (re *restorer) meta(r *pack.Reader) {
	m := re.m
	m.index, m.now = r.Uint(), r.Int()
	m.nextSession, m.nextRequest = SessionID(r.Uint()), RequestID(r.Uint())
	m.nextWorker, m.nextOrder, m.turn = WorkerID(r.Uint()), r.Uint(), WorkerID(r.Uint())
	m.limits = readLimits(r).since(DefaultLimits())
	for range r.List(entryItemsMax) {
		m.queue = append(m.queue, RequestID(r.Uint()))
	}
	r.End()
}

func (re *restorer) worker(r *pack.Reader) {
	w := &worker{
		id: WorkerID(r.Uint()), incarnation: r.Uint32(), slots: r.Uint32(), name: readText(r), identity: readText(r),
		process: r.Uint(), queues: r.Strings(entryItemsMax, entryBytesMax), labels: readPairs(r), credit: r.Uint32(),
		standing: r.Bool(), gone: r.Bool(), draining: r.Bool(), joined: r.Int(), goneAt: r.Int(),
	}
	re.m.workers.add(w)
	if w.gone {
		re.m.due.gone.Set(goneAt{w.goneAt, w.id})
	}
}

func (re *restorer) key(r *pack.Reader) {
	re.m.db.setKey(&keyed{
		key: readText(r), request: RequestID(r.Uint()), session: SessionID(r.Uint()), jobs: r.Uint32(), body: r.Uint(),
		created: r.Int(), ended: State(r.Uint8()),
	})
}

func (re *restorer) request(r *pack.Reader) {
	re.r = &request{
		id: RequestID(r.Uint()), session: SessionID(r.Uint()), name: readText(r), key: readText(r), body: r.Uint(),
		state: State(r.Uint8()), cancelled: r.Bool(), maxRunning: r.Uint32(), onFailure: OnFailure(r.Uint8()),
		index: r.Uint(), created: r.Int(), ended: r.Int(),
	}
	re.want = r.Uint32()
	re.specs = readSpecs(r)
	for range r.List(entryItemsMax) {
		re.r.tasks = append(re.r.tasks, readTask(r))
	}
	r.End()
	re.rolls = r.Bool()
	re.r.pause = Pause(r.Uint8())
	re.jobs, re.state = nil, nil
	if re.want == 0 {
		re.r = nil
	}
}

func readTask(r *pack.Reader) task {
	r.Begin()
	t := task{kind: taskKind(r.Uint8()), at: r.Uint32(), job: r.Uint32(), reason: Reason(r.Uint8()), cause: r.Uint32()}
	if n := r.List(entryItemsMax); n > 0 {
		t.doomed = make([]uint32, n)
		for i := range t.doomed {
			t.doomed[i] = r.Uint32()
		}
	}
	r.End()
	r.End()
	return t
}

func (re *restorer) job(r *pack.Reader) error {
	if re.r == nil {
		return fmt.Errorf("a job without its request")
	}
	entry := readEntryJob(r)
	j := job{
		state: State(r.Uint8()), reason: Reason(r.Uint8()), progress: r.Uint8(), flags: jobFlags(r.Uint8()) &^ flagDirty,
		attempt: r.Uint32(), retries: uint16(r.Uint32()), lost: uint16(r.Uint32()), open: r.Uint32(), cause: r.Uint32(),
		worker: WorkerID(r.Uint()), order: r.Uint(), due: r.Int(),
	}
	j.hopes = r.Uint32()
	j.delayed, j.ready, j.picked = readStamp(r), readStamp(r), readStamp(r)
	j.started, j.ended = readStamp(r), readStamp(r)
	if r.More() {
		more := jobMore{result: r.Bytes(entryBytesMax), json: r.Bool(), err: readText(r), exit: int32(r.Int()), text: readText(r)}
		readPastList(r, &more)
		j.setMore(more)
	}
	if r.Err() != nil {
		return r.Err()
	}
	if j.state >= stateCount || int(entry.Spec) >= len(re.specs) {
		return fmt.Errorf("job %q: state %d, spec %d", entry.Name, j.state, entry.Spec)
	}
	for _, n := range entry.Needs {
		if n.Job >= re.want || n.When >= whenCount {
			return fmt.Errorf("job %q needs job %d of %d, condition %d", entry.Name, n.Job, re.want, n.When)
		}
	}
	re.jobs, re.state = append(re.jobs, entry), append(re.state, j)
	if len(re.jobs) == int(re.want) {
		return re.finishRequest()
	}
	return nil
}

func readStamp(r *pack.Reader) stamp { return stamp{r.Uint(), r.Int()} }

// readPastList reads a job's progress and earlier attempts.
func readPastList(r *pack.Reader, more *jobMore) {
	r.Begin()
	more.progressedAt, more.percent, more.dropped = readStamp(r), r.Uint8(), r.Uint32()
	for range r.List(pastMax) {
		r.Begin()
		p := pastAttempt{
			attempt: r.Uint32(), worker: WorkerID(r.Uint()), to: State(r.Uint8()), reason: Reason(r.Uint8()), progress: r.Uint8(),
			exit: int32(r.Int()), err: readText(r),
		}
		p.delayed, p.ready, p.picked = readStamp(r), readStamp(r), readStamp(r)
		p.started, p.ended = readStamp(r), readStamp(r)
		r.End()
		more.past = append(more.past, p)
	}
	r.End()
	r.End()
}

// finishRequest stores a request whose jobs have all been read, and derives what is not written.
func (re *restorer) finishRequest() error {
	m, r := re.m, re.r
	r.dag = newDAG(re.specs, re.jobs)
	if re.rolls {
		r.dag.roll(re.jobs)
	}
	states := re.state
	re.r, re.jobs, re.state, re.specs = nil, nil, nil, nil
	if m.db.session(r.session) == nil {
		return fmt.Errorf("request %s: no session %s", r.id, r.session)
	}
	m.db.addRequest(r)
	for i := range states {
		j := m.db.editJob(r, uint32(i))
		*j = states[i]
		j.flags |= flagDirty
		r.counts[Waiting]--
		m.db.counts[Waiting]--
		r.counts[j.state]++
		m.db.counts[j.state]++
		if err := re.placeJob(r, uint32(i), j); err != nil {
			return err
		}
	}
	m.weighRoom(r)
	if r.state != Running {
		m.due.ended.Set(endedAt{r.ended, r.id})
		m.due.endedJobs += uint64(r.len())
		m.db.editSession(r.session, func(s *session) { s.live-- })
	}
	m.db.settle()
	return nil
}

// placeJob puts a job where its state says it is: on the board, in a worker's hands, among the deadlines.
func (re *restorer) placeJob(r *request, i uint32, j *job) error {
	m, id := re.m, JobID{r.id, i}
	if j.due != 0 {
		m.due.jobs.Set(jobDue{j.due, id})
	}
	switch {
	case j.state == Ready && j.flags&flagHeld != 0:
		m.board.Hold(r.spec(i), ticket{j.order, id})
	case j.state == Ready:
		m.post(r, i, j)
	case j.state.Assigned():
		w := m.workers.worker(j.worker)
		if w == nil {
			return fmt.Errorf("job %s is held by %s, which is not registered", id, j.worker)
		}
		m.workers.hold(w, id, r.spec(i).Slots)
	}
	return nil
}

// rebuildKeys finds the idempotency keys whose request is gone.
func (re *restorer) rebuildKeys() {
	m := re.m
	m.db.keys.Scan(func(_ string, k *keyed) bool {
		if m.db.request(k.request) == nil {
			m.due.orphans.Set(orphanKey{k.created, k.key})
		}
		return true
	})
}

// rebuildQueue marks the requests that wait for their turn.
func (re *restorer) rebuildQueue() {
	for _, id := range re.m.queue {
		if r := re.m.db.request(id); r != nil {
			r.queued = true
		}
	}
}

// rebuildSessions finds the closed sessions of which no request is kept.
func (re *restorer) rebuildSessions() {
	re.m.db.sessions.Scan(func(_ SessionID, s *session) bool {
		re.m.dueSession(s)
		return true
	})
}
