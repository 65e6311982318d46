package fsm

import "iter"

// InParts gives the commands that submit a request in parts of at most so many jobs and about so many bytes; a job or spec
// that is larger is a part of its own. The jobs must be in order: see Ordered.
func (c *SubmitRequest) InParts(upload uint64, jobsMax, bytesMax int) iter.Seq[Command] {
	return func(yield func(Command) bool) {
		if !yield(&BeginSubmit{
			Upload: upload, Session: c.Session, Name: c.Name, Key: c.Key, Body: c.Body, MaxRunning: c.MaxRunning, OnFailure: c.OnFailure,
			Jobs: uint32(len(c.Jobs)), Hold: c.Hold,
		}) {
			return
		}
		var n uint32
		for at := 0; at < len(c.Specs); n++ {
			to := partEnd(at, len(c.Specs), jobsMax, bytesMax, func(i int) int { return specWireBytes(&c.Specs[i]) })
			if !yield(&SubmitPart{Upload: upload, Part: n, Specs: c.Specs[at:to]}) {
				return
			}
			at = to
		}
		for at := 0; at < len(c.Jobs); n++ {
			to := partEnd(at, len(c.Jobs), jobsMax, bytesMax, func(i int) int { return jobWireBytes(&c.Jobs[i]) })
			if !yield(&SubmitPart{Upload: upload, Part: n, Jobs: c.Jobs[at:to]}) {
				return
			}
			at = to
		}
		yield(&CommitSubmit{Upload: upload, Parts: n})
	}
}

// partEnd is where a part ends that begins with from.
func partEnd(from, end, itemsMax, bytesMax int, size func(int) int) int {
	bytes := 0
	for i := from; i < end; i++ {
		if bytes += size(i); i > from && (i-from == itemsMax || bytes > bytesMax) {
			return i
		}
	}
	return end
}

// WireBytes is about how large the command is in the log.
func (c *SubmitRequest) WireBytes() (n int) {
	for i := range c.Specs {
		n += specWireBytes(&c.Specs[i])
	}
	for i := range c.Jobs {
		n += jobWireBytes(&c.Jobs[i])
	}
	return n
}

func specWireBytes(s *JobSpec) int {
	const fixed, each = 64, 6
	return fixed + specBytes(s) + len(s.Queue) + each*(len(s.Args)+len(s.Env)+len(s.Labels)+len(s.Retry.Never))
}

func jobWireBytes(j *JobEntry) int {
	const fixed, each = 12, 5
	return fixed + len(j.Name) + len(j.Payload) + each*len(j.Needs)
}

// Ordered is the request with its jobs in an order in which each comes after what it needs, and otherwise as they were: what
// is in order stays as it is. It refuses a cycle as Apply would.
func (c *SubmitRequest) Ordered() (*SubmitRequest, *Refusal) {
	if c.inOrder() {
		return c, nil
	}
	order, refusal := c.order()
	if refusal != nil {
		return nil, refusal
	}
	place := make([]uint32, len(order))
	for at, i := range order {
		place[i] = uint32(at)
	}
	o := *c
	o.Jobs = make([]JobEntry, len(order))
	for at, i := range order {
		j := c.Jobs[i]
		needs := make([]Need, len(j.Needs))
		for k, n := range j.Needs {
			n.Job = place[n.Job]
			needs[k] = n
		}
		j.Needs = needs
		o.Jobs[at] = j
	}
	return &o, nil
}

func (c *SubmitRequest) inOrder() bool {
	for i := range c.Jobs {
		for _, n := range c.Jobs[i].Needs {
			if int(n.Job) >= i {
				return false
			}
		}
	}
	return true
}

// order lists the jobs, each after those that it needs, in depth-first order without recursion.
func (c *SubmitRequest) order() ([]uint32, *Refusal) {
	const fresh, open, placed = 0, 1, 2
	state := make([]uint8, len(c.Jobs))
	order := make([]uint32, 0, len(c.Jobs))
	type visit struct{ job, need uint32 }
	var stack []visit
	for i := range c.Jobs {
		if state[i] != fresh {
			continue
		}
		state[i] = open
		stack = append(stack, visit{uint32(i), 0})
		for len(stack) > 0 {
			v := &stack[len(stack)-1]
			j := &c.Jobs[v.job]
			if int(v.need) == len(j.Needs) {
				state[v.job] = placed
				order = append(order, v.job)
				stack = stack[:len(stack)-1]
				continue
			}
			n := j.Needs[v.need].Job
			v.need++
			switch {
			case int(n) >= len(c.Jobs):
				return nil, refuse(CodeInvalid, "job %q: it needs job %d of %d", j.Name, n, len(c.Jobs))
			case state[n] == open:
				return nil, refuse(CodeInvalid, "the needs of job %q lead back to it: a cycle", c.Jobs[n].Name)
			case state[n] == fresh:
				state[n] = open
				stack = append(stack, visit{n, 0})
			}
		}
	}
	return order, nil
}
