package peer

import (
	"context"
	"testing"
)

func TestTheOutputOfMusterBenchIsRead(t *testing.T) {
	out := []byte("putting 100 jobs through …\n" + `{"shape":"exec","jobs":100,"seconds":2,"jobs_per_second":50,"step_ms":{"p50":1,"p99":2},"submit_ms":{"p50":3,"p99":4},
		"failover_ms":null,"coordinators":3,"fsync":true,"rss_mib":12,"cpu_us_per_job":{"coordinators":5,"workers":6,"bench":7},
		"loaded":{"percent":50,"jobs_per_second":25,"step_ms":{"p50":8,"p99":9}},"fork_exec_per_second":70,
		"idle":{"workers":10,"leader_cpu_percent":1.5,"leader_cpu_percent_none":0.5}}` + "\n")
	s, err := parseMuster(Exec, out)
	if err != nil {
		t.Fatal(err)
	}
	if s.Workload != Exec || s.Jobs != 100 || s.PerSecond != 50 || s.CPU() != 18 || s.P50 != 8 || s.P99 != 9 {
		t.Errorf("%+v", s)
	}
	for name, want := range map[string]float64{
		"rss_mib": 12, "submit_p50_ms": 3, "submit_p99_ms": 4, "fork_exec_per_second": 70, "load_per_second": 25, "leader_percent": 1.5, "leader_percent_none": 0.5,
	} {
		if s.Extra[name] != want {
			t.Errorf("%s is %v, want %v", name, s.Extra[name], want)
		}
	}
	for _, bad := range []string{"", "no leader", "{", `{"jobs":0}`} {
		if _, err := parseMuster(Jobs, []byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestTheOutputOfAClientInPythonIsRead(t *testing.T) {
	good := "a warning\n" + `{"jobs": {"jobs": 10, "seconds": 2}, "fan": {"jobs": 12, "seconds": 3}, "chain": {"jobs": 4, "seconds": 1, "steps_ms": [1, 2, 3]}}` + "\n"
	samples, err := parseScripted([]byte(good))
	if err != nil || len(samples) != 3 {
		t.Fatalf("%+v %v", samples, err)
	}
	if s := samples[0]; s.Workload != Jobs || s.PerSecond != 5 || s.P50 != 0 {
		t.Errorf("%+v", s)
	}
	if s := samples[2]; s.Workload != Chain || s.P50 != 2 || s.P99 != 3 {
		t.Errorf("%+v", s)
	}
	for _, bad := range []string{"", "Traceback", `{"jobs": {"jobs": 10, "seconds": 2}}`, `{"jobs": {"jobs": 10, "seconds": 0}, "fan": {}, "chain": {}}`} {
		if _, err := parseScripted([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestCountsAreScaled(t *testing.T) {
	e := &Env{Scale: 0.1}
	for n, want := range map[int]int{1000: 100, 100: 20, 5: 5} {
		if got := e.Count(n); got != want {
			t.Errorf("%d becomes %d, want %d", n, got, want)
		}
	}
}

func TestWhatTheEnvironmentLacksIsSaid(t *testing.T) {
	if err := missingPrograms("redis", "no-such-program"); err == nil {
		t.Error("a program that is not there is not missed")
	}
	if err := (Muster{Binary: "/no/such/muster"}).Missing(); err == nil {
		t.Error("a muster that is not there is not missed")
	}
	if about := (NATS{}).About(context.Background()); !about.Replicated || !about.Durable || about.DAG {
		t.Errorf("%+v", about)
	}
}
