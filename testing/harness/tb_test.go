package harness

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMainRunsCleanupsLastFirst(t *testing.T) {
	var order []string
	var dir string
	err := Main(t.Context(), "tool", new(bytes.Buffer), func(tb TB) {
		dir = tb.TempDir()
		tb.Cleanup(func() { order = append(order, "first") })
		tb.Cleanup(func() { order = append(order, "second") })
	})
	if err != nil || strings.Join(order, " ") != "second first" {
		t.Errorf("%v, %v", err, order)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func TestMainReportsFailure(t *testing.T) {
	for name, f := range map[string]func(TB){
		"fatal":            func(tb TB) { tb.Fatalf("broken"); panic("not reached") },
		"panic":            func(TB) { panic("broken") },
		"error in a clean": func(tb TB) { tb.Cleanup(func() { tb.Errorf("broken") }) },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			cleaned := false
			err := Main(t.Context(), "tool", &out, func(tb TB) {
				tb.Cleanup(func() { cleaned = true })
				f(tb)
			})
			if !errors.Is(err, ErrFailed) || !cleaned || !strings.Contains(out.String(), "broken") {
				t.Errorf("%v, cleaned %v, %q", err, cleaned, &out)
			}
		})
	}
}

func TestUntilTellsTheLastReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tries := 0
		err := Main(context.Background(), "tool", &out, func(tb TB) {
			Until(tb, time.Second, "the moon", func() error { tries++; return errors.New("it is cloudy") })
		})
		if err == nil || !strings.Contains(out.String(), "waited 1s for the moon: it is cloudy") || tries < 2 {
			t.Errorf("%v after %d tries: %q", err, tries, &out)
		}
	})
}

func TestUntilEndsWhenTheConditionHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		Until(t, time.Hour, "a minute to pass", func() error {
			if time.Since(begin) < time.Minute {
				return errors.New("not yet")
			}
			return nil
		})
		if took := time.Since(begin); took > time.Minute+pollEvery {
			t.Errorf("took %v", took)
		}
	})
}
