package worker

import (
	"context"
	"syscall"
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

func TestExitIsAwaitedWithoutAPidfd(t *testing.T) {
	for _, with := range []bool{true, false} {
		c, err := startChild(shell, []string{shell, "-c", "exit 7"}, &syscall.ProcAttr{Env: []string{}, Sys: groupAttr()})
		if err != nil {
			t.Fatal(err)
		}
		if !with && c.fd != nil { // as on an old kernel
			_ = c.fd.Close()
			c.fd = nil
		}
		if _, reaped, err := c.awaitExit(); reaped || err != nil {
			t.Error(reaped, err)
		}
		if err := syscall.Kill(c.pid, 0); err != nil {
			t.Error("its number is free before it is reaped:", err)
		}
		if status, err := reapChild(c.pid); status.ExitStatus() != 7 || err != nil {
			t.Error(status, err)
		}
	}
}
