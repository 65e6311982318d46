package worker

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOrphansThatNobodyReapsAreGone(t *testing.T) {
	// Orphans become this process's, which does not reap them: as in a container without an init.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Skip("no subreapers here:", err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	held := fifo(t)
	x, _ := newExecutor(t, 1<<20)
	x.killGrace = time.Hour
	ctx, cancel := context.WithCancelCause(t.Context())
	said := onWords(t, held, func(string) { cancel(ErrRevoked) })
	got := x.run(ctx, testJob(), script(`exec 9> `+held+`; (sleep 1000 &); echo begun >&9; sleep 1000`))
	if !got.cut || got.exit != 143 {
		t.Errorf("got %+v", got)
	}
	<-said
}
