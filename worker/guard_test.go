package worker

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

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

func TestGuardAtRestTakesEveryWord(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		for i := range 8_000 { // more than a pipe holds
			fmt.Fprintln(w, i+2)
			fmt.Fprintln(w, -i-2)
		}
		fmt.Fprintln(w, "the end")
		_ = w.Close()
	}()
	if err := watchOver(&restfulReader{pipe: r}); err == nil || !strings.Contains(err.Error(), `"the end"`) {
		t.Errorf("the last word gave %v", err)
	}
}

func TestLostGuardIsReplaced(t *testing.T) {
	held := fifo(t)
	x, _ := newExecutor(t, 1<<20, selfAs(asGuard)...)
	done := make(chan outcome)
	go func() { done <- x.run(t.Context(), testJob(), script(`read go < `+held+`; echo 1 > "$MUSTER_RESULT"`)) }()
	release, err := os.OpenFile(held, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	first := x.guard.current()
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	for x.guard.current() == first {
		time.Sleep(time.Millisecond) // until there is another
	}
	job := testJob()
	job.Attempt++
	if got := x.run(t.Context(), job, script(`true`)); got.failure != "" {
		t.Error("with the next guard:", got.failure)
	}
	if err := release.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.failure != "" {
		t.Error("over its guard's end:", got.failure)
	}
}

// current is the guard process that is told what is started.
func (g *guard) current() *os.Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.guard
}

func TestGuardRefusesStrangeWords(t *testing.T) {
	for _, words := range []string{"hello\n", "0\n", "+1\n", "-1\n", "\n", "1e3\n", strings.Repeat("9", 100_000)} {
		if err := watchOver(strings.NewReader(words)); err == nil {
			t.Errorf("%.20q was taken", words)
		}
	}
}
