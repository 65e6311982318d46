package fsm

import "github.com/musterhq/muster/rpc/pack"

func (c BeginSubmit) write(w *pack.Writer) {
	if c.Hold {
		w.Array(10)
		w.Uint(uint64(kindBeginSubmit2))
		c.fields(w)
		w.Bool(true)
		return
	}
	w.Array(9)
	w.Uint(uint64(kindBeginSubmit))
	c.fields(w)
}

// fields are shared with the snapshot. Hold is not among them: it came later.
func (c *BeginSubmit) fields(w *pack.Writer) {
	w.Uint(c.Upload)
	w.String(c.Session)
	w.String(c.Name)
	w.String(c.Key)
	w.Uint(c.Body)
	w.Uint(uint64(c.MaxRunning))
	w.Uint(uint64(c.OnFailure))
	w.Uint(uint64(c.Jobs))
}

func readBeginSubmit(r *pack.Reader) *BeginSubmit {
	return &BeginSubmit{
		Upload: r.Uint(), Session: readText(r), Name: readText(r), Key: readText(r), Body: r.Uint(), MaxRunning: r.Uint32(),
		OnFailure: OnFailure(r.Uint8()), Jobs: r.Uint32(),
	}
}

func (c SubmitPart) write(w *pack.Writer) {
	kind := kindSubmitPart
	if !plainNeeds(c.Jobs) {
		kind = kindSubmitPart2
	}
	w.Array(5)
	w.Uint(uint64(kind))
	w.Uint(c.Upload)
	w.Uint(uint64(c.Part))
	writeSpecs(w, c.Specs)
	w.Array(len(c.Jobs))
	for i := range c.Jobs {
		writeEntryJob(w, &c.Jobs[i])
	}
}

func readSubmitPart(r *pack.Reader, first bool) *SubmitPart {
	c := &SubmitPart{Upload: r.Uint(), Part: r.Uint32(), Specs: readSpecs(r)}
	n := r.List(entryItemsMax)
	c.Jobs = make([]JobEntry, 0, min(n, r.Remaining()))
	for range n {
		c.Jobs = append(c.Jobs, readEntryJob(r))
	}
	c.bare = first && !plainNeeds(c.Jobs)
	r.End()
	return c
}

func (c CommitSubmit) write(w *pack.Writer) {
	w.Array(3)
	w.Uint(uint64(kindCommitSubmit))
	w.Uint(c.Upload)
	w.Uint(uint64(c.Parts))
}

func (c DropSubmit) write(w *pack.Writer) { writeID(w, kindDropSubmit, c.Upload) }
