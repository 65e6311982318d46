package worker

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// victim is a worker that runs one script until it is killed.
func victim(dir, text string) {
	s := &service{log: hclog.NewNullLogger()}
	w := &Worker{log: s.log, guardArgv: selfAs(asGuard)}
	w.cfg.Data, w.cfg.LogBytes, w.cfg.KillGrace = dir, 1<<20, testGrace
	x, err := w.startExecutor(s, neverEnds(), fmt.Sprintf("%016x", randomProcess()), func() string { return "" })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	x.run(neverEnds(), testJob(), script(text))
}

func TestNothingOutlivesAKilledWorker(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"its child", `echo begun >&9; sleep 1000`},
		{"who ignores signals", `trap '' TERM HUP INT; echo begun >&9; sleep 1000 & wait`},
		{"orphans in the group", `(sleep 1000 &); echo begun >&9; sleep 1000`},
		{"who left the group", `setsid sh -c 'echo begun >&9; sleep 1000 & sleep 1000'`},
	} {
		t.Run(test.name, func(t *testing.T) {
			held := fifo(t)
			argv := selfAs(asVictim, t.TempDir(), `exec 9> `+held+`; `+test.script)
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(held) // waits for the job
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := io.ReadFull(f, make([]byte, len("begun\n"))); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			// The pipe ends when nobody holds it any more.
			if _, err := io.Copy(io.Discard, f); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestJobsSurviveTheirGuard(t *testing.T) {
	x, _ := newExecutor(t, 1<<20, selfAs(asGuard)...)
	got := x.run(t.Context(), testJob(), script(`true`))
	if got.failure != "" {
		t.Fatal(got.failure)
	}
	x.guard.mu.Lock()
	_ = x.guard.guard.Kill()
	x.guard.mu.Unlock()
	for i := range 3 {
		if got := x.run(t.Context(), testJob(), script(`sleep 0.01; echo 1 > "$MUSTER_RESULT"`)); got.failure != "" {
			t.Errorf("run %d: %s", i, got.failure)
		}
	}
}

func TestGuardRefusesStrangeWords(t *testing.T) {
	for _, words := range []string{"hello\n", "0\n", "+1\n", "-1\n", "\n", "1e3\n", strings.Repeat("9", 100_000)} {
		if err := Guard(strings.NewReader(words)); err == nil {
			t.Errorf("%.20q was taken", words)
		}
	}
}
