package worker

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func testExchanges(t *testing.T) *exchanges {
	t.Helper()
	xs, err := openExchanges(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = xs.close() })
	return xs
}

func beginExchange(t *testing.T, xs *exchanges, input string) *exchange {
	t.Helper()
	e, err := xs.begin([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestExchangeIsUsedAgainUnlessTheJobMayStillHaveIt(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(e *exchange) error
		again bool
	}{
		{"nothing", func(*exchange) error { return nil }, true},
		{"results", func(e *exchange) error { return os.WriteFile(e.path(resultFile), []byte("1"), 0o600) }, true},
		{"files of its own", func(e *exchange) error { return os.MkdirAll(e.path("a/b"), 0o700) }, true},
		{"input written to", func(e *exchange) error { return os.WriteFile(e.path(inputFile), make([]byte, 9999), 0o600) }, true},
		{"input removed", func(e *exchange) error { return os.Remove(e.path(inputFile)) }, false},
		{"input replaced", func(e *exchange) error {
			return errors.Join(os.WriteFile(e.path("x"), []byte("{}"), 0o600), os.Rename(e.path("x"), e.path(inputFile)))
		}, false},
		{"input linked elsewhere", func(e *exchange) error { return os.Link(e.path(inputFile), filepath.Join(t.TempDir(), "x")) }, false},
		{"input of another mode", func(e *exchange) error { return os.Chmod(e.path(inputFile), 0o644) }, false},
		{"input held open", func(e *exchange) error {
			f, err := os.Open(e.path(inputFile))
			t.Cleanup(func() { _ = f.Close() })
			return err
		}, false},
		{"directory moved", func(e *exchange) error { return os.Rename(filepath.Dir(e.path("x")), e.of.dir+"/moved") }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			xs := testExchanges(t)
			first := beginExchange(t, xs, "a long first input")
			old := first.path(inputFile)
			if err := test.spoil(first); err != nil {
				t.Fatal(err)
			}
			first.end()
			if data, err := os.ReadFile(old); err == nil && len(data) > 0 {
				t.Errorf("there is input still: %q", data)
			}
			second := beginExchange(t, xs, "second")
			defer second.end()
			if again := second == first; again != test.again {
				t.Errorf("used again: %v, want %v", again, test.again)
			}
			if second.path(inputFile) == old {
				t.Error("two attempts have one path")
			}
			if data, err := os.ReadFile(second.path(inputFile)); string(data) != "second" {
				t.Errorf("input is %q, %v", data, err)
			}
			if names, err := second.names(); !slices.Equal(names, []string{inputFile}) {
				t.Errorf("the second finds %q, %v", names, err)
			}
			if _, err := os.Stat(old); err == nil {
				t.Error("the first has a place still")
			}
		})
	}
}

func TestWordsAfterTheEndReachNobody(t *testing.T) {
	xs := testExchanges(t)
	first := beginExchange(t, xs, "{}")
	first.end()
	if err := os.WriteFile(first.path(resultFile), []byte("too late"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := beginExchange(t, xs, "{}")
	defer second.end()
	if f, err := second.open(resultFile); err == nil {
		t.Error("the result of another attempt is there", f.Close())
	}
}

func TestNoMoreDirectoriesAreIdleThanMayBe(t *testing.T) {
	xs := testExchanges(t)
	var all []*exchange
	for range exchangesIdleMax + 3 {
		all = append(all, beginExchange(t, xs, "{}"))
	}
	for _, e := range all {
		e.end()
	}
	if left, err := os.ReadDir(xs.dir); len(left) != exchangesIdleMax || err != nil {
		t.Errorf("%d directories are left, %v", len(left), err)
	}
}

func TestExchangeOfALostWorkerIsRemoved(t *testing.T) {
	data := t.TempDir()
	for range 2 {
		xs, err := openExchanges(data, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(xs.dir); len(left) != 0 || err != nil {
			t.Errorf("%d directories are left, %v", len(left), err)
		}
		beginExchange(t, xs, "secret") // and its worker is killed
	}
}
