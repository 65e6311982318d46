package fsm

import "math/bits"

// hasher mixes words into a 64-bit sum by folded multiplication (Wang Yi, wyhash, 2019). It guards against replicas
// that drift apart by mistake, not against forgery.
type hasher uint64

const (
	mixA = 0xa0761d6478bd642f
	mixB = 0xe7037ed1a0b428db
)

func newHasher(kind uint64) hasher { return hasher(mixA ^ kind*mixB) }

func (h *hasher) word(v uint64) {
	hi, lo := bits.Mul64(uint64(*h)^v, mixB)
	*h = hasher(hi ^ lo ^ mixA)
}

func (h *hasher) stamp(s stamp) {
	h.word(s.index)
	h.word(uint64(s.at))
}

func (h *hasher) string(s string) { mixText(h, s) }

func (h *hasher) bytes(b []byte) { mixText(h, b) }

func mixText[T string | []byte](h *hasher, s T) {
	h.word(uint64(len(s)))
	for len(s) >= 8 {
		h.word(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
		s = s[8:]
	}
	var tail uint64
	for i := range len(s) {
		tail |= uint64(s[i]) << (8 * i)
	}
	h.word(tail)
}

func (h *hasher) flag(b bool) {
	h.word(bit(b))
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (h *hasher) pairs(list []Pair) {
	h.word(uint64(len(list)))
	for _, p := range list {
		h.string(p.Key)
		h.string(p.Value)
	}
}

func (h *hasher) strings(list []string) {
	h.word(uint64(len(list)))
	for _, s := range list {
		h.string(s)
	}
}

// The kinds keep equal contents of different things apart in the sum.
const (
	hashJob = iota + 1
	hashMore
	hashRequest
	hashDAG
	hashSession
	hashWorker
	hashKey
	hashMachine
	hashSpecs
	hashJobs
	hashUpload
	hashIncoming
)

func (j *job) sum(id JobID) uint64 {
	h := newHasher(hashJob)
	h.word(uint64(id.Request))
	h.word(uint64(id.Index))
	h.word(uint64(j.state) | uint64(j.reason)<<8 | uint64(j.progress)<<16 | uint64(j.flags&^flagDirty)<<24 |
		uint64(j.attempt)<<32)
	h.word(uint64(j.retries) | uint64(j.lost)<<16 | uint64(j.open)<<32)
	h.word(uint64(j.cause) | uint64(j.hopes)<<32)
	h.word(uint64(j.worker))
	h.word(j.order)
	h.word(uint64(j.due))
	h.stamp(j.delayed)
	h.stamp(j.ready)
	h.stamp(j.picked)
	h.stamp(j.started)
	h.stamp(j.ended)
	if j.more != nil {
		h.word(j.more.hash)
	}
	return uint64(h)
}

func (m *jobMore) sum() uint64 {
	h := newHasher(hashMore)
	h.bytes(m.result)
	h.flag(m.json)
	h.string(m.err)
	h.word(uint64(m.exit))
	h.string(m.text)
	h.stamp(m.progressedAt)
	h.word(uint64(m.dropped) | uint64(m.percent)<<32)
	for i := range m.past {
		p := &m.past[i]
		h.word(uint64(p.attempt) | uint64(p.reason)<<32 | uint64(p.progress)<<40 | uint64(p.to)<<48)
		h.word(uint64(p.worker))
		h.word(uint64(p.exit))
		h.string(p.err)
		h.stamp(p.delayed)
		h.stamp(p.ready)
		h.stamp(p.picked)
		h.stamp(p.started)
		h.stamp(p.ended)
	}
	return uint64(h)
}

func (r *request) sum() uint64 {
	h := newHasher(hashRequest)
	h.word(uint64(r.id))
	h.word(uint64(r.session))
	h.string(r.name)
	h.string(r.key)
	h.word(r.body)
	h.word(uint64(r.state) | uint64(r.onFailure)<<8 | uint64(r.pause)<<16)
	h.flag(r.cancelled)
	h.word(uint64(r.maxRunning))
	h.word(r.index)
	h.word(uint64(r.created))
	h.word(uint64(r.ended))
	h.word(r.dag.hash)
	for i := range r.tasks {
		h.task(&r.tasks[i])
	}
	return uint64(h)
}

func (h *hasher) task(t *task) {
	h.word(uint64(t.kind) | uint64(t.reason)<<8 | uint64(t.at)<<32)
	h.word(uint64(t.job) | uint64(t.cause)<<32)
	h.word(uint64(len(t.doomed)))
	if len(t.doomed) > 0 { // the rest follows from the jobs that are cancelled; all of it would be too much for each entry
		h.word(uint64(t.doomed[0]) | uint64(t.doomed[len(t.doomed)-1])<<32)
	}
}

func (h *hasher) spec(s *JobSpec) {
	h.word(uint64(s.Kind) | uint64(uint8(s.Priority))<<8 | uint64(s.Slots)<<32)
	h.strings(s.Args)
	h.pairs(s.Env)
	h.string(s.Dir)
	h.string(s.Queue)
	h.pairs(s.Labels)
	h.word(uint64(s.Timeout))
	h.word(uint64(s.StartAfter))
	h.word(uint64(s.StartAt))
	h.word(uint64(s.Retry.Limit) | uint64(s.Retry.Factor)<<32)
	h.word(uint64(s.Retry.Backoff))
	h.word(uint64(s.Retry.Max))
	for _, code := range s.Retry.Never {
		h.word(uint64(code))
	}
	h.word(uint64(s.LostLimit))
}

// sum is the hash of a dag in one piece.
func (d *dag) sum() uint64 {
	h := newHasher(hashDAG)
	for i := range d.specs[0] {
		h.spec(&d.specs[0][i])
	}
	c := d.chunks[0]
	h.string(c.names)
	for _, list := range [][]uint32{c.nameEnds, c.specOf, c.payloadEnd, c.needEnds} {
		h.word(uint64(len(list)))
		for _, v := range list {
			h.word(uint64(v))
		}
	}
	h.bytes(c.payloads)
	for _, n := range c.needs {
		h.word(uint64(n.Job) | uint64(n.edge())<<32)
	}
	return uint64(h)
}

func (s *session) sum() uint64 {
	h := newHasher(hashSession)
	h.word(uint64(s.id))
	h.string(s.name)
	h.flag(s.closed)
	h.word(uint64(s.created))
	h.word(uint64(s.closedAt))
	return uint64(h)
}

func (w *worker) sum() uint64 {
	h := newHasher(hashWorker)
	h.word(uint64(w.id))
	h.string(w.name)
	h.string(w.identity)
	h.word(w.process)
	h.word(uint64(w.incarnation) | uint64(w.slots)<<32)
	h.strings(w.queues)
	h.pairs(w.labels)
	h.word(uint64(w.credit))
	h.flag(w.standing)
	h.flag(w.gone)
	h.flag(w.draining)
	h.word(uint64(w.joined))
	h.word(uint64(w.goneAt))
	return uint64(h)
}

func (u *upload) sum() uint64 {
	h := newHasher(hashUpload)
	h.word(u.head.Upload)
	h.word(u.term)
	h.word(uint64(u.request))
	h.string(u.head.Session)
	h.string(u.head.Name)
	h.string(u.head.Key)
	h.word(u.head.Body)
	h.word(uint64(u.head.MaxRunning) | uint64(u.head.OnFailure)<<32 | bit(u.head.Hold)<<40)
	h.word(uint64(u.head.Jobs) | uint64(u.parts)<<32)
	h.word(u.bytes)
	h.word(uint64(u.touched))
	h.word(u.dag.hash)
	return uint64(h)
}

func (k *keyed) sum() uint64 {
	h := newHasher(hashKey)
	h.string(k.key)
	h.word(uint64(k.request))
	h.word(uint64(k.session))
	h.word(uint64(k.jobs))
	h.word(k.body)
	h.word(uint64(k.created))
	h.word(uint64(k.ended))
	return uint64(h)
}

func (h *hasher) limits(l Limits) {
	h.word(uint64(l.Jobs))
	h.word(uint64(l.Needs))
	h.word(uint64(l.Edges))
	h.word(uint64(l.Sessions))
	h.word(uint64(l.Workers))
	h.word(l.LiveJobs)
	h.word(uint64(l.PayloadBytes))
	h.word(uint64(l.ResultBytes))
	h.word(uint64(l.TextBytes))
	h.word(uint64(l.KeepFor))
	h.word(uint64(l.KeepRequests))
	h.word(l.KeepJobs)
	h.word(uint64(l.KeepKeys))
	h.word(uint64(l.Keys))
	h.word(uint64(l.SpecBytes))
	// States hash as before there were these limits, as long as nobody changes them.
	if d := DefaultLimits(); l.Steps != d.Steps || l.Uploads != d.Uploads || l.UploadBytes != d.UploadBytes || l.UploadFor != d.UploadFor {
		h.word(uint64(l.Steps))
		h.word(uint64(l.Uploads))
		h.word(l.UploadBytes)
		h.word(uint64(l.UploadFor))
	}
}
