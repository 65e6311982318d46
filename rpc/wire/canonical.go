package wire

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/musterhq/muster/rpc/pack"
)

// Canonical checks a request and brings it into the one form in which it is submitted: needs by index, equal specs
// stored once, defaults filled in, pairs sorted, Body set to the Digest. Key is left for the caller. It takes time in
// proportion to jobs and needs, and does not recurse. It returns a *SpecError for the first thing that is wrong.
//
// The Submit shares payloads and argument lists with spec.
func Canonical(spec *RequestSpec) (*Submit, error) {
	if err := checkRequest(spec); err != nil {
		return nil, err
	}
	positions, err := namePositions(spec.Jobs)
	if err != nil {
		return nil, err
	}
	s := &Submit{
		Session: cmp.Or(spec.Session, DefaultSession), Name: spec.Name, MaxRunning: spec.MaxRunning,
		OnFailure: spec.OnFailure, Jobs: make([]SubmitJob, len(spec.Jobs)),
	}
	specs := specTable{at: make(map[string]uint32)}
	edges := needList{left: SubmitEdgesMax}
	for i := range spec.Jobs {
		def, job := &spec.Jobs[i], &s.Jobs[i]
		job.Name, job.Payload = def.Name, def.Payload
		if job.Needs, err = edges.resolve(i, def, positions); err != nil {
			return nil, err
		}
		if job.Spec, err = specs.add(i, def); err != nil {
			return nil, err
		}
	}
	s.Specs = specs.list
	if cycle := findCycle(s.Jobs); cycle != nil {
		return nil, cycleError(s.Jobs, cycle)
	}
	s.Body = s.Digest()
	return s, nil
}

// Digest is a hash of the request without its key: two requests of one key must agree on it. It guards against
// mistakes, not against malice.
func (m *Submit) Digest() uint64 {
	w := pack.NewWriter()
	defer w.Free()
	m.appendBody(w)
	h := fnv.New64a()
	_, _ = h.Write(w.Data()) // a hash does not fail
	return h.Sum64()
}

func checkRequest(spec *RequestSpec) error {
	fail := func(kind error, field, detail string) error {
		return &SpecError{Kind: kind, Position: NoPosition, Field: field, Detail: detail}
	}
	switch {
	case len(spec.Jobs) == 0:
		return fail(ErrNoJobs, "jobs", "")
	case len(spec.Jobs) > SubmitJobsMax:
		return fail(ErrTooManyJobs, "jobs", fmt.Sprintf("%d, at most %d are allowed", len(spec.Jobs), SubmitJobsMax))
	case spec.OnFailure.Policy() > StopRequest:
		return fail(ErrBadValue, "on_failure", "cancel and stop are known")
	}
	if problem := badName(spec.Name, true); problem != "" {
		return fail(ErrBadName, "name", problem)
	}
	if problem := badName(spec.Session, true); problem != "" {
		return fail(ErrBadName, "session", problem)
	}
	return nil
}

// badName says what is wrong with a name, or nothing.
func badName(name string, emptyAllowed bool) string {
	switch {
	case name == "" && !emptyAllowed:
		return "it is empty"
	case len(name) > NameBytesMax:
		return fmt.Sprintf("%.40q… has %d bytes, at most %d are allowed", name, len(name), NameBytesMax)
	case !utf8.ValidString(name):
		return fmt.Sprintf("%.40q is not UTF-8", name)
	}
	for _, c := range name {
		if unicode.IsControl(c) {
			return fmt.Sprintf("%.40q has a control character", name)
		}
	}
	return ""
}

func namePositions(jobs []JobDef) (map[string]uint32, error) {
	positions := make(map[string]uint32, len(jobs))
	for i := range jobs {
		name := jobs[i].Name
		if problem := badName(name, false); problem != "" {
			return nil, &SpecError{Kind: ErrBadName, Position: i, Job: name, Field: "name", Detail: problem}
		}
		if first, ok := positions[name]; ok {
			return nil, &SpecError{
				Kind: ErrDuplicateName, Position: i, Job: name, Field: "name",
				Detail: fmt.Sprintf("jobs %d and %d of the request", first+1, i+1),
			}
		}
		positions[name] = uint32(i)
	}
	return positions, nil
}

// needList turns needs by name into needs by index. All needs of a request share few allocations.
type needList struct {
	left  int
	block []Need
	seen  map[uint32]struct{} // scratch, for jobs of many needs
}

// needBlock is how many needs are allocated at once.
const needBlock = 4096

