package wfformat

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Trace is a recorded workflow.
type Trace struct {
	Name  string
	Tasks []Task // in the order of the file
}

// Task is one task of a Trace.
type Task struct {
	ID      string
	Parents []string // ids of the tasks that ended before it began; sorted, none twice
	Runtime time.Duration
}

// document is the part of a WfFormat file that matters here.
type document struct {
	Name     string `json:"name"`
	Workflow struct {
		Specification struct {
			Tasks []struct {
				ID       string   `json:"id"`
				Name     string   `json:"name"`
				Parents  []string `json:"parents"`
				Children []string `json:"children"`
			} `json:"tasks"`
		} `json:"specification"`
		Execution struct {
			Tasks []struct {
				ID      string   `json:"id"`
				Runtime *float64 `json:"runtimeInSeconds"`
			} `json:"tasks"`
		} `json:"execution"`
	} `json:"workflow"`
}

// secondsMax bounds a recorded run time: a century, far from where a time.Duration overflows.
const secondsMax = 100 * 365 * 24 * 3600

// Read reads a WfFormat file. It returns an error that names the task when a task has no id, is there twice, names
// one that is not there, or has no run time. That the tasks form a DAG is left to muster to check.
func Read(r io.Reader) (Trace, error) {
	var doc document
	if err := json.NewDecoder(r).Decode(&doc); err != nil {
		return Trace{}, fmt.Errorf("read WfFormat: %w", err)
	}
	runtimes, err := runtimes(doc)
	if err != nil {
		return Trace{}, err
	}
	t := Trace{Name: doc.Name}
	at := map[string]int{} // id → place in Tasks
	for i, s := range doc.Workflow.Specification.Tasks {
		if s.ID == "" {
			return Trace{}, fmt.Errorf("task %d (%q) has no id", i, s.Name)
		}
		if _, twice := at[s.ID]; twice {
			return Trace{}, fmt.Errorf("task %q is there twice", s.ID)
		}
		runtime, has := runtimes[s.ID]
		if !has {
			return Trace{}, fmt.Errorf("task %q has no runtimeInSeconds under workflow.execution.tasks", s.ID)
		}
		at[s.ID] = i
		t.Tasks = append(t.Tasks, Task{ID: s.ID, Runtime: runtime})
	}
	if len(t.Tasks) == 0 {
		return Trace{}, fmt.Errorf("no task under workflow.specification.tasks: is this WfFormat 1.4 or later?")
	}
	return t, t.link(doc, at)
}

func runtimes(doc document) (map[string]time.Duration, error) {
	of := map[string]time.Duration{}
	for _, e := range doc.Workflow.Execution.Tasks {
		if e.Runtime == nil {
			continue
		}
		if *e.Runtime < 0 || *e.Runtime > secondsMax {
			return nil, fmt.Errorf("task %q ran for %v s", e.ID, *e.Runtime)
		}
		of[e.ID] = time.Duration(*e.Runtime * float64(time.Second))
	}
	return of, nil
}

// link fills Parents: files name an edge at its parent, at its child or at both.
func (t Trace) link(doc document, at map[string]int) error {
	edge := func(parent, child string) error {
		for _, id := range []string{parent, child} {
			if _, ok := at[id]; !ok {
				return fmt.Errorf("edge from %q to %q: there is no task %q", parent, child, id)
			}
		}
		i := at[child]
		t.Tasks[i].Parents = append(t.Tasks[i].Parents, parent)
		return nil
	}
	for _, s := range doc.Workflow.Specification.Tasks {
		for _, p := range s.Parents {
			if err := edge(p, s.ID); err != nil {
				return err
			}
		}
		for _, c := range s.Children {
			if err := edge(s.ID, c); err != nil {
				return err
			}
		}
	}
	for i := range t.Tasks {
		slices.Sort(t.Tasks[i].Parents)
		t.Tasks[i].Parents = slices.Compact(t.Tasks[i].Parents)
	}
	return nil
}
