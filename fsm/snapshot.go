package fsm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/musterhq/muster/rpc/pack"
)

// A snapshot is a magic string and chunks. A chunk is its length, its CRC-32C and that many bytes of msgpack: a list
// of records, each an array whose first value is its kind. The last record repeats the state's hash, so that a
// snapshot that is cut short or was written wrong is refused, not believed.
const (
	snapshotMagic   = "muster-snapshot-2\n"
	snapshotMagic1  = "muster-snapshot-1\n" // has no tasks and no requests in parts; read as one without any
	chunkBytes      = 256 << 10             // a chunk is closed when it has reached this size
	chunkBytesMax   = 1 << 30
	chunkHeaderSize = 8
)

// ErrBadSnapshot is returned when a snapshot is torn, corrupted or contradicts itself. Nothing was restored.
var ErrBadSnapshot = errors.New("bad snapshot")

type recordKind uint8

// The numbers are part of the format: never reuse or reorder them.
const (
	recordMeta recordKind = iota + 1
	recordSession
	recordWorker
	recordKey
	recordRequest // a request's head and specs; its jobs follow
	recordJob
	recordEnd
	recordUpload // a request that is not whole yet: its head and specs; its jobs follow
	recordUploadJob
	recordIncoming // a saved state that is to take this one's place and has not come whole: its parts follow
	recordIncomingPart
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteTo writes the view as a snapshot, in chunks, so that it needs little memory whatever the size of the state.
func (v *View) WriteTo(out io.Writer) (int64, error) {
	c := &chunkWriter{out: bufio.NewWriterSize(out, 1<<20), records: pack.NewWriter()}
	defer c.records.Free()
	c.raw([]byte(snapshotMagic))
	v.writeMeta(c.record())
	v.db.sessions.Scan(func(_ SessionID, s *session) bool {
		writeSession(c.record(), s)
		return c.err == nil
	})
	v.workers.byID.Scan(func(_ WorkerID, w *worker) bool {
		writeWorker(c.record(), w)
		return c.err == nil
	})
	v.db.keys.Scan(func(_ string, k *keyed) bool {
		writeKey(c.record(), k)
		return c.err == nil
	})
	v.db.requests.Scan(func(_ RequestID, r *request) bool {
		writeRequest(c.record(), r)
		for i := range r.len() {
			writeJob(c.record(), r, i)
		}
		return c.err == nil
	})
	v.db.uploads.byID.Scan(func(_ uint64, u *upload) bool {
		writeUpload(c, u)
		return c.err == nil
	})
	if v.next.incoming != nil {
		v.next.incoming.write(c)
	}
	w := c.record()
	w.Array(2)
	w.Uint(uint64(recordEnd))
	w.Uint(v.hash)
	c.flush()
	if c.err == nil {
		c.err = c.out.Flush()
	}
	return c.n, c.err
}

type chunkWriter struct {
	out     *bufio.Writer
	records *pack.Writer
	n       int64
	err     error
}

// record is where the next record goes.
func (c *chunkWriter) record() *pack.Writer {
	if c.records.Len() >= chunkBytes {
		c.flush()
	}
	return c.records
}

func (c *chunkWriter) flush() {
	data := c.records.Data()
	var head [chunkHeaderSize]byte
	binary.BigEndian.PutUint32(head[:4], uint32(len(data)))
	binary.BigEndian.PutUint32(head[4:], crc32.Checksum(data, castagnoli))
	c.raw(head[:])
	c.raw(data)
	c.records.Reset()
}

func (c *chunkWriter) raw(b []byte) {
	if c.err != nil {
		return
	}
	n, err := c.out.Write(b)
	c.n += int64(n)
	c.err = err
}

func (v *View) writeMeta(w *pack.Writer) {
	w.Array(10)
	w.Uint(uint64(recordMeta))
	w.Uint(v.index)
	w.Int(v.now)
	w.Uint(uint64(v.next.session))
	w.Uint(uint64(v.next.request))
	w.Uint(uint64(v.next.worker))
	w.Uint(v.next.order)
	w.Uint(uint64(v.next.turn))
	writeLimits(w, v.limits)
	w.Array(len(v.next.queue))
	for _, id := range v.next.queue {
		w.Uint(uint64(id))
	}
}

func writeSession(w *pack.Writer, s *session) {
	w.Array(6)
	w.Uint(uint64(recordSession))
	w.Uint(uint64(s.id))
	w.String(s.name)
	w.Bool(s.closed)
	w.Int(s.created)
	w.Int(s.closedAt)
}

func writeWorker(w *pack.Writer, o *worker) {
	w.Array(15)
	w.Uint(uint64(recordWorker))
	w.Uint(uint64(o.id))
	w.Uint(uint64(o.incarnation))
	w.Uint(uint64(o.slots))
	w.String(o.name)
	w.String(o.identity)
	w.Uint(o.process)
	w.Strings(o.queues)
	writePairs(w, o.labels)
	w.Uint(uint64(o.credit))
	w.Bool(o.standing)
	w.Bool(o.gone)
	w.Bool(o.draining)
	w.Int(o.joined)
	w.Int(o.goneAt)
}

func writeKey(w *pack.Writer, k *keyed) {
	w.Array(8)
	w.Uint(uint64(recordKey))
	w.String(k.key)
	w.Uint(uint64(k.request))
	w.Uint(uint64(k.session))
	w.Uint(uint64(k.jobs))
	w.Uint(k.body)
	w.Int(k.created)
	w.Uint(uint64(k.ended))
}

func writeRequest(w *pack.Writer, r *request) {
	fields := 17
	if r.pause != NotPaused {
		fields = 18
	}
	w.Array(fields)
	w.Uint(uint64(recordRequest))
	w.Uint(uint64(r.id))
	w.Uint(uint64(r.session))
	w.String(r.name)
	w.String(r.key)
	w.Uint(r.body)
	w.Uint(uint64(r.state))
	w.Bool(r.cancelled)
	w.Uint(uint64(r.maxRunning))
	w.Uint(uint64(r.onFailure))
	w.Uint(r.index)
	w.Int(r.created)
	w.Int(r.ended)
	w.Uint(uint64(r.len()))
	writeSpecRuns(w, r.dag)
	w.Array(len(r.tasks))
	for i := range r.tasks {
		writeTask(w, &r.tasks[i])
	}
	w.Bool(r.dag.rolling != nil)
	if r.pause != NotPaused {
		w.Uint(uint64(r.pause))
	}
}

func writeSpecRuns(w *pack.Writer, d *dag) {
	w.Array(d.specCount())
	for _, run := range d.specs {
		for i := range run {
			writeSpec(w, &run[i])
		}
	}
}

func (d *dag) entry(i uint32) JobEntry {
	return JobEntry{Name: d.name(i), Spec: d.specIndex(i), Payload: d.payload(i), Needs: d.needsOf(i)}
}

func writeUpload(c *chunkWriter, u *upload) {
	w := c.record()
	fields := 15
	if u.head.Hold {
		fields = 16
	}
	w.Array(fields)
	w.Uint(uint64(recordUpload))
	u.head.fields(w)
	w.Uint(u.term)
	w.Uint(uint64(u.request))
	w.Uint(uint64(u.parts))
	w.Int(u.touched)
	w.Uint(uint64(u.dag.jobs))
	writeSpecRuns(w, u.dag)
	if u.head.Hold {
		w.Bool(true)
	}
	for i := range u.dag.jobs {
		w := c.record()
		w.Array(2)
		w.Uint(uint64(recordUploadJob))
		e := u.dag.entry(i)
		writeEntryJob(w, &e)
	}
}

func writeTask(w *pack.Writer, t *task) {
	w.Array(6)
	w.Uint(uint64(t.kind))
	w.Uint(uint64(t.at))
	w.Uint(uint64(t.job))
	w.Uint(uint64(t.reason))
	w.Uint(uint64(t.cause))
	w.Array(len(t.doomed))
	for _, i := range t.doomed {
		w.Uint(uint64(i))
	}
}

func writeJob(w *pack.Writer, r *request, i uint32) {
	j := r.job(i)
	fields := 25
	if j.more != nil {
		fields += 6
	}
	w.Array(fields)
	w.Uint(uint64(recordJob))
	e := r.dag.entry(i)
	writeEntryJob(w, &e)
	w.Uint(uint64(j.state))
	w.Uint(uint64(j.reason))
	w.Uint(uint64(j.progress))
	w.Uint(uint64(j.flags &^ flagDirty))
	w.Uint(uint64(j.attempt))
	w.Uint(uint64(j.retries))
	w.Uint(uint64(j.lost))
	w.Uint(uint64(j.open))
	w.Uint(uint64(j.cause))
	w.Uint(uint64(j.worker))
	w.Uint(j.order)
	w.Int(j.due)
	w.Uint(uint64(j.hopes)) // 0 before there were conditions
	for _, s := range []stamp{j.delayed, j.ready, j.picked, j.started, j.ended} {
		writeStamp(w, s)
	}
	if m := j.more; m != nil {
		w.Bytes(m.result)
		w.Bool(m.json)
		w.String(m.err)
		w.Int(int64(m.exit))
		w.String(m.text)
		w.Array(5)
		writeStamp(w, m.progressedAt)
		w.Uint(uint64(m.percent))
		w.Uint(uint64(m.dropped))
		w.Array(len(m.past))
		for n := range m.past {
			writePast(w, &m.past[n])
		}
	}
}

func writeStamp(w *pack.Writer, s stamp) {
	w.Uint(s.index)
	w.Int(s.at)
}

func writePast(w *pack.Writer, p *pastAttempt) {
	w.Array(17)
	w.Uint(uint64(p.attempt))
	w.Uint(uint64(p.worker))
	w.Uint(uint64(p.to))
	w.Uint(uint64(p.reason))
	w.Uint(uint64(p.progress))
	w.Int(int64(p.exit))
	w.String(p.err)
	for _, s := range []stamp{p.delayed, p.ready, p.picked, p.started, p.ended} {
		writeStamp(w, s)
	}
}
