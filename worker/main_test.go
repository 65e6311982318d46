package worker

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/musterhq/muster/rpc/wire"
)

// The test binary runs itself again as other programs: the first argument says which.
const (
	asGuard  = "as-guard"
	asVictim = "as-victim"
)

// neverEnds is a context for programs that are killed.
func neverEnds() context.Context { return context.Background() }

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case asGuard:
			if err := Guard(os.Stdin); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		case asVictim:
			victim(os.Args[2], os.Args[3])
			return
		}
	}
	goleak.VerifyTestMain(m)
}

// selfAs is the command that runs this binary as another program.
func selfAs(program string, args ...string) []string {
	return append([]string{os.Args[0], program}, args...)
}

const testGrace = 200 * time.Millisecond

// newExecutor is an executor for processes; kill ends every grace.
func newExecutor(t testing.TB, logBytes int64, guardArgv ...string) (x *executor, kill context.CancelFunc) {
	t.Helper()
	s := &service{log: hclog.NewNullLogger()}
	base, kill := context.WithCancel(t.Context())
	w := &Worker{log: s.log, guardArgv: guardArgv}
	w.cfg.Data, w.cfg.LogBytes, w.cfg.KillGrace = t.TempDir(), logBytes, testGrace
	x, err := w.startExecutor(s, base, fmt.Sprintf("%016x", randomProcess()), func() string { return "h1:7070,h2:7070" })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill()
		s.close()
	})
	return x, kill
}

func testJob() Job {
	id := wire.JobID{Request: 7, Index: 1}
	return Job{ID: id.String(), Name: "count", Request: id.Request.String(), Session: "reports", Attempt: 2, Index: NoIndex}
}

func script(text string) work { return work{args: []string{shell, "-c", text}} }

// output is what is kept of a stream of the test job's attempt.
func output(t testing.TB, x *executor, job Job, stream int) string {
	t.Helper()
	var all bytes.Buffer
	for {
		data, eof, err := x.attempts.readLog(job.ID, job.Attempt, stream, int64(all.Len()), 1000)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
		if eof {
			return all.String()
		}
		if len(data) == 0 {
			t.Fatal("an ended attempt has no end of its output")
		}
	}
}
