package main

import (
	"fmt"
	"io"

	"github.com/musterhq/muster/worker/load"
)

// benchResult is what `muster bench -o json` prints. What was not measured is left out, or null.
type benchResult struct {
	Shape         load.Shape      `json:"shape"`
	Jobs          int             `json:"jobs"`
	Seconds       float64         `json:"seconds"`
	JobsPerSecond float64         `json:"jobs_per_second"`
	StepMS        load.Quantiles  `json:"step_ms"`   // end of a job to the start of the one after it, idle cluster
	SubmitMS      load.Quantiles  `json:"submit_ms"` // a request of one job, idle cluster
	FailoverMS    *load.Quantiles `json:"failover_ms"`
	Coordinators  int             `json:"coordinators"`
	Fsync         bool            `json:"fsync"`
	RSSMiB        float64         `json:"rss_mib"` // of all coordinators together; 0: not known
	Board         int             `json:"board,omitempty"`
	CPU           *benchCPU       `json:"cpu_us_per_job,omitempty"`
	Loaded        *benchLoaded    `json:"loaded,omitempty"`
	ForkExec      float64         `json:"fork_exec_per_second,omitempty"` // a bare loop on the same machine, right after
	Idle          *benchIdle      `json:"idle,omitempty"`
}

// benchCPU is the processor time that a job took, user and system, in microseconds.
type benchCPU struct {
	Coordinators float64 `json:"coordinators"` // all together
	Workers      float64 `json:"workers"`      // all together, with what they ran
	Bench        float64 `json:"bench"`        // this process, which submits
}

// benchLoaded is how the steps of a chain were while the cluster had other work.
type benchLoaded struct {
	Percent       int            `json:"percent"`
	JobsPerSecond float64        `json:"jobs_per_second"` // that were really done meanwhile
	StepMS        load.Quantiles `json:"step_ms"`
}

// benchIdle is what idle workers cost.
type benchIdle struct {
	Workers           int     `json:"workers"`
	LeaderPercent     float64 `json:"leader_cpu_percent"`      // of one core
	LeaderPercentNone float64 `json:"leader_cpu_percent_none"` // without them
}

func printBench(w io.Writer, r *benchResult) {
	fmt.Fprintf(w, "%d jobs (%s) in %.2f s: %.0f jobs a second, %d coordinators, fsync %v\n", r.Jobs, r.Shape, r.Seconds, r.JobsPerSecond, r.Coordinators, r.Fsync)
	if r.StepMS.P50 > 0 {
		fmt.Fprintf(w, "step      p50 %6.2f ms   p99 %6.2f ms   from the end of a job to the start of the one after it\n", r.StepMS.P50, r.StepMS.P99)
	}
	if l := r.Loaded; l != nil {
		fmt.Fprintf(w, "loaded    p50 %6.2f ms   p99 %6.2f ms   the same, while %.0f other jobs a second were done\n", l.StepMS.P50, l.StepMS.P99, l.JobsPerSecond)
	}
	if r.SubmitMS.P50 > 0 {
		fmt.Fprintf(w, "submit    p50 %6.2f ms   p99 %6.2f ms   a request of one job\n", r.SubmitMS.P50, r.SubmitMS.P99)
	}
	if r.FailoverMS != nil {
		fmt.Fprintf(w, "failover  p50 %6.0f ms   p99 %6.0f ms   from killing the leader to the next job\n", r.FailoverMS.P50, r.FailoverMS.P99)
	}
	if c := r.CPU; c != nil {
		fmt.Fprintf(w, "cpu       %.1f µs a job: coordinators %.1f, workers %.1f, this process %.1f\n", c.Coordinators+c.Workers+c.Bench, c.Coordinators, c.Workers, c.Bench)
	}
	if r.ForkExec > 0 {
		fmt.Fprintf(w, "forkexec  %.0f a second in a bare loop; the jobs came to %.0f %% of it\n", r.ForkExec, 100*r.JobsPerSecond/r.ForkExec)
	}
	if i := r.Idle; i != nil {
		fmt.Fprintf(w, "idle      the leader takes %.1f %% of a core with %d idle workers, %.1f %% without\n", i.LeaderPercent, i.Workers, i.LeaderPercentNone)
	}
	if r.RSSMiB > 0 {
		fmt.Fprintf(w, "memory    %.0f MiB resident in all coordinators\n", r.RSSMiB)
	}
}
