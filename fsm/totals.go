package fsm

// Totals is how much a view holds.
type Totals struct {
	Sessions, Requests, Workers, Keys, Uploads int
	Jobs                                       Counts
}

// Totals counts what the view holds. Workers are those known, lost ones included; Keys are idempotency keys; Uploads are
// requests that have not come whole.
func (v *View) Totals() Totals {
	return Totals{
		Sessions: v.db.sessions.Len(), Requests: v.db.requests.Len(), Workers: v.workers.byID.Len(),
		Keys: v.db.keys.Len(), Uploads: v.db.uploads.byID.Len(), Jobs: v.db.counts,
	}
}
