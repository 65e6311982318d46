package main

import (
	"strings"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

// quiet is what happened while nothing was done to a loaded cluster.
type quiet struct {
	Seconds       float64 `json:"seconds"`
	JobsPerSecond float64 `json:"jobs_per_second"`
	Elections     uint64  `json:"elections"`    // terms begun
	LostWorkers   int     `json:"lost_workers"` // declared lost by a leader
	Candidates    int     `json:"candidates"`   // a coordinator missed the leader, and may have been told no
	Stalls        int     `json:"stalls"`       // the leader noticed that it had stood still
}

// What coordinators write to their logs.
const (
	saysLost      = "worker lost"
	saysCandidate = "entering candidate state"
	saysStalled   = "this leader was stalled"
)

func beQuiet(tb harness.TB, c *harness.Cluster, l *load, d time.Duration) *quiet {
	term, lost, candidates, stalls := termOf(tb, c), said(c, saysLost), said(c, saysCandidate), said(c, saysStalled)
	begun := time.Now()
	rate := l.spell(tb, d, nil)
	q := &quiet{Seconds: time.Since(begun).Seconds(), JobsPerSecond: rate}
	q.Elections = termOf(tb, c) - term
	q.LostWorkers, q.Candidates, q.Stalls = said(c, saysLost)-lost, said(c, saysCandidate)-candidates, said(c, saysStalled)-stalls
	return q
}

// said is how often the coordinators wrote something.
func said(c *harness.Cluster, what string) (n int) {
	for _, node := range c.Coordinators() {
		n += strings.Count(node.Log(), what)
	}
	return n
}
