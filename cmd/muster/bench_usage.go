package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/rpc/rest"
)

// tick is the unit of processor times in /proc: USER_HZ, which is 100 on every architecture that Go knows.
const tick = 10 * time.Millisecond

// usage is processor time since the processes began.
type usage struct {
	coordinators, workers, bench time.Duration
	known                        bool
}

// usage asks the system what the processes of a cluster of our own have used.
func (m *measuring) usage() (u usage) {
	if m.local == nil {
		return usage{}
	}
	u.known = true
	for i, n := range m.local.nodes {
		used, ok := processorTime(n.pid())
		u.known = u.known && ok
		if i < m.local.flags.coordinators {
			u.coordinators += used
		} else {
			u.workers += used
		}
	}
	var ok bool
	u.bench, ok = processorTime(os.Getpid())
	u.known = u.known && ok
	return u
}

// perJob is what jobs took of each from u to after; nil when the system does not tell.
func (u usage) perJob(after usage, jobs int) *benchCPU {
	if !u.known || !after.known {
		return nil
	}
	per := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(jobs) }
	return &benchCPU{
		Coordinators: per(after.coordinators - u.coordinators),
		Workers:      per(after.workers - u.workers),
		Bench:        per(after.bench - u.bench),
	}
}

// processorTime is what the process has used, user and system, with its children that have ended.
func processorTime(pid int) (time.Duration, bool) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	return parseProcessorTime(b)
}

// parseProcessorTime reads /proc/PID/stat, proc_pid_stat(5): fields 14 to 17. The second field, the program's name in brackets,
// may contain anything.
func parseProcessorTime(stat []byte) (time.Duration, bool) {
	end := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[end+1:]))
	const first = 14 - 3 // the third field follows the name
	if end < 0 || len(fields) < first+4 {
		return 0, false
	}
	var sum time.Duration
	for _, f := range fields[first : first+4] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, false
		}
		sum += time.Duration(n) * tick
	}
	return sum, true
}

// leaderPercent is how much of a core the leader uses, over a while.
func (m *measuring) leaderPercent(ctx context.Context) (float64, error) {
	pid, err := m.local.leaderPID(ctx, m.app)
	if err != nil {
		return 0, err
	}
	before, ok := processorTime(pid)
	start := time.Now()
	select {
	case <-time.After(m.flags.idleTime):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	after, still := processorTime(pid)
	if !ok || !still {
		return 0, errors.New("the system does not tell the processor time of the leader")
	}
	if now, err := m.local.leaderPID(ctx, m.app); err != nil {
		return 0, err
	} else if now != pid {
		return 0, errors.New("the leader changed while it was looked at")
	}
	return 100 * (after - before).Seconds() / time.Since(start).Seconds(), nil
}

func (d *devCluster) leaderPID(ctx context.Context, a *app) (int, error) {
	status, err := ask(ctx, a, func(ctx context.Context, c *rest.Client) (rest.Status, error) { return c.Status(ctx) })
	if err != nil {
		return 0, err
	}
	for _, n := range d.nodes {
		if status.Leader != nil && n.name == status.Leader.Name {
			return n.pid(), nil
		}
	}
	return 0, errors.New("no leader is known")
}

// residentMiB is the resident memory of all coordinators, where the system tells it.
func (d *devCluster) residentMiB() float64 {
	var pages int64
	for _, n := range d.nodes[:d.flags.coordinators] {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.pid()), "statm"))
		if err != nil {
			return 0
		}
		if fields := strings.Fields(string(b)); len(fields) > 1 {
			p, _ := strconv.ParseInt(fields[1], 10, 64)
			pages += p
		}
	}
	return float64(pages) * float64(os.Getpagesize()) / (1 << 20)
}
