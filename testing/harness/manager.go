package harness

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// pageJobs is how many jobs one page of a list asks for.
const pageJobs = 1000

// keyHeader carries the idempotency key of a submit.
const keyHeader = "Idempotency-Key"

// Spec writes a request as JSON, for those built by code: any value that marshals to the documented fields.
func Spec(tb TB, v any) string {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatalf("write the spec: %v", err)
	}
	return string(text)
}

// Submit submits a spec (YAML or JSON) under a fresh idempotency key, through leader changes, and fails the test when
// it is refused.
func (c *Cluster) Submit(spec string) Submitted {
	c.tb.Helper()
	return c.SubmitAs(rand.Text(), spec)
}

// SubmitAs is Submit under a key of the caller's.
func (c *Cluster) SubmitAs(key, spec string) Submitted {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), BoundDefault)
	defer cancel()
	s, err := c.TrySubmit(ctx, key, spec)
	if err != nil {
		c.tb.Fatalf("%v", err)
	}
	return s
}

// TrySubmit is SubmitAs for any goroutine: it asks until ctx ends.
func (c *core) TrySubmit(ctx context.Context, key, spec string) (s Submitted, err error) {
	a, err := c.Ask(ctx, "POST", "/v1/requests", spec, keyHeader, key)
	if err != nil {
		return s, fmt.Errorf("submit: %w", err)
	}
	if a.Status != http.StatusCreated && a.Status != http.StatusOK {
		return s, fmt.Errorf("submit: %v", a)
	}
	return s, a.Decode(&s)
}

// Request reads a request.
func (c *Cluster) Request(id string) Request {
	c.tb.Helper()
	var r Request
	c.read("/v1/requests/"+id, &r)
	return r
}

// Requests lists all requests, newest first.
func (c *Cluster) Requests() []Request {
	c.tb.Helper()
	var all []Request
	c.pages("/v1/requests", func(page string) (string, bool) {
		var p struct {
			Requests []Request `json:"requests"`
			Next     string    `json:"next"`
		}
		c.read(page, &p)
		all = append(all, p.Requests...)
		return p.Next, p.Next != ""
	})
	return all
}

// Jobs lists the jobs of a request in their order.
func (c *Cluster) Jobs(request string) []Job {
	c.tb.Helper()
	var all []Job
	c.pages("/v1/requests/"+request+"/jobs", func(page string) (string, bool) {
		var p struct {
			Jobs []Job  `json:"jobs"`
			Next string `json:"next"`
		}
		c.read(page, &p)
		all = append(all, p.Jobs...)
		return p.Next, p.Next != ""
	})
	return all
}

// pages calls each page of a list in turn.
func (c *Cluster) pages(path string, read func(page string) (next string, more bool)) {
	q := url.Values{"limit": {fmt.Sprint(pageJobs)}}
	for more := true; more; {
		var next string
		next, more = read(path + "?" + q.Encode())
		q.Set("after", next)
	}
}

// JobNamed finds a job of a request by its name.
func (c *Cluster) JobNamed(request, name string) Job {
	c.tb.Helper()
	jobs := c.Jobs(request)
	i := slices.IndexFunc(jobs, func(j Job) bool { return j.Name == name })
	if i < 0 {
		c.tb.Fatalf("request %s has no job %q", request, name)
	}
	return jobs[i]
}

// Job reads a job.
func (c *Cluster) Job(id string) Job {
	c.tb.Helper()
	var j Job
	c.read("/v1/jobs/"+id, &j)
	return j
}

// History reads what happened to a job.
func (c *Cluster) History(job string) []Step {
	c.tb.Helper()
	var h struct {
		Steps []Step `json:"steps"`
	}
	c.read("/v1/jobs/"+job+"/history", &h)
	return h.Steps
}

// WaitRequest waits until the request has ended and fails the test when it did so in a state other than want.
func (c *Cluster) WaitRequest(id, want string) Request {
	c.tb.Helper()
	r := c.WaitEnd(id, 2*BoundDefault)
	if r.State != want {
		c.tb.Fatalf("request %s ended %s, not %s:\n%s", id, r.State, want, c.story(id))
	}
	return r
}

// WaitEnd waits until the request has ended.
func (c *Cluster) WaitEnd(id string, bound time.Duration) Request {
	c.tb.Helper()
	var r Request
	Until(c.tb, bound, "the end of request "+id, func() error {
		if r = c.Request(id); r.Over() {
			return nil
		}
		return fmt.Errorf("it is %s, jobs %v", r.State, r.Counts)
	})
	return r
}

// storyJobs is how many jobs of a request a failure tells about.
const storyJobs = 20

// story tells how the jobs of a request stand, for a failure.
func (c *Cluster) story(request string) string {
	var b strings.Builder
	for i, j := range c.Jobs(request) {
		if i == storyJobs {
			b.WriteString("  …\n")
			break
		}
		fmt.Fprintf(&b, "  %s %s %s attempt %d on %s: %s %s\n", j.Name, j.State, j.Reason, j.Attempt, j.WorkerName, j.Error, j.Result)
	}
	return b.String()
}

// WaitJob waits until the job named so is as cond wants it, and returns it.
func (c *Cluster) WaitJob(request, name, what string, cond func(Job) bool) Job {
	c.tb.Helper()
	j := c.JobNamed(request, name)
	Until(c.tb, BoundDefault, fmt.Sprintf("job %s of %s to be %s", name, request, what), func() error {
		if j = c.Job(j.ID); cond(j) {
			return nil
		}
		return fmt.Errorf("it is %s %s, attempt %d on %s, %d %%, %s", j.State, j.Reason, j.Attempt, j.WorkerName, j.Progress, j.Error)
	})
	return j
}

// WaitJobState is WaitJob for one state.
func (c *Cluster) WaitJobState(request, name, state string) Job {
	c.tb.Helper()
	return c.WaitJob(request, name, state, func(j Job) bool { return j.State == state })
}

// JobNames maps the jobs of a request by name.
func (c *Cluster) JobNames(request string) map[string]Job {
	c.tb.Helper()
	named := map[string]Job{}
	for _, j := range c.Jobs(request) {
		named[j.Name] = j
	}
	return named
}
