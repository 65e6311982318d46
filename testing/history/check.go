package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// limitDefault is how long the search over one request or job may take. Nearly all end within a millisecond.
const limitDefault = 30 * time.Second

// Options say how to judge.
type Options struct {
	Limit     time.Duration             // for each request and job; 0: limitDefault
	Strangers func(request string) bool // whether workers that are not recorded may run the jobs of that id; nil: none may
	Steps     bool                      // whether what a cancel, a retry or an end changes may show job by job
	Dir       string                    // where the pictures of what is wrong go; empty: nowhere
}

// Verdict is what a history came to.
type Verdict struct {
	Ops, Unknown  int // operations, and those of them whose outcome nobody knows
	Kinds         map[Kind]int
	Requests      int // and jobs: how many were judged, each by itself
	Jobs          int
	Took, Longest time.Duration
	Failures      []string
}

func (v Verdict) String() string {
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(v.Kinds)) {
		kinds = append(kinds, fmt.Sprint(v.Kinds[k], " ", k))
	}
	verdict := "linearizable"
	if len(v.Failures) > 0 {
		verdict = "NOT linearizable"
	}
	return fmt.Sprintf("%d operations (%s; %d of unknown outcome) on %d requests and %d jobs are %s, judged in %v, the longest in %v",
		v.Ops, strings.Join(kinds, ", "), v.Unknown, v.Requests, v.Jobs, verdict, v.Took.Round(time.Millisecond), v.Longest.Round(time.Millisecond))
}

// part is the operations on one request, or on one job.
type part struct {
	name  string
	model porcupine.Model
	ops   []*Op
}

// Check looks for an order for each request and each job.
func Check(ops []*Op, opt Options) (v Verdict) {
	began := time.Now()
	v.Ops, v.Kinds = len(ops), map[Kind]int{}
	for _, o := range ops {
		v.Kinds[o.Input.Kind]++
		if o.Output.Code == Unknown {
			v.Unknown++
		}
	}
	requests, jobs := split(ops, opt)
	v.Requests, v.Jobs = len(requests), len(jobs)
	for _, p := range append(requests, jobs...) {
		start := time.Now()
		result := porcupine.CheckOperationsTimeout(p.model, p.operations(), cmp.Or(opt.Limit, limitDefault))
		v.Longest = max(v.Longest, time.Since(start))
		if result != porcupine.Ok {
			v.Failures = append(v.Failures, p.explain(result, opt))
		}
	}
	if len(v.Failures) > 0 && opt.Dir != "" {
		v.Failures = append(v.Failures, write(opt.Dir, ops))
	}
	v.Took = time.Since(began)
	return v
}

// split puts each operation where it belongs. What is done to a request as a whole is done to each of its jobs as well.
func split(ops []*Op, opt Options) (requests, jobs []*part) {
	byKey, byJob := map[string]*part{}, map[string]*part{}
	jobsOf, whole := map[string][]*part{}, map[string][]*Op{} // by the request's id; by its key
	keys := map[string]string{}
	for _, o := range ops {
		if o.Input.Job == "" {
			if o.Output.ID != "" {
				keys[o.Output.ID] = o.Input.Request
			}
			p := byKey[o.Input.Request]
			if p == nil {
				p = &part{name: "request " + o.Input.Request, model: modelOf(requestState{}, requestModel{opt.Steps}.step)}
				byKey[o.Input.Request] = p
				requests = append(requests, p)
			}
			p.ops = append(p.ops, o)
			if o.Input.Kind == Cancel || o.Input.Kind == Retry {
				whole[o.Input.Request] = append(whole[o.Input.Request], o)
			}
			continue
		}
		p := byJob[o.Input.Job]
		if p == nil {
			m := jobModel{strangers: opt.Strangers != nil && opt.Strangers(o.Input.Request), steps: opt.Steps}
			p = &part{name: "job " + o.Input.Job, model: modelOf(jobState{State: free}, m.step)}
			byJob[o.Input.Job] = p
			jobs = append(jobs, p)
			jobsOf[o.Input.Request] = append(jobsOf[o.Input.Request], p)
		}
		p.ops = append(p.ops, o)
	}
	for id, list := range jobsOf {
		for _, p := range list {
			p.ops = append(p.ops, whole[keys[id]]...)
		}
	}
	return requests, jobs
}

// operations are the part's, in the order of their calls; those that never ended end after all others.
func (p *part) operations() []porcupine.Operation {
	p.ops = thin(p.ops)
	clients, last := map[string]int{}, int64(0)
	for _, o := range p.ops {
		if _, known := clients[o.Client]; !known {
			clients[o.Client] = len(clients)
		}
		last = max(last, o.Call)
		if o.Return != Never {
			last = max(last, o.Return)
		}
	}
	list := make([]porcupine.Operation, len(p.ops))
	for i, o := range p.ops {
		list[i] = porcupine.Operation{ClientId: clients[o.Client], Input: o.Input, Call: o.Call, Output: o.Output, Return: min(o.Return, last+1), Metadata: o.Client}
	}
	return list
}

// explain tells what is wrong with a part, and draws it.
func (p *part) explain(result porcupine.CheckResult, opt Options) string {
	var b strings.Builder
	verdict := "is not linearizable"
	if result == porcupine.Unknown {
		verdict = fmt.Sprintf("was not judged within %v", cmp.Or(opt.Limit, limitDefault))
	}
	fmt.Fprintf(&b, "%s %s", p.name, verdict)
	if opt.Dir != "" && result == porcupine.Illegal {
		fmt.Fprintf(&b, "; %s", p.draw(opt))
	}
	for i, o := range p.ops {
		if i == toldMost {
			fmt.Fprintf(&b, "\n  … and %d more", len(p.ops)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %v", o)
	}
	return b.String()
}

// toldMost is how many operations of a part a failure lists.
const toldMost = 40
