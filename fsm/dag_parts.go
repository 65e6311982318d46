package fsm

import "slices"

// rolling is the state of a hash that is made job by job and spec by spec, in the order of their indexes, whatever parts
// they came in.
type rolling struct{ specs, jobs hasher }

// newPartedDAG is empty, to be added to.
func newPartedDAG() *dag {
	d := &dag{specShift: specsShift, shift: chunkShift, rolling: &rolling{newHasher(hashSpecs), newHasher(hashJobs)}}
	d.settle()
	return d
}

// own is a copy that may be added to while views hold d. What they share only grows behind the end that they know.
func (d *dag) own() *dag {
	c := *d
	c.specs, c.chunks = slices.Clone(d.specs), slices.Clone(d.chunks)
	if n := len(c.chunks); n > 0 {
		last := *c.chunks[n-1]
		c.chunks[n-1] = &last
	}
	r := *d.rolling
	c.rolling = &r
	return &c
}

// addSpecs takes specs over.
func (d *dag) addSpecs(specs []JobSpec) {
	for i := range specs {
		s := &specs[i]
		s.class = classKey(s)
		d.rolling.specs.spec(s)
		if n := len(d.specs); n == 0 || len(d.specs[n-1]) == 1<<specsShift {
			d.specs = append(d.specs, make([]JobSpec, 0, min(len(specs)-i, 1<<specsShift)))
		}
		last := &d.specs[len(d.specs)-1]
		*last = append(*last, *s)
	}
	d.settle()
}

// addJobs adds jobs that need only jobs before themselves.
func (d *dag) addJobs(jobs []JobEntry) {
	for i := range jobs {
		d.rolling.jobs.entry(&jobs[i])
	}
	for len(jobs) > 0 {
		if d.jobs%(1<<chunkShift) == 0 {
			d.chunks = append(d.chunks, new(chunk))
		}
		c := d.chunks[len(d.chunks)-1]
		n := min(len(jobs), 1<<chunkShift-len(c.nameEnds))
		c.add(jobs[:n])
		d.jobs += uint32(n)
		d.count(jobs[:n])
		d.anyhow = d.anyhow || !plainNeeds(jobs[:n])
		jobs = jobs[n:]
	}
	d.settle()
}

// add appends a run of jobs to a chunk.
func (c *chunk) add(jobs []JobEntry) {
	had, o := len(c.nameEnds), newChunk(jobs)
	c.nameEnds = join(c.nameEnds, o.nameEnds, had, len(jobs), uint32(len(c.names)))
	c.specOf = join(c.specOf, o.specOf, had, len(jobs), 0)
	c.payloadEnd = join(c.payloadEnd, o.payloadEnd, had, len(jobs), uint32(len(c.payloads)))
	c.needEnds = join(c.needEnds, o.needEnds, had, len(jobs), uint32(len(c.needs)))
	c.names += o.names
	c.payloads, c.needs = append(c.payloads, o.payloads...), append(c.needs, o.needs...)
}

// join appends more, each raised by base, to a list of had entries. nil stands for zeroes, and then each of more's would be base.
func join(list, more []uint32, had, n int, base uint32) []uint32 {
	if list == nil && more == nil {
		return nil
	}
	if list == nil {
		list = make([]uint32, had, had+n)
	}
	for i := range n {
		v := base
		if more != nil {
			v += more[i]
		}
		list = append(list, v)
	}
	return list
}

// count notes new jobs with what they need.
func (d *dag) count(jobs []JobEntry) {
	for i := range jobs {
		for _, n := range jobs[i].Needs {
			c, k := d.at(n.Job)
			if c.depEnds == nil {
				c.depEnds = make([]uint32, 0, 1<<chunkShift)
			}
			for len(c.depEnds) <= int(k) {
				c.depEnds = append(c.depEnds, 0)
			}
			c.depEnds[k]++
		}
	}
}

// settle brings the hash up to date.
func (d *dag) settle() {
	h := newHasher(hashDAG)
	h.word(uint64(d.rolling.specs))
	h.word(uint64(d.rolling.jobs))
	h.word(uint64(d.jobs))
	d.hash = uint64(h)
}

// roll gives a dag in one piece the hash that it had when it came in parts.
func (d *dag) roll(jobs []JobEntry) {
	d.rolling = &rolling{newHasher(hashSpecs), newHasher(hashJobs)}
	for i := range d.specs[0] {
		d.rolling.specs.spec(&d.specs[0][i])
	}
	for i := range jobs {
		d.rolling.jobs.entry(&jobs[i])
	}
	d.settle()
}

// turnStride is how many jobs' dependents are given room at a time.
const turnStride = 1 << chunkShift

// layOutFrom makes room for the dependents of the turnStride jobs from i on.
func (d *dag) layOutFrom(i uint32) {
	c, _ := d.at(i)
	if c.depEnds == nil {
		return
	}
	for len(c.depEnds) < len(c.nameEnds) {
		c.depEnds = append(c.depEnds, 0)
	}
	c.layOut(d.anyhow)
}

func (h *hasher) entry(j *JobEntry) {
	h.string(j.Name)
	h.word(uint64(j.Spec))
	h.bytes(j.Payload)
	h.word(uint64(len(j.Needs)))
	for _, n := range j.Needs {
		h.word(uint64(n.Job) | uint64(n.edge())<<32)
	}
}
