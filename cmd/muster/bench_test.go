package main

import (
	"testing"
	"time"
)

func TestProcessorTimeIsReadFromStat(t *testing.T) {
	for _, c := range []struct {
		name, stat string
		want       time.Duration
		ok         bool
	}{
		{"plain", "42 (muster) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 7 3 20 0 9 0 1 1 1", 2100 * time.Millisecond, true},
		{"name with brackets and spaces", "42 (a) b (c) R 1 42 42 0 -1 4194560 100 0 0 0 1 2 3 4 20 0", 100 * time.Millisecond, true},
		{"cut short", "42 (muster) S 1 42 42 0 -1 4194560 100 0 0 0 150 50", 0, false},
		{"no number", "42 (muster) S 1 42 42 0 -1 4194560 100 0 0 0 150 x 7 3 20", 0, false},
		{"empty", "", 0, false},
	} {
		if got, ok := parseProcessorTime([]byte(c.stat)); got != c.want || ok != c.ok {
			t.Errorf("%s: %v %v, want %v %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestUsagePerJob(t *testing.T) {
	before := usage{coordinators: time.Second, workers: time.Second, bench: time.Second, known: true}
	after := usage{coordinators: 2 * time.Second, workers: 1500 * time.Millisecond, bench: time.Second, known: true}
	if got := before.perJob(after, 100_000); got == nil || *got != (benchCPU{Coordinators: 10, Workers: 5}) {
		t.Errorf("%+v", got)
	}
	if got := before.perJob(usage{}, 1); got != nil {
		t.Errorf("of what is not known: %+v", got)
	}
}

func TestBenchRefusesWhatItCannotMeasure(t *testing.T) {
	good := benchFlags{
		coordinators: 3, workers: 4, slots: 64, jobs: 1, perRequest: 1, submitters: 1, shape: "independent", clients: 1, inFlight: 1,
		local: true, idleTime: time.Second,
	}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*benchFlags){
		"shape":                func(f *benchFlags) { f.shape = "round" },
		"in flight":            func(f *benchFlags) { f.clients = 2 },
		"percentage":           func(f *benchFlags) { f.loaded, f.steps = 101, 1 },
		"loaded without steps": func(f *benchFlags) { f.loaded = 50 },
		"idle elsewhere":       func(f *benchFlags) { f.idle, f.local = 1, false },
		"idle time":            func(f *benchFlags) { f.idle, f.idleTime = 1, 0 },
		"board":                func(f *benchFlags) { f.board = -1 },
	} {
		bad := good
		spoil(&bad)
		if err := bad.check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
