package fsm

import "github.com/musterhq/muster/rpc/pack"

func (c BeginRestore) write(w *pack.Writer) {
	w.Array(3)
	w.Uint(uint64(kindBeginRestore))
	w.Uint(c.Restore)
	w.Uint(c.Bytes)
}

func (c RestorePart) write(w *pack.Writer) {
	w.Array(4)
	w.Uint(uint64(kindRestorePart))
	w.Uint(c.Restore)
	w.Uint(c.Offset)
	w.Bytes(c.Data)
}

func (c CommitRestore) write(w *pack.Writer) { writeID(w, kindCommitRestore, c.Restore) }
func (c DropRestore) write(w *pack.Writer)   { writeID(w, kindDropRestore, c.Restore) }
