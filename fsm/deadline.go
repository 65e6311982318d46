package fsm

import "github.com/tidwall/btree"

// deadlines orders what the passing of time will do, so that Tick finds what is due without looking at the rest.
// Derived: rebuilt from the jobs, requests and keys on restore.
type deadlines struct {
	jobs      *btree.BTreeG[jobDue]    // delayed jobs, and running ones with a timeout
	ended     *btree.BTreeG[endedAt]   // ended requests, for retention
	endedJobs uint64                   // their jobs
	orphans   *btree.BTreeG[orphanKey] // idempotency keys whose request is reaped
	gone      *btree.BTreeG[goneAt]    // workers that were lost or have left
	closed    *btree.BTreeG[closedAt]  // closed sessions of which no request is kept
}

type jobDue struct {
	at  int64
	job JobID
}

type endedAt struct {
	at int64
	id RequestID
}

type orphanKey struct {
	created int64
	key     string
}

type goneAt struct {
	at int64
	id WorkerID
}

type closedAt struct {
	at int64
	id SessionID
}

func newDeadlines() deadlines {
	opts := btree.Options{NoLocks: true}
	return deadlines{
		jobs: btree.NewBTreeGOptions(func(a, b jobDue) bool {
			return a.at < b.at || a.at == b.at && a.job.Less(b.job)
		}, opts),
		ended: btree.NewBTreeGOptions(func(a, b endedAt) bool {
			return a.at < b.at || a.at == b.at && a.id < b.id
		}, opts),
		orphans: btree.NewBTreeGOptions(func(a, b orphanKey) bool {
			return a.created < b.created || a.created == b.created && a.key < b.key
		}, opts),
		gone: btree.NewBTreeGOptions(func(a, b goneAt) bool {
			return a.at < b.at || a.at == b.at && a.id < b.id
		}, opts),
		closed: btree.NewBTreeGOptions(func(a, b closedAt) bool {
			return a.at < b.at || a.at == b.at && a.id < b.id
		}, opts),
	}
}

// next is the time of the earliest deadline.
func (d *deadlines) next(l Limits) (at int64, ok bool) {
	earliest := func(t int64) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	if j, found := d.jobs.Min(); found {
		earliest(j.at)
	}
	if e, found := d.ended.Min(); found {
		earliest(addTime(e.at, l.KeepFor))
	}
	if k, found := d.orphans.Min(); found {
		earliest(addTime(k.created, l.KeepKeys))
	}
	if s, found := d.closed.Min(); found {
		earliest(addTime(s.at, l.KeepFor))
	}
	if g, found := d.gone.Min(); found {
		earliest(g.at + int64(goneWorkerKeep))
	}
	return at, ok
}
