package sim

import (
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/testing/history"
)

// operation is how a call stands in the history that is judged when the run is over. Nil: not at all.
type operation struct {
	in     history.Input
	answer func(v any) history.Output
}

func submitting(cmd fsm.SubmitRequest) *operation {
	return &operation{
		in: history.Input{Kind: history.Submit, Request: cmd.Key, Body: cmd.Body},
		answer: func(v any) history.Output {
			a := v.(fsm.RequestSubmitted)
			return history.Output{Code: history.OK, ID: a.ID.String(), Repeat: a.Repeat, State: a.State.String()}
		},
	}
}

func onRequest(kind history.Kind, key string) *operation {
	return &operation{in: history.Input{Kind: kind, Request: key}, answer: func(any) history.Output { return history.Output{Code: history.OK} }}
}

// words are the kinds of reports.
var words = map[fsm.ReportKind]history.Kind{
	fsm.ReportStart: history.Start, fsm.ReportDone: history.Done, fsm.ReportFailed: history.Failed, fsm.ReportReturn: history.Return,
}

func reporting(w fsm.WorkerID, r fsm.JobReport) *operation {
	in := about(r.Job)
	in.Kind, in.Worker, in.Attempt, in.Result = words[r.Kind], w.String(), r.Attempt, string(r.Result)
	return &operation{in: in, answer: func(v any) history.Output {
		return history.Output{Code: codes[v.([]fsm.Code)[0]]}
	}}
}

// about is the part of an input that names a job.
func about(id fsm.JobID) history.Input {
	return history.Input{Request: id.Request.String(), Job: id.String()}
}

var codes = map[fsm.Code]history.Code{
	fsm.CodeOK: history.OK, fsm.CodeConflict: history.Conflict, fsm.CodeNotFound: history.NotFound, fsm.CodeStale: history.Stale,
}

// answered notes a definite answer to the try that c has made: a value, or a refusal.
func (o *operation) answered(c *caller, v any, no *fsm.Refusal) {
	if o == nil {
		return
	}
	out := history.Output{}
	switch {
	case no == nil:
		out = o.answer(v)
	case o.in.Job != "":
		out.Code = history.Fenced // of the worker as a whole
	default:
		out.Code = codes[no.Code]
	}
	c.s.history.ops.BeginAt(c.tried, c.from, o.in).Return(out)
}

// lost notes that the try may have been done or not.
func (o *operation) lost(c *caller) {
	if o != nil {
		c.s.history.ops.BeginAt(c.tried, c.from, o.in).Unknown()
	}
}

// picked notes that a grant has reached its worker. It was made at some time since the process began.
func (h *annals) picked(g fsm.Grant, p *process) {
	in := about(g.Job)
	in.Kind, in.Worker, in.Attempt = history.Pick, p.me.ID.String(), g.Attempt
	h.ops.BeginAt(p.began, p.w.name, in).Return(history.Output{Code: history.OK})
}

const (
	// lookedAt is how many requests of its own, and of others', a client notes of each read.
	lookedAt = 4
	// lookedInto is how many jobs of each.
	lookedInto = 2
)

// note takes some of what a linearizable read showed into the history.
func (c *client) note(v *fsm.View) {
	all := c.s.history.accepted()
	for i := range min(2*lookedAt, len(c.mine)+len(all)) {
		var id fsm.RequestID
		switch {
		case i%2 == 0 && len(c.mine) > 0:
			id = c.mine[len(c.mine)-1-c.d.IntN(min(len(c.mine), 2*openMax))].id
		case len(all) > 0:
			id = all[c.d.IntN(len(all))]
		default:
			continue
		}
		r := c.s.history.sawRequest(c.from, c.tried, v, id)
		for range min(lookedInto, r.Jobs) {
			c.s.history.sawJob(c.from, c.tried, v, fsm.JobID{Request: id, Index: c.d.Uint32N(r.Jobs)})
		}
	}
}

// noteNewest takes what a read showed of the newest request into the history: that is where an old state shows first.
func (c *caller) noteNewest(v *fsm.View) {
	all := c.s.history.accepted()
	if len(all) == 0 {
		return
	}
	r := c.s.history.sawRequest(c.from, c.tried, v, all[len(all)-1])
	if r.Jobs > 0 {
		c.s.history.sawJob(c.from, c.tried, v, fsm.JobID{Request: r.ID, Index: c.d.Uint32N(r.Jobs)})
	}
}

// accepted are the requests acknowledged so far.
func (h *annals) accepted() []fsm.RequestID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.order // only appended to
}

// sawRequest notes how a request was read; it has been acknowledged.
func (h *annals) sawRequest(who string, call int64, v *fsm.View, id fsm.RequestID) fsm.RequestInfo {
	h.mu.Lock()
	key := h.acks[id].key
	h.mu.Unlock()
	p := h.ops.BeginAt(call, who, history.Input{Kind: history.Read, Request: key})
	r, ok := v.Request(id)
	if !ok {
		p.Return(history.Output{Code: history.NotFound})
		return r
	}
	out := history.Output{Code: history.OK, ID: id.String(), State: r.State.String()}
	if r.Ending != fsm.Waiting {
		out.Ending = r.Ending.String()
	}
	p.Return(out)
	return r
}

func (h *annals) sawJob(who string, call int64, v *fsm.View, id fsm.JobID) {
	in := about(id)
	in.Kind = history.ReadJob
	p := h.ops.BeginAt(call, who, in)
	j, ok := v.Job(id)
	if !ok {
		p.Return(history.Output{Code: history.NotFound})
		return
	}
	p.Return(history.Output{Code: history.OK, State: j.State.String(), Attempt: j.Attempt, Worker: j.Worker.String(), Result: string(j.Result)})
}

// sawAll notes the whole of the last read: every acknowledged request, and each of its jobs.
func (h *annals) sawAll(call int64, v *fsm.View) {
	for _, id := range h.accepted() {
		r := h.sawRequest("the end", call, v, id)
		for i := range r.Jobs {
			h.sawJob("the end", call, v, fsm.JobID{Request: id, Index: i})
		}
	}
}
