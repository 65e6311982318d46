package result

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAFileIsReadAsItWasWritten(t *testing.T) {
	want := &File{
		Format: Format, Began: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), Seconds: 9, Command: "run", Rounds: 2, Scale: 0.5,
		Machine:  Machine{CPU: "c", Cores: 2, MiB: 100, System: "s", Disk: "d", Go: "g", Load: 0.1},
		Subjects: []Subject{{Name: "a", Title: "A", Kind: Peer, Version: "1", Settings: "x", Replicated: true, Durable: true, DAG: true, Jobs: true}},
		Skipped:  []Skip{{"b", 1, "why"}},
		Samples:  []Sample{{Subject: "a", Workload: "jobs", Round: 1, Jobs: 10, Seconds: 2, PerSecond: 5, P50: 1, P99: 2, ServersCPU: 3, WorkersCPU: 4, ClientsCPU: 5, Extra: map[string]float64{"e": 1}}},
	}
	path := filepath.Join(t.TempDir(), "r.json")
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	if cpu := got.Samples[0].CPU(); cpu != 12 {
		t.Errorf("cpu %v", cpu)
	}
	if n := len(got.Select("a", "jobs")); n != 1 || len(got.Select("a", "fan")) != 0 {
		t.Errorf("selected %d", n)
	}
}

func TestAWrongFileIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                            "unexpected end",
		`{"format":99,"samples":[{}]}`: "format 99",
		`{"format":1,"samples":[]}`:    "no sample",
	} {
		path := filepath.Join(t.TempDir(), "r.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestRate(t *testing.T) {
	if s := Rate("jobs", 100, 2*time.Second); s.PerSecond != 50 || s.Jobs != 100 || s.Seconds != 2 {
		t.Errorf("%+v", s)
	}
}
