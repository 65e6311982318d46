package fsm

// The state of a saved snapshot takes the place of all this one holds: BeginRestore, RestorePart as often as needed,
// CommitRestore. It does so with the last, in one entry, on every coordinator alike; until then the state is as it was. What
// is not whole is forgotten when the leadership ends in which it began, when it is dropped, or when no part came for
// Limits.UploadFor.

// BeginRestore announces a state that comes in parts. There is one at a time. Its answer is nil.
type BeginRestore struct {
	Restore uint64 // random: names it in what follows
	Bytes   uint64 // that it will have, as View.WriteTo writes it; at most Limits.UploadBytes
}

// RestorePart adds to a state that comes in parts. Its answer is nil.
type RestorePart struct {
	Restore uint64
	Offset  uint64 // of Data: as many bytes as have come
	Data    []byte
}

// CommitRestore puts the state that has come in place of this one: see Machine.become for what is not taken as it was. Its
// answer is Restored. It is refused as CodeInvalid when the bytes are not a whole state.
type CommitRestore struct{ Restore uint64 }

// Restored answers CommitRestore.
type Restored struct {
	Index    uint64 // at which the state was saved, in the log that it came from
	Sessions int
	Requests int
	Returned uint32 // jobs that workers held then: they are ready again
}

// DropRestore forgets a state that comes in parts. Its answer is nil, whether there is one or not.
type DropRestore struct{ Restore uint64 }
