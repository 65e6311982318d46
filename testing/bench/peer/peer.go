// Package peer has the systems that are measured: muster, and its peers. Each is started afresh for each round, on loopback with
// its data in a directory of its own, is given its work through its own client library, and is stopped.
//
// The work is the same for all: no-op jobs are submitted durably (as durably as the peer can), picked, and acknowledged
// done. Each peer gets them as its users would hand in many: in batches where it takes batches, else with many calls in flight.
// The clock stops when the peer itself says that nothing is left, where it can say so.
package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// Peer is a system that can be measured.
type Peer interface {
	// About tells what it is; asking for versions may run programs.
	About(ctx context.Context) result.Subject
	// Missing says what keeps it from being measured here; nil: nothing does.
	Missing() error
	// Measure does one round. Processes started in e.Group are ended afterwards.
	Measure(ctx context.Context, e *Env) ([]result.Sample, error)
}

// The workloads.
const (
	Jobs  = "jobs"  // independent no-op jobs
	Fan   = "fan"   // requests of one job, then 1,000, then one
	Chain = "chain" // one request of jobs each after the one before: P50 and P99 are of a step
)

// FanWidth is how many jobs lie between the first and the last of a fan.
const FanWidth = 1000

// The workers of each peer that lets one choose: as muster's.
const (
	Workers = 4
	Slots   = 64 // of each worker
)

// Env is what a round may use.
type Env struct {
	Group *child.Group
	Dir   string // empty, for this round alone, writable for every user
	Scale float64
	Round int // from 1
}

// Count is the scaled number of jobs.
func (e *Env) Count(n int) int { return max(int(float64(n)*e.Scale), min(n, 20)) }

// Path is a path in the round's directory.
func (e *Env) Path(elem ...string) string { return filepath.Join(append([]string{e.Dir}, elem...)...) }

// Mkdir makes a directory in the round's, which belongs to the user, if one is named.
func (e *Env) Mkdir(user string, elem ...string) (string, error) {
	path := e.Path(elem...)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", err
	}
	if user == "" {
		return path, nil
	}
	uid, gid, err := child.Account(user)
	if err != nil {
		return "", err
	}
	return path, os.Chown(path, uid, gid)
}

// WriteFile writes a file into the round's directory that everybody may read, and returns its path.
func (e *Env) WriteFile(name, text string) (string, error) {
	path := e.Path(name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// Timed measures n jobs: the time, and the processor time of the servers and of this process, which is the client.
func Timed(workload string, n int, servers []*child.Process, work func() error) (result.Sample, error) {
	used, own, start := child.Usage(servers...), child.Own(), time.Now()
	if err := work(); err != nil {
		return result.Sample{}, fmt.Errorf("%s: %w", workload, err)
	}
	s := result.Rate(workload, n, time.Since(start))
	s.ClientsCPU = micros(child.Own()-own, n)
	s.ServersCPU = micros(child.Usage(servers...)-used, n)
	return s, nil
}

func micros(d time.Duration, n int) float64 {
	return float64(d) / float64(time.Microsecond) / float64(n)
}

// missingPrograms says which programs are not there; package is what install.sh calls them.
func missingPrograms(name string, programs ...string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("no %s here: run testing/bench/install.sh %s", p, name)
		}
	}
	return nil
}

// firstLine is what a program prints first; for versions.
func firstLine(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil && len(out) == 0 {
		return "unknown"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// debian is the version of an installed package.
func debian(ctx context.Context, name string) string {
	return firstLine(ctx, "dpkg-query", "-W", "-f=${Version}", name)
}

// module is the version of a Go module in this program.
func module(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == path })
	if i < 0 {
		return "unknown"
	}
	return info.Deps[i].Version
}

// self is the path of this program, which is also the server of some peers.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// Until asks again and again, until done says so or fails.
func Until(ctx context.Context, done func(context.Context) (bool, error)) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(ctx); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
