// Package result is what the bench measures, as the JSON file that run writes and report reads.
package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Format is the version of the file's format.
const Format = 1

// File is one run of the bench: all rounds of all subjects on one machine.
type File struct {
	Format   int       `json:"format"`
	Began    time.Time `json:"began"`
	Seconds  float64   `json:"seconds"`
	Command  string    `json:"command"`
	Machine  Machine   `json:"machine"`
	Rounds   int       `json:"rounds"`
	Scale    float64   `json:"scale"` // of the number of jobs; 1: the usual
	Subjects []Subject `json:"subjects"`
	Skipped  []Skip    `json:"skipped,omitempty"`
	Samples  []Sample  `json:"samples"`
}

// Machine is where it ran.
type Machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	MiB    int     `json:"mib"`
	System string  `json:"system"`
	Disk   string  `json:"disk"` // file system beneath the data directories
	Go     string  `json:"go"`
	Load   float64 `json:"load"` // average of the minute before it began
}

// Kind is what a subject is measured for.
type Kind string

// The kinds.
const (
	Ours    Kind = "muster"
	Peer    Kind = "peer"    // another system
	Ceiling Kind = "ceiling" // what nothing on this machine can pass
)

// Subject is what is measured.
type Subject struct {
	Name       string `json:"name"` // as it is chosen by
	Title      string `json:"title"`
	Kind       Kind   `json:"kind"`
	Version    string `json:"version"`
	Settings   string `json:"settings"`
	Replicated bool   `json:"replicated"`
	Durable    bool   `json:"durable"` // fsync before an acknowledgement
	DAG        bool   `json:"dag"`     // knows dependencies, free of charge
	Jobs       bool   `json:"jobs"`    // its work is jobs: submitted, picked, acknowledged done
}

// Skip is a subject that could not be had, or failed.
type Skip struct {
	Name  string `json:"name"`
	Round int    `json:"round"` // 0: before the first
	Why   string `json:"why"`
}

// Sample is one measurement. What was not measured is zero.
type Sample struct {
	Subject    string             `json:"subject"`
	Workload   string             `json:"workload"`
	Round      int                `json:"round"`
	Jobs       int                `json:"jobs"`
	Seconds    float64            `json:"seconds"`
	PerSecond  float64            `json:"per_second"`
	P50        float64            `json:"p50_ms,omitempty"` // of what the workload times
	P99        float64            `json:"p99_ms,omitempty"`
	ServersCPU float64            `json:"servers_cpu_us_per_job,omitempty"`
	WorkersCPU float64            `json:"workers_cpu_us_per_job,omitempty"` // where they are processes of their own
	ClientsCPU float64            `json:"clients_cpu_us_per_job,omitempty"`
	Extra      map[string]float64 `json:"extra,omitempty"`
}

// CPU is the processor time of one job, over all processes, in microseconds.
func (s Sample) CPU() float64 { return s.ServersCPU + s.WorkersCPU + s.ClientsCPU }

// Rate is a sample of n jobs that took so long.
func Rate(workload string, n int, took time.Duration) Sample {
	return Sample{Workload: workload, Jobs: n, Seconds: took.Seconds(), PerSecond: float64(n) / took.Seconds()}
}

// Read reads a file that Write wrote.
func Read(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	f := new(File)
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("read results in %s: %w", path, err)
	}
	if f.Format != Format {
		return nil, fmt.Errorf("read results in %s: format %d, want %d: run the bench again", path, f.Format, Format)
	}
	if len(f.Samples) == 0 {
		return nil, fmt.Errorf("read results in %s: %w", path, errors.New("there is no sample in it"))
	}
	return f, nil
}

// Write writes the file.
func (f *File) Write(path string) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// Select lists the samples of one subject's workload.
func (f *File) Select(subject, workload string) []Sample {
	var list []Sample
	for _, s := range f.Samples {
		if s.Subject == subject && s.Workload == workload {
			list = append(list, s)
		}
	}
	return list
}

// String describes the machine in a line.
func (m Machine) String() string {
	return fmt.Sprintf("%d × %s, %.0f GiB, %s, %s, %s, load %.2f before", m.Cores, m.CPU, float64(m.MiB)/1024, m.Disk, m.System, m.Go, m.Load)
}