func (l *needList) resolve(position int, def *JobDef, positions map[string]uint32) ([]Need, error) {
	if len(def.Needs) == 0 {
		return nil, nil
	}
	fail := func(kind error, need, detail string) error {
		return &SpecError{Kind: kind, Position: position, Job: def.Name, Field: "needs", Need: need, Detail: detail}
	}
	if l.left -= len(def.Needs); l.left < 0 {
		return nil, fail(ErrTooManyNeeds, "", fmt.Sprintf("at most %d are allowed in a request", SubmitEdgesMax))
	}
	needs := l.take(len(def.Needs))
	for i, n := range def.Needs {
		at, ok := positions[n.Job]
		if !ok {
			return nil, fail(ErrUnknownNeed, n.Job, "")
		}
		if n.When.Condition() >= whenCount {
			return nil, fail(ErrBadValue, n.Job, "when: done, failed and ended are known")
		}
		needs[i] = Need{Job: at, When: n.When}
	}
	if i := l.duplicate(needs); i >= 0 {
		return nil, fail(ErrDuplicateNeed, def.Needs[i].Job, "")
	}
	return needs, nil
}

func (l *needList) take(n int) []Need {
	if n > needBlock/4 {
		return make([]Need, n)
	}
	if len(l.block) < n {
		l.block = make([]Need, needBlock)
	}
	needs := l.block[:n:n]
	l.block = l.block[n:]
	return needs
}

// duplicate is the place of the first need whose job came before, or -1.
func (l *needList) duplicate(needs []Need) int {
	if len(needs) <= scanMax {
		for i := range needs {
			for j := range i {
				if needs[i].Job == needs[j].Job {
					return i
				}
			}
		}
		return -1
	}
	if l.seen == nil {
		l.seen = make(map[uint32]struct{}, len(needs))
	}
	clear(l.seen)
	for i, n := range needs {
		if _, ok := l.seen[n.Job]; ok {
			return i
		}
		l.seen[n.Job] = struct{}{}
	}
	return -1
}

// specTable stores equal specs once.
type specTable struct {
	at   map[string]uint32 // by encoded bytes
	list []Spec
}

func (t *specTable) add(position int, def *JobDef) (uint32, error) {
	spec := def.Spec
	if err := completeSpec(&spec); err != nil {
		err.Position, err.Job = position, def.Name
		return 0, err
	}
	w := pack.NewWriter()
	defer w.Free()
	spec.append(w)
	if i, ok := t.at[string(w.Data())]; ok {
		return i, nil
	}
	i := uint32(len(t.list))
	t.at[string(w.Data())] = i
	t.list = append(t.list, spec)
	return i, nil
}

// completeSpec fills in defaults, sorts what is unordered and says what is wrong.
func completeSpec(s *Spec) *SpecError {
	if err := checkWork(s); err != nil {
		return err
	}
	bad := func(field, format string, args ...any) *SpecError {
		return &SpecError{Kind: ErrBadValue, Field: field, Detail: field + ": " + fmt.Sprintf(format, args...)}
	}
	if s.Queue == "" {
		s.Queue = DefaultQueue
	}
	s.Slots = max(s.Slots, 1)
	if s.Retry.Limit > 0 && s.Retry.Factor == 0 {
		s.Retry.Factor = DefaultRetryFactor
	}
	if problem := badName(s.Queue, false); problem != "" {
		return bad("queue", "%s", problem)
	}
	if s.Priority < -PriorityMax || s.Priority > PriorityMax {
		return bad("priority", "%d is not in -%d…%d", s.Priority, PriorityMax, PriorityMax)
	}
	for _, d := range [...]struct {
		field string
		value int64
	}{
		{"timeout", int64(s.Timeout)}, {"start_after", int64(s.StartAfter)},
		{"retry.backoff", int64(s.Retry.Backoff)}, {"retry.max", int64(s.Retry.Max)},
	} {
		if d.value < 0 {
			return bad(d.field, "it is negative")
		}
	}
	if !s.StartAt.IsZero() && (s.StartAt.Year() < 1970 || s.StartAt.Year() >= yearMax) {
		return bad("start_after", "%s is out of range", s.StartAt)
	}
	if len(s.Retry.Never) > NeverMax {
		return bad("retry.never", "%d exit codes, at most %d are allowed", len(s.Retry.Never), NeverMax)
	}
	var err *SpecError
	if s.Env, err = sortPairs("env", s.Env); err != nil {
		return err
	}
	if s.Labels, err = sortPairs("labels", s.Labels); err != nil {
		return err
	}
	if i := slices.IndexFunc(s.Env, func(p Pair) bool { return strings.ContainsAny(p.Key, "=\x00") || strings.Contains(p.Value, "\x00") }); i >= 0 {
		return bad("env", "%.40q cannot be set: no NUL may be in it, nor = in its name", s.Env[i].Key)
	}
	if n := specBytes(s); n > SpecBytesMax {
		return bad("command", "with its arguments, env and labels it has %d bytes, at most %d are allowed", n, SpecBytesMax)
	}
	return nil
}

