package fsm

// A request too large for one entry comes in parts: BeginSubmit, SubmitPart as often as needed, CommitSubmit. It becomes
// one with the last, all at once; until then nobody sees it and nothing of it runs. What is not whole is forgotten when the
// leadership ends in which it began, when it is dropped, or when no part came for Limits.UploadFor.

// BeginSubmit announces a request that comes in parts. Its answer is nil, or RequestSubmitted when the Key is known
// already: then there is nothing more to send.
type BeginSubmit struct {
	Upload     uint64 // random: names it in what follows
	Session    string // the rest as in SubmitRequest
	Name       string
	Key        string
	Body       uint64
	MaxRunning uint32
	OnFailure  OnFailure
	Jobs       uint32 // that it will have
	Hold       bool
}

// SubmitPart adds to a request that comes in parts. A job may need only jobs before it, which makes cycles impossible, and
// use only specs that have come by then. Its answer is nil.
type SubmitPart struct {
	Upload uint64
	Part   uint32 // counts from 0, without a gap
	Specs  []JobSpec
	Jobs   []JobEntry

	bare bool // read as it was written before there were conditions
}

// CommitSubmit makes a request of its parts. Its answer is RequestSubmitted, as SubmitRequest's.
type CommitSubmit struct {
	Upload uint64
	Parts  uint32 // all that there are
}

// DropSubmit forgets a request that comes in parts. Its answer is nil, whether there is one or not.
type DropSubmit struct{ Upload uint64 }
