package fsm

import (
	"fmt"

	"github.com/musterhq/muster/rpc/pack"
)

// upload reads the head of a request that is not whole yet.
func (re *restorer) upload(r *pack.Reader) error {
	head := *readBeginSubmit(r)
	re.u = &upload{
		head: head, term: r.Uint(), request: RequestID(r.Uint()), parts: r.Uint32(), touched: r.Int(),
		dag: newPartedDAG(), names: map[string]struct{}{},
	}
	re.want = r.Uint32()
	specs := readSpecs(r)
	re.u.head.Hold = r.Bool()
	if r.Err() != nil {
		return r.Err()
	}
	re.u.add(re.m.db.gen, specs, nil)
	return re.finishUpload()
}

func (re *restorer) uploadJob(r *pack.Reader) error {
	entry := readEntryJob(r)
	switch {
	case r.Err() != nil:
		return r.Err()
	case re.u == nil:
		return fmt.Errorf("a job without its request")
	case int(entry.Spec) >= re.u.dag.specCount() || precede(re.u.dag.jobs, &entry) != nil:
		return fmt.Errorf("job %q of a request that is not whole: spec %d, needs %v", entry.Name, entry.Spec, entry.Needs)
	}
	re.u.add(re.m.db.gen, nil, []JobEntry{entry})
	return re.finishUpload()
}

// finishUpload stores a request that is not whole once all of it that there is has been read.
func (re *restorer) finishUpload() error {
	if re.u.dag.jobs < re.want {
		return nil
	}
	if re.m.db.upload(re.u.head.Upload) != nil {
		return fmt.Errorf("two requests come in parts as %016x", re.u.head.Upload)
	}
	re.m.db.addUpload(re.u)
	re.u = nil
	return nil
}