// specBytes is how much text a spec has.
func specBytes(s *Spec) int {
	n := len(s.Dir)
	for _, a := range s.Args {
		n += len(a)
	}
	for _, pairs := range [...][]Pair{s.Env, s.Labels} {
		for _, p := range pairs {
			n += len(p.Key) + len(p.Value)
		}
	}
	return n
}

// yearMax is past what Unix nanoseconds in an int64 can say.
const yearMax = 2262

func checkWork(s *Spec) *SpecError {
	fail := func(format string, args ...any) *SpecError {
		return &SpecError{Kind: ErrBadWork, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case s.Kind < WorkCommand || s.Kind > WorkHandler:
		return fail("it needs exactly one of command, shell and handler")
	case len(s.Args) == 0 || s.Args[0] == "":
		return fail("its command, shell script or handler name is empty")
	case s.Kind != WorkCommand && len(s.Args) > 1:
		return fail("a shell script or handler takes no further arguments")
	case len(s.Args) > ArgsMax:
		return fail("%d arguments, at most %d are allowed", len(s.Args), ArgsMax)
	}
	if strings.Contains(s.Dir, "\x00") || slices.ContainsFunc(s.Args, func(a string) bool { return strings.Contains(a, "\x00") }) {
		return fail("an argument or its directory has a NUL byte")
	}
	return nil
}

func sortPairs(field string, pairs []Pair) ([]Pair, *SpecError) {
	bad := func(format string, args ...any) ([]Pair, *SpecError) {
		return nil, &SpecError{Kind: ErrBadValue, Field: field, Detail: field + ": " + fmt.Sprintf(format, args...)}
	}
	if len(pairs) > PairsMax {
		return bad("%d entries, at most %d are allowed", len(pairs), PairsMax)
	}
	byKey := func(a, b Pair) int { return cmp.Compare(a.Key, b.Key) }
	if !slices.IsSortedFunc(pairs, byKey) {
		pairs = slices.SortedStableFunc(slices.Values(pairs), byKey)
	}
	for i, p := range pairs {
		switch {
		case p.Key == "":
			return bad("a key is empty")
		case len(p.Key) > NameBytesMax:
			return bad("%.40q… is too long", p.Key)
		case i > 0 && p.Key == pairs[i-1].Key:
			return bad("%.40q comes twice", p.Key)
		}
	}
	return pairs, nil
}

// findCycle is the indexes of jobs of which each needs the next, and the last the first; nil when there are none.
//
// It takes jobs away whose needs have all been taken away (Kahn). What is left needs something that is left, so
// following needs from any of it must come round.
func findCycle(jobs []SubmitJob) []uint32 {
	open, order := topological(jobs)
	if order == len(jobs) {
		return nil
	}
	at := uint32(slices.IndexFunc(open, func(n uint32) bool { return n > 0 }))
	seenAt := make(map[uint32]int)
	var path []uint32
	for {
		if first, ok := seenAt[at]; ok {
			return path[first:]
		}
		seenAt[at] = len(path)
		path = append(path, at)
		needs := jobs[at].Needs
		at = needs[slices.IndexFunc(needs, func(n Need) bool { return open[n.Job] > 0 })].Job
	}
}

// topological takes away jobs in an order of their needs. It returns for each job how many needs are left, and how
// many jobs were taken away.
func topological(jobs []SubmitJob) (open []uint32, taken int) {
	open = make([]uint32, len(jobs))
	first := make([]uint32, len(jobs)+1) // dependents of job j are dependents[first[j]:first[j+1]]
	for i := range jobs {
		open[i] = uint32(len(jobs[i].Needs))
		for _, n := range jobs[i].Needs {
			first[n.Job+1]++
		}
	}
	for j := range jobs {
		first[j+1] += first[j]
	}
	dependents := make([]uint32, first[len(jobs)])
	next := slices.Clone(first)
	queue := make([]uint32, 0, len(jobs))
	for i := range jobs {
		for _, n := range jobs[i].Needs {
			dependents[next[n.Job]] = uint32(i)
			next[n.Job]++
		}
		if open[i] == 0 {
			queue = append(queue, uint32(i))
		}
	}
	for ; taken < len(queue); taken++ {
		j := queue[taken]
		for _, d := range dependents[first[j]:first[j+1]] {
			if open[d]--; open[d] == 0 {
				queue = append(queue, d)
			}
		}
	}
	return open, taken
}

func cycleError(jobs []SubmitJob, cycle []uint32) *SpecError {
	// Begin with the job that comes first in the request: the message does not depend on how the cycle was found.
	least := slices.Index(cycle, slices.Min(cycle))
	names := make([]string, len(cycle))
	for i := range cycle {
		names[i] = jobs[cycle[(least+i)%len(cycle)]].Name
	}
	return &SpecError{Kind: ErrCycle, Position: int(cycle[least]), Job: names[0], Field: "needs", Cycle: names}
}
