package child

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAStatIsRead(t *testing.T) {
	got, err := parseStat([]byte("42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 7 3 20 0 9 0 12345 1 1"))
	if want := (stat{parent: 7, start: 12345, used: 2100 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "42 (a) S 7", "42 (a) S x 42 42 0 -1 4194560 100 0 0 0 150 50 7 3 20 0 9 0 12345 1 1"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestDescent(t *testing.T) {
	all := map[int]stat{2: {parent: 1}, 3: {parent: 2}, 4: {parent: 3}, 5: {parent: 1}}
	for pid, want := range map[int]bool{2: true, 3: true, 4: true, 5: false, 1: false, 99: false} {
		if got := descends(all, pid, 2); got != want {
			t.Errorf("%d: %v", pid, got)
		}
	}
}

func TestAGroupEndsWhatItStarted(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	g := NewGroup(t.TempDir())
	p, err := g.Start(Spec{Name: "parent", Args: []string{"sh", "-c", "sleep 600 & echo $!; wait"}})
	if err != nil {
		t.Fatal(err)
	}
	var grandchild string
	if err := g.Await(t.Context(), "the grandchild", func(context.Context) error {
		b, err := os.ReadFile(p.log)
		if grandchild = strings.TrimSpace(string(b)); err == nil && grandchild == "" {
			err = os.ErrNotExist
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if !p.Ended() {
		t.Error("the child still runs")
	}
	after := NewGroup(t.TempDir())
	defer after.Close()
	if err := after.Await(t.Context(), "the end of the grandchild", func(context.Context) error {
		b, err := os.ReadFile("/proc/" + grandchild + "/stat")
		if err == nil && !strings.Contains(string(b), ") Z ") { // nobody may have waited for it yet
			return errors.New("it still runs")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestRunTellsHowAProcessFailed(t *testing.T) {
	g := NewGroup(t.TempDir())
	defer g.Close()
	if out, err := g.Run(t.Context(), Spec{Name: "good", Args: []string{"sh", "-c", "echo hello"}}); err != nil || string(out) != "hello\n" {
		t.Errorf("%q %v", out, err)
	}
	if _, err := g.Run(t.Context(), Spec{Name: "bad", Args: []string{"sh", "-c", "echo because >&2; exit 3"}}); err == nil || !strings.Contains(err.Error(), "because") {
		t.Errorf("%v", err)
	}
	if _, err := g.Start(Spec{Name: "none", Args: []string{"/no/such/program"}}); err == nil {
		t.Error("a program that is not there was started")
	}
}

func TestUsageGrows(t *testing.T) {
	before := Own()
	for range 10_000 {
		_ = syscall.Getpid()
	}
	if Own() < before {
		t.Error("processor time went back")
	}
}
