package load

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/musterhq/muster/rpc/client"
)

// Shape is how the jobs of a request depend on each other, and what they do.
type Shape string

// The shapes.
const (
	Independent Shape = "independent" // no needs
	Single      Shape = "single"      // each job is a request by itself: see Singly
	Fan         Shape = "fan"         // the first before all others, the last after them
	Chain       Shape = "chain"       // each after the one before
	Exec        Shape = "exec"        // no needs; each runs the program Nothing instead of a handler
)

// Shapes lists them all.
func Shapes() []Shape { return []Shape{Independent, Single, Fan, Chain, Exec} }

// Nothing is the program that jobs of shape Exec run.
const Nothing = "/bin/true"

// ParseShape reads a shape.
func ParseShape(s string) (Shape, error) {
	if !slices.Contains(Shapes(), Shape(s)) {
		return "", fmt.Errorf("%q is no shape: want one of %v", s, Shapes())
	}
	return Shape(s), nil
}

// request makes the n jobs of one request.
func (r Run) request(n int) []client.Job {
	jobs := make([]client.Job, n)
	for i := range jobs {
		jobs[i] = client.Job{Name: "n" + strconv.Itoa(i), Queue: r.Queue}
		if r.Shape == Exec {
			jobs[i].Command = []string{Nothing}
		} else {
			jobs[i].Handler = r.Handler
		}
	}
	switch r.Shape {
	case Chain:
		for i := range jobs[1:] {
			jobs[i+1].Needs = []string{jobs[i].Name}
		}
	case Fan:
		fan(jobs)
	}
	return jobs
}

// fan has the first job before all others and the last after them; of two jobs, the last after the first.
func fan(jobs []client.Job) {
	last := len(jobs) - 1
	first := []string{jobs[0].Name}
	for i := 1; i < last; i++ {
		jobs[i].Needs = first
		jobs[last].Needs = append(jobs[last].Needs, jobs[i].Name)
	}
	if last == 1 {
		jobs[last].Needs = first
	}
}
