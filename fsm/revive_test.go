package fsm

import "testing"

// TestReviveCountsANeedOnce: a job that is done while its request is still being revived in steps tells those that need
// it, and those that come to life later see for themselves. Neither may do both.
func TestReviveCountsANeedOnce(t *testing.T) {
	r := newRun(t)
	w, inc := r.join("w", 1)
	c := wide(200)
	for i := 1; i < 200; i++ {
		c.Jobs[i].Needs = append(c.Jobs[i].Needs, Need{Job: 199})
	}
	c.Jobs[199].Needs = nil
	id := r.submit(c)
	r.ok(CancelRequest{ID: id})
	r.steps(2)
	r.ok(RetryRequest{ID: id})
	r.pick(w, inc)
	r.wantState(id, 0, Picked)
	r.ok(report(w, inc, id, 0, 1, ReportDone))
	for r.m.Busy() {
		r.do()
	}
	r.wantState(id, 199, Picked)
	for i := uint32(1); i < 199; i++ {
		r.wantState(id, i, Waiting)
	}
}
