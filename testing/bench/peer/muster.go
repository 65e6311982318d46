package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// Muster is muster, with one of its log stores, driven by `muster bench --local`.
type Muster struct {
	Binary   string
	LogStore string // boltdb or wal
	Brief    bool   // only the workloads that every subject has
}

// Further workloads, of muster alone.
const (
	Single     = "single"          // each job a request by itself
	FanMany    = "fan, 8 at once"  // eight requests of a fan under way
	Exec       = "exec"            // each job runs /bin/true
	Loaded     = "loaded steps"    // steps of a chain while half loaded
	Board      = "board of "       // + the number of jobs that lie on the board meanwhile
	IdleWorker = "idle workers"    // what 1,000 of them cost the leader
	ManySlots  = "jobs, 512 slots" // 8 times the slots
	Curve      = "curve, requests of 1,000"
	CurveOne   = "curve, one request"
)

// musterRun is one call of `muster bench`.
type musterRun struct {
	workload string
	jobs     int
	args     []string
	each     bool // in every round, or only in the first
}

var musterShared = []musterRun{
	{Jobs, 200_000, []string{"--steps", "0", "--submits", "50"}, true},
	{Fan, 10 * (FanWidth + 2), []string{"--shape", "fan", "--per-request", strconv.Itoa(FanWidth + 2), "--submitters", "1", "--steps", "0", "--submits", "0"}, true},
	{Chain, 500, []string{"--shape", "chain", "--per-request", "500", "--submitters", "1", "--steps", "500", "--submits", "200"}, true},
	{ManySlots, 200_000, []string{"--slots", "512", "--steps", "0", "--submits", "0", "--submitters", "16"}, true},
}

var musterMore = []musterRun{
	{Single, 60_000, []string{"--shape", "single", "--steps", "0", "--submits", "0"}, true},
	{FanMany, 60 * (FanWidth + 2), []string{"--shape", "fan", "--per-request", strconv.Itoa(FanWidth + 2), "--steps", "0", "--submits", "0"}, true},
	{Exec, 6000, []string{"--shape", "exec", "--steps", "0", "--submits", "0"}, true},
	{Loaded, 100_000, []string{"--loaded", "50", "--steps", "500", "--submits", "0"}, true},
	{Board + "10000", 100_000, []string{"--board", "10000", "--steps", "0", "--submits", "0"}, true},
	{Board + "1000000", 100_000, []string{"--board", "1000000", "--steps", "0", "--submits", "0"}, true},
	{IdleWorker, 1000, []string{"--idle-workers", "1000", "--idle-time", "10s", "--steps", "0", "--submits", "0"}, false},
}

// curveSizes are the numbers of jobs of the scaling curves.
var curveSizes = []int{1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000}

// About describes it.
func (m Muster) About(ctx context.Context) result.Subject {
	return result.Subject{
		Title: "muster, raft-" + m.LogStore, Kind: result.Ours, Version: firstLine(ctx, m.Binary, "version"),
		Settings:   "three coordinators and four workers of 64 slots, a process each; requests of 1,000, 8 under way; Go handlers",
		Replicated: true, Durable: true, DAG: true, Jobs: true,
	}
}

// Missing says what it needs.
func (m Muster) Missing() error {
	if _, err := exec.LookPath(m.Binary); err != nil {
		return fmt.Errorf("no muster at %s: %w", m.Binary, err)
	}
	return nil
}

// Measure does one round.
func (m Muster) Measure(ctx context.Context, e *Env) ([]result.Sample, error) {
	runs := musterShared
	if !m.Brief {
		runs = append(runs[:len(runs):len(runs)], musterMore...)
		for _, n := range curveSizes {
			runs = append(runs,
				musterRun{Curve, n, []string{"--steps", "20", "--submits", "0"}, false},
				musterRun{CurveOne, n, []string{"--per-request", strconv.Itoa(n), "--submitters", "1", "--steps", "20", "--submits", "0"}, false})
		}
	}
	var samples []result.Sample
	for i, r := range runs {
		if !r.each && e.Round > 1 {
			continue
		}
		s, err := m.run(ctx, e, r, i)
		if err != nil {
			return samples, fmt.Errorf("%s: %w", r.workload, err)
		}
		samples = append(samples, s)
	}
	return samples, nil
}

