package fsm

import "strings"

// dag is the part of a request that never changes, in few allocations: the jobs' names, specs, payloads and needs,
// and the needs turned round. It is in one piece, or in chunks when it came in parts, so that adding to it never copies
// what is there.
type dag struct {
	specs     [][]JobSpec // spec i is specs[i>>specShift][…]
	specShift uint8
	chunks    []*chunk // job i is in chunks[i>>shift]
	shift     uint8
	jobs      uint32
	turned    bool // the dependents are known
	anyhow    bool // some need is not plain
	hash      uint64
	rolling   *rolling // while it comes in parts, and the way its hash is made; nil: in one piece
}

// The sizes of a dag's pieces: all in one, or 2^chunkShift jobs and 2^specsShift specs.
const (
	onePiece   = 32
	chunkShift = 8
	specsShift = 8
)

// chunk is a run of a dag's jobs. An offset list has one entry a job.
type chunk struct {
	names      string
	nameEnds   []uint32 // of job i: names[nameEnds[i-1]:nameEnds[i]]
	specOf     []uint32 // nil: all jobs have spec 0
	payloads   []byte
	payloadEnd []uint32 // nil: no job has a payload
	needs      []Need
	needEnds   []uint32 // nil: no job has a need
	deps       []uint32 // dependents
	depEnds    []uint32 // nil: no job has dependents. Until it is turned round: how many there are
	depEdges   []edge   // beside deps, the conditions; nil: they are plain
}

func (d *dag) len() int { return int(d.jobs) }

// at finds a job's chunk and its place there.
func (d *dag) at(i uint32) (c *chunk, k uint32) {
	n := i >> d.shift
	return d.chunks[n], i - n<<d.shift
}

func (d *dag) name(i uint32) string {
	c, k := d.at(i)
	lo, hi := span(c.nameEnds, k)
	return c.names[lo:hi]
}

func (d *dag) spec(i uint32) *JobSpec {
	s := d.specIndex(i)
	n := s >> d.specShift
	return &d.specs[n][s-n<<d.specShift]
}

func (d *dag) specIndex(i uint32) uint32 {
	c, k := d.at(i)
	if c.specOf == nil {
		return 0
	}
	return c.specOf[k]
}

// specCount is how many specs there are.
func (d *dag) specCount() (n int) {
	for _, run := range d.specs {
		n += len(run)
	}
	return n
}

func (d *dag) payload(i uint32) []byte {
	c, k := d.at(i)
	if c.payloadEnd == nil {
		return nil
	}
	lo, hi := span(c.payloadEnd, k)
	return c.payloads[lo:hi:hi]
}

func (d *dag) needsOf(i uint32) []Need {
	c, k := d.at(i)
	if c.needEnds == nil {
		return nil
	}
	lo, hi := span(c.needEnds, k)
	return c.needs[lo:hi:hi]
}

func (d *dag) dependents(i uint32) []uint32 {
	c, k := d.at(i)
	if c.depEnds == nil {
		return nil
	}
	lo, hi := span(c.depEnds, k)
	return c.deps[lo:hi:hi]
}

// dependentEdges is dependents with the conditions of their needs; nil: they are plain.
func (d *dag) dependentEdges(i uint32) (deps []uint32, edges []edge) {
	c, k := d.at(i)
	if c.depEnds == nil {
		return nil, nil
	}
	lo, hi := span(c.depEnds, k)
	if c.depEdges != nil {
		edges = c.depEdges[lo:hi:hi]
	}
	return c.deps[lo:hi:hi], edges
}

func span(ends []uint32, i uint32) (lo, hi uint32) {
	if i > 0 {
		lo = ends[i-1]
	}
	return lo, ends[i]
}

// newDAG packs jobs whose indexes are in range. It takes specs over.
func newDAG(specs []JobSpec, jobs []JobEntry) *dag {
	d := &dag{specs: [][]JobSpec{specs}, specShift: onePiece, chunks: []*chunk{newChunk(jobs)}, shift: onePiece, jobs: uint32(len(jobs)), turned: true}
	for i := range specs {
		specs[i].class = classKey(&specs[i])
	}
	d.anyhow = !plainNeeds(jobs)
	d.turnRound()
	d.hash = d.sum()
	return d
}

func newChunk(jobs []JobEntry) *chunk {
	c := &chunk{nameEnds: make([]uint32, len(jobs))}
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
		c.specOf = make([]uint32, len(jobs))
	}
	if payloadBytes > 0 {
		c.payloads = make([]byte, 0, payloadBytes)
		c.payloadEnd = make([]uint32, len(jobs))
	}
	if edges > 0 {
		c.needs = make([]Need, 0, edges)
		c.needEnds = make([]uint32, len(jobs))
	}
	for i := range jobs {
		names.WriteString(jobs[i].Name)
		c.nameEnds[i] = uint32(names.Len())
		if c.specOf != nil {
			c.specOf[i] = jobs[i].Spec
		}
		if c.payloadEnd != nil {
			c.payloads = append(c.payloads, jobs[i].Payload...)
			c.payloadEnd[i] = uint32(len(c.payloads))
		}
		if c.needEnds != nil {
			c.needs = append(c.needs, jobs[i].Needs...)
			c.needEnds[i] = uint32(len(c.needs))
		}
	}
	c.names = names.String()
	return c
}

// turnRound fills the dependents of a dag in one piece from its needs, by counting.
func (d *dag) turnRound() {
	c := d.chunks[0]
	if c.needEnds == nil {
		return
	}
	c.depEnds = make([]uint32, d.len())
	for _, n := range c.needs {
		c.depEnds[n.Job]++
	}
	c.layOut(d.anyhow)
	for i := range uint32(d.len()) {
		d.tellNeeds(i)
	}
}

// layOut makes room for the dependents, of which there are depEnds each. depEnds says then where each job's begin.
func (c *chunk) layOut(anyhow bool) {
	var sum uint32
	for i, n := range c.depEnds {
		c.depEnds[i] = sum
		sum += n
	}
	c.deps = make([]uint32, sum)
	if anyhow {
		c.depEdges = make([]edge, sum)
	}
}

// tellNeeds adds job i to the dependents of what it needs. When all have, depEnds says where each job's end.
func (d *dag) tellNeeds(i uint32) {
	for _, n := range d.needsOf(i) {
		c, k := d.at(n.Job)
		c.deps[c.depEnds[k]] = i
		if c.depEdges != nil {
			c.depEdges[c.depEnds[k]] = n.edge()
		}
		c.depEnds[k]++
	}
}

// acyclic says whether every job can be reached by meeting needs (Kahn 1962), and if not, names one job on a cycle.
func (d *dag) acyclic() (culprit uint32, ok bool) {
	if d.chunks[0].needEnds == nil && len(d.chunks) == 1 {
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
