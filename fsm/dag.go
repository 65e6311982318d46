package fsm

import "strings"

// dag is the part of a request that never changes, in few allocations: the jobs' names, specs, payloads and needs,
// and the needs turned round. An offset list has one entry more than there are jobs.
type dag struct {
	specs      []JobSpec
	names      string
	nameEnds   []uint32 // of job i: names[nameEnds[i-1]:nameEnds[i]]
	specOf     []uint32 // nil: all jobs have specs[0]
	payloads   []byte
	payloadEnd []uint32 // nil: no job has a payload
	needs      []Need
	needEnds   []uint32 // nil: no job has a need
	deps       []uint32 // dependents
	depEnds    []uint32 // nil: like needEnds
	hash       uint64
}

func (d *dag) len() int { return len(d.nameEnds) }

func (d *dag) name(i uint32) string {
	lo, hi := span(d.nameEnds, i)
	return d.names[lo:hi]
}

func (d *dag) spec(i uint32) *JobSpec {
	if d.specOf == nil {
		return &d.specs[0]
	}
	return &d.specs[d.specOf[i]]
}

func (d *dag) specIndex(i uint32) uint32 {
	if d.specOf == nil {
		return 0
	}
	return d.specOf[i]
}

func (d *dag) payload(i uint32) []byte {
	if d.payloadEnd == nil {
		return nil
	}
	lo, hi := span(d.payloadEnd, i)
	return d.payloads[lo:hi:hi]
}

func (d *dag) needsOf(i uint32) []Need {
	if d.needEnds == nil {
		return nil
	}
	lo, hi := span(d.needEnds, i)
	return d.needs[lo:hi:hi]
}

func (d *dag) dependents(i uint32) []uint32 {
	if d.depEnds == nil {
		return nil
	}
	lo, hi := span(d.depEnds, i)
	return d.deps[lo:hi:hi]
}

func span(ends []uint32, i uint32) (lo, hi uint32) {
	if i > 0 {
		lo = ends[i-1]
	}
	return lo, ends[i]
}

// newDAG packs jobs whose indexes are in range. It takes specs over.
func newDAG(specs []JobSpec, jobs []JobEntry) *dag {
	d := &dag{specs: specs, nameEnds: make([]uint32, len(jobs))}
	for i := range specs {
		specs[i].class = classKey(&specs[i])
	}
	var names strings.Builder
	var nameBytes, payloadBytes, edges int
	oneSpec := true
	for i := range jobs {
		nameBytes += len(jobs[i].Name)
		payloadBytes += len(jobs[i].Payload)
		edges += len(jobs[i].Needs)
		oneSpec = oneSpec && jobs[i].Spec == 0
	}
	names.Grow(nameBytes)
	if !oneSpec {
		d.specOf = make([]uint32, len(jobs))
	}
	if payloadBytes > 0 {
		d.payloads = make([]byte, 0, payloadBytes)
		d.payloadEnd = make([]uint32, len(jobs))
	}
	if edges > 0 {
		d.needs = make([]Need, 0, edges)
		d.needEnds = make([]uint32, len(jobs))
	}
	for i := range jobs {
		names.WriteString(jobs[i].Name)
		d.nameEnds[i] = uint32(names.Len())
		if d.specOf != nil {
			d.specOf[i] = jobs[i].Spec
		}
		if d.payloadEnd != nil {
			d.payloads = append(d.payloads, jobs[i].Payload...)
			d.payloadEnd[i] = uint32(len(d.payloads))
		}
		if d.needEnds != nil {
			d.needs = append(d.needs, jobs[i].Needs...)
			d.needEnds[i] = uint32(len(d.needs))
		}
	}
	d.names = names.String()
	d.turnRound()
	d.hash = d.sum()
	return d
}

// turnRound fills deps and depEnds from needs, by counting.
func (d *dag) turnRound() {
	if d.needEnds == nil {
		return
	}
	d.depEnds = make([]uint32, d.len())
	d.deps = make([]uint32, len(d.needs))
	for _, n := range d.needs {
		d.depEnds[n.Job]++
	}
	var sum uint32
	for i, n := range d.depEnds {
		d.depEnds[i] = sum // for now: where the i-th's dependents begin
		sum += n
	}
	for i := range uint32(d.len()) {
		for _, n := range d.needsOf(i) {
			d.deps[d.depEnds[n.Job]] = i
			d.depEnds[n.Job]++ // ends as where they end
		}
	}
}

// acyclic says whether every job can be reached by meeting needs (Kahn 1962), and if not, names one job on a cycle.
func (d *dag) acyclic() (culprit uint32, ok bool) {
	if d.needEnds == nil {
		return 0, true
	}
	open := make([]uint32, d.len())
	queue := make([]uint32, 0, d.len())
	for i := range open {
		open[i] = uint32(len(d.needsOf(uint32(i))))
		if open[i] == 0 {
			queue = append(queue, uint32(i))
		}
	}
	for next := 0; next < len(queue); next++ {
		for _, dep := range d.dependents(queue[next]) {
			if open[dep]--; open[dep] == 0 {
				queue = append(queue, dep)
			}
		}
	}
	if len(queue) == d.len() {
		return 0, true
	}
	for i := range open {
		if open[i] > 0 {
			return uint32(i), false
		}
	}
	return 0, false
}