func (m Muster) run(ctx context.Context, e *Env, r musterRun, i int) (result.Sample, error) {
	n := r.jobs
	if r.workload != Chain && r.workload != Fan {
		n = e.Count(n)
	}
	args := append([]string{"bench", "--local", "--coordinators", "3", "--workers", strconv.Itoa(Workers), "--slots", strconv.Itoa(Slots),
		"--kills", "0", "--log-store", m.LogStore, "-o", "json", "--jobs", strconv.Itoa(n)}, r.args...)
	name := fmt.Sprintf("muster-%d", i)
	dir, err := e.Mkdir("", name)
	if err != nil {
		return result.Sample{}, err
	}
	defer os.RemoveAll(dir) // of a million jobs it is large
	out, err := e.Group.Run(ctx, child.Spec{Name: name, Args: append([]string{m.Binary}, args...), Env: []string{"TMPDIR=" + dir}})
	if err != nil {
		return result.Sample{}, err
	}
	return parseMuster(r.workload, out)
}

// musterJSON is what we read of the output of `muster bench -o json`.
type musterJSON struct {
	Jobs      int         `json:"jobs"`
	Seconds   float64     `json:"seconds"`
	PerSecond float64     `json:"jobs_per_second"`
	Step      millis      `json:"step_ms"`
	Submit    millis      `json:"submit_ms"`
	RSS       float64     `json:"rss_mib"`
	CPU       *musterCPU  `json:"cpu_us_per_job"`
	ForkExec  float64     `json:"fork_exec_per_second"`
	Loaded    *musterLoad `json:"loaded"`
	Idle      *musterIdle `json:"idle"`
}

type millis struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

type musterCPU struct {
	Coordinators float64 `json:"coordinators"`
	Workers      float64 `json:"workers"`
	Bench        float64 `json:"bench"`
}

type musterLoad struct {
	PerSecond float64 `json:"jobs_per_second"`
	Step      millis  `json:"step_ms"`
}

type musterIdle struct {
	Workers int     `json:"workers"`
	Leader  float64 `json:"leader_cpu_percent"`
	None    float64 `json:"leader_cpu_percent_none"`
}

// parseMuster finds the JSON document in the output, which also has what the bench says meanwhile.
func parseMuster(workload string, out []byte) (result.Sample, error) {
	at := bytes.IndexByte(out, '{')
	if at < 0 {
		return result.Sample{}, fmt.Errorf("muster bench printed no JSON: %s", out)
	}
	var j musterJSON
	if err := json.NewDecoder(bytes.NewReader(out[at:])).Decode(&j); err != nil {
		return result.Sample{}, fmt.Errorf("what muster bench printed: %w", err)
	}
	if j.Jobs == 0 || j.PerSecond == 0 {
		return result.Sample{}, errors.New("muster bench measured nothing")
	}
	s := result.Sample{
		Workload: workload, Jobs: j.Jobs, Seconds: j.Seconds, PerSecond: j.PerSecond, P50: j.Step.P50, P99: j.Step.P99,
		Extra: map[string]float64{"rss_mib": j.RSS},
	}
	if j.CPU != nil {
		s.ServersCPU, s.WorkersCPU, s.ClientsCPU = j.CPU.Coordinators, j.CPU.Workers, j.CPU.Bench
	}
	if j.Submit.P50 > 0 {
		s.Extra["submit_p50_ms"], s.Extra["submit_p99_ms"] = j.Submit.P50, j.Submit.P99
	}
	if j.ForkExec > 0 {
		s.Extra["fork_exec_per_second"] = j.ForkExec
	}
	if j.Loaded != nil {
		s.P50, s.P99 = j.Loaded.Step.P50, j.Loaded.Step.P99
		s.Extra["load_per_second"] = j.Loaded.PerSecond
	}
	if j.Idle != nil {
		s.Extra["leader_percent"], s.Extra["leader_percent_none"] = j.Idle.Leader, j.Idle.None
	}
	return s, nil
}
