package harness

import (
	"path/filepath"
	"strings"
	"testing"
)

// shell makes a process that runs a script, without starting it.
func shell(t *testing.T, env ...string) *Process {
	l := newLauncher()
	p := &Process{name: "sh", binary: "/bin/sh", env: append(env, "PATH=/usr/bin:/bin"), log: filepath.Join(t.TempDir(), "log"), launch: l}
	t.Cleanup(func() {
		p.Kill()
		l.close()
	})
	return p
}

func run(t *testing.T, p *Process, script string) {
	t.Helper()
	if err := p.start([]string{"-c", script}); err != nil {
		t.Fatal(err)
	}
}

func TestProcessThatEndsByItselfIsAStray(t *testing.T) {
	p := shell(t)
	run(t, p, "echo hello; exit 3")
	<-p.Exited()
	if p.ExitCode() != 3 || p.Running() || !p.strayed() {
		t.Errorf("code %d, running %v, strayed %v", p.ExitCode(), p.Running(), p.strayed())
	}
	if !strings.Contains(p.Log(), "\nhello\n") {
		t.Errorf("log: %q", p.Log())
	}
}

func TestKilledProcessIsNoStray(t *testing.T) {
	p := shell(t)
	run(t, p, "while :; do sleep 1; done")
	if !p.Responsive() || !Alive(p.PID()) {
		t.Fatal("it does not run")
	}
	p.Kill()
	if p.Running() || p.strayed() || Alive(p.PID()) || p.ExitCode() != -1 {
		t.Errorf("running %v, strayed %v, alive %v, code %d", p.Running(), p.strayed(), Alive(p.PID()), p.ExitCode())
	}
}

func TestStopWaitsForTheExitCode(t *testing.T) {
	p := shell(t)
	run(t, p, `trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done`)
	Until(t, BoundDefault, "the trap", func() error {
		if !strings.Contains(p.Log(), "\nready\n") {
			return errNobody
		}
		return nil
	})
	if code, err := p.Stop(); code != 7 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
}

func TestPausedProcessStandsUntilResumed(t *testing.T) {
	p := shell(t)
	run(t, p, "while :; do sleep 0.01; done")
	p.Pause()
	if p.Responsive() || !p.Running() || !stopped(p.PID()) {
		t.Error("it does not stand")
	}
	p.Resume()
	if !p.Responsive() {
		t.Error("it does not go on")
	}
	p.Pause()
	p.Kill() // SIGKILL reaches a process that stands
}

func TestWithEnvFindsByEnvironment(t *testing.T) {
	p := shell(t, "MARK=one two")
	run(t, p, "echo up; exec sleep 1000")
	Until(t, BoundDefault, "the shell to run", func() error {
		if !strings.Contains(p.Log(), "\nup\n") {
			return errNobody
		}
		return nil
	})
	if found := WithEnv("MARK=one two"); len(found) != 1 || found[0] != p.PID() {
		t.Errorf("found %v, want %d", found, p.PID())
	}
}

func TestAlarmFindsAPanic(t *testing.T) {
	p := shell(t)
	run(t, p, "echo fine; echo 'panic: no'; echo trace")
	<-p.Exited()
	if a := string(p.alarm()); !strings.Contains(a, "panic: no\ntrace") {
		t.Errorf("alarm: %q", a)
	}
}
