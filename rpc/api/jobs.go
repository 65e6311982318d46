package api

import (
	"net/http"
	"net/url"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

const (
	// jobsBatch is how many jobs are taken from the view at one time.
	jobsBatch = 256
	// requestsScanMax is how many requests one page looks into for jobs of a state.
	requestsScanMax = 10_000
	// jobBytesFixed is about what a job costs in a page beside its own bytes.
	jobBytesFixed = 512
)

// jobPage is which part of a list of jobs is wanted.
type jobPage struct {
	filter fsm.JobFilter
	after  fsm.JobID
	begun  bool // there is an after
	left   int  // jobs
	bytes  int  // left, about
}

func jobPageOf(q url.Values) (*jobPage, error) {
	limit, err := limitOf(q)
	if err != nil {
		return nil, err
	}
	p := &jobPage{left: limit, bytes: pageBytesTarget}
	p.filter.After = -1
	if p.filter.State, p.filter.HasState, err = stateOf(q); err != nil {
		return nil, err
	}
	p.after, p.begun, err = afterOf(q, fsm.ParseJobID)
	return p, err
}

// each gives the jobs of a request until the page is full; give says about how many bytes a job takes. The answer is
// the id of the last job given when there are more.
func (p *jobPage) each(v *fsm.View, r fsm.RequestInfo, give func(fsm.JobInfo) int) (next string) {
	f := p.filter
	f.Limit = jobsBatch
	if p.begun && p.after.Request == r.ID {
		f.After = int(p.after.Index)
	}
	if p.filter.HasState && r.Counts[f.State] == 0 {
		return ""
	}
	var last fsm.JobID
	for {
		jobs := v.Jobs(r.ID, f)
		for _, j := range jobs {
			if p.left == 0 || p.bytes <= 0 {
				return last.String()
			}
			p.left--
			p.bytes -= jobBytesFixed + give(j)
			last = j.ID
		}
		if len(jobs) < f.Limit {
			return ""
		}
		f.After = int(last.Index)
	}
}

func jobBytes(j fsm.JobInfo, needs []rest.Need) int {
	n := len(j.Payload) + len(j.Result) + len(j.Error) + len(j.ProgressText) + needsBytes(needs)
	for _, a := range j.Spec.Args {
		n += len(a)
	}
	for _, e := range j.Spec.Env {
		n += len(e.Key) + len(e.Value)
	}
	return n
}

func needsBytes(needs []rest.Need) (n int) {
	for i := range needs {
		n += len(needs[i].Job) + 3 // quotes and a comma
	}
	return n
}

// collect gives a receiver of jobs that appends them to a list.
func collect(list *[]rest.Job, v *fsm.View) func(fsm.JobInfo) int {
	return func(j fsm.JobInfo) int {
		doc := jobOf(j, v)
		*list = append(*list, doc)
		return jobBytes(j, doc.Needs) + needsBytes(doc.NeedsAny)
	}
}

func (s *Server) listRequestJobs(w http.ResponseWriter, r *http.Request) error {
	p, err := jobPageOf(r.URL.Query())
	if err != nil {
		return err
	}
	v, err := s.view(w, r)
	if err != nil {
		return err
	}
	info, err := request(v, r)
	if err != nil {
		return err
	}
	doc := rest.Jobs{Jobs: []rest.Job{}}
	doc.Next = p.each(v, info, collect(&doc.Jobs, v))
	return answer(w, http.StatusOK, doc)
}

func (s *Server) listJobs(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p, err := jobPageOf(q)
	if err != nil {
		return err
	}
	v, err := s.view(w, r)
	if err != nil {
		return err
	}
	doc := rest.Jobs{Jobs: []rest.Job{}}
	if name := q.Get(paramRequest); name != "" {
		id, err := fsm.ParseRequestID(name)
		info, ok := v.Request(id)
		if err != nil || !ok {
			return notFound("request", name)
		}
		doc.Next = p.each(v, info, collect(&doc.Jobs, v))
	} else {
		doc.Next = p.eachRequest(v, collect(&doc.Jobs, v))
	}
	return answer(w, http.StatusOK, doc)
}

// eachRequest gives the jobs of all requests, those of the newest first.
func (p *jobPage) eachRequest(v *fsm.View, give func(fsm.JobInfo) int) (next string) {
	before := fsm.RequestID(0)
	if p.begun {
		before = p.after.Request + 1
	}
	for scanned := 0; scanned < requestsScanMax; {
		requests := v.Requests(fsm.RequestFilter{Before: before, Limit: jobsBatch})
		for _, r := range requests {
			if p.left == 0 || p.bytes <= 0 {
				return next // of the request before
			}
			if next := p.each(v, r, give); next != "" {
				return next
			}
			next = lastJob(r)
		}
		if len(requests) < jobsBatch {
			return ""
		}
		scanned += len(requests)
		before = requests[len(requests)-1].ID
	}
	return next
}

// lastJob names the end of a request.
func lastJob(r fsm.RequestInfo) string {
	return fsm.JobID{Request: r.ID, Index: max(r.Jobs, 1) - 1}.String()
}

// job finds the job of the path.
func job(v *fsm.View, r *http.Request) (fsm.JobInfo, error) {
	id, err := pathID(r, "job", fsm.ParseJobID)
	if err != nil {
		return fsm.JobInfo{}, err
	}
	info, ok := v.Job(id)
	if !ok {
		return info, notFound("job", id.String())
	}
	return info, nil
}

func (s *Server) getJob(w http.ResponseWriter, r *http.Request) error {
	return describe(s, w, r, job, func(v *fsm.View, j fsm.JobInfo) any { return jobOf(j, v) })
}

func (s *Server) getHistory(w http.ResponseWriter, r *http.Request) error {
	return describe(s, w, r, job, func(v *fsm.View, j fsm.JobInfo) any {
		steps := v.History(j.ID)
		doc := rest.History{Job: j.ID.String(), Name: j.Name, Steps: make([]rest.Step, len(steps))}
		for i, step := range steps {
			doc.Steps[i] = stepOf(step)
		}
		return doc
	})
}
