package report

import (
	"fmt"
	"strings"

	"github.com/musterhq/muster/testing/bench/peer"
	"github.com/musterhq/muster/testing/bench/result"
)

// rate is the median of a subject's workload.
func rate(f *result.File, subject, workload string) float64 {
	return spread(f, subject, workload, perSecond).Median
}

// best is the peer of a kind that did most jobs a second.
func best(f *result.File, keep func(result.Subject) bool) (result.Subject, bool) {
	list := byRate(f, func(s result.Subject) bool { return s.Kind == result.Peer && keep(s) })
	if len(list) == 0 {
		return result.Subject{}, false
	}
	return list[0], true
}

// ratios compares muster, by log store, with the best of each kind and with the ceilings.
func ratios(b *strings.Builder, f *result.File) {
	head(b, "no-op jobs a second, medians of this run", "raft-boltdb", "raft-wal")
	against := func(title string, of func(store string) float64, workload string) {
		cells := []string{title}
		some := false
		for _, store := range []string{"boltdb", "wal"} {
			text, base := "–", of(store)
			if r := rate(f, "muster-"+store, workload); r > 0 && base > 0 {
				text, some = number(r/base)+"×", true
			}
			cells = append(cells, text)
		}
		if some {
			row(b, cells...)
		}
	}
	for _, k := range []struct {
		what string
		keep func(result.Subject) bool
	}{
		{"the best replicated peer with fsync", func(s result.Subject) bool { return s.Replicated && s.Durable }},
		{"the best free peer that knows dependencies", func(s result.Subject) bool { return s.DAG }},
		{"the best unreplicated peer with fsync", func(s result.Subject) bool { return !s.Replicated && s.Durable }},
	} {
		if p, ok := best(f, k.keep); ok {
			against(fmt.Sprintf("muster against %s: %s", k.what, p.Title), func(string) float64 { return rate(f, p.Name, peer.Jobs) }, peer.Jobs)
		}
	}
	queue := func(workload string) func(string) float64 {
		return func(store string) float64 { return rate(f, "queue-"+store, workload) }
	}
	against("against the bare queue, 4 × 64 slots each", queue(peer.Jobs), peer.Jobs)
	against("against the bare queue, 4 × 512 slots each", queue(peer.ManySlots), peer.ManySlots)
	against("with 4 × 64 slots, against the bare queue with 4 × 512", queue(peer.ManySlots), peer.Jobs)
	against("10⁶ other jobs on the board, against 10⁴", func(store string) float64 { return rate(f, "muster-"+store, peer.Board+"10000") }, peer.Board+"1000000")
	against("jobs that run `/bin/true`, against a bare fork/exec loop", func(store string) float64 {
		return spread(f, "muster-"+store, peer.Exec, extra("fork_exec_per_second")).Median
	}, peer.Exec)
}
