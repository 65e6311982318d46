// Package report turns results into a Markdown section and plots.
package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/musterhq/muster/testing/bench/peer"
	"github.com/musterhq/muster/testing/bench/result"
	"github.com/musterhq/muster/testing/bench/stats"
)

// spread sums up one figure of one workload over the rounds.
func spread(f *result.File, subject, workload string, of func(result.Sample) float64) stats.Spread {
	var v []float64
	for _, s := range f.Select(subject, workload) {
		if x := of(s); x > 0 {
			v = append(v, x)
		}
	}
	return stats.Of(v)
}

func perSecond(s result.Sample) float64 { return s.PerSecond }
func cpu(s result.Sample) float64       { return s.CPU() }
func p50(s result.Sample) float64       { return s.P50 }
func p99(s result.Sample) float64       { return s.P99 }

func extra(name string) func(result.Sample) float64 {
	return func(s result.Sample) float64 { return s.Extra[name] }
}

// number writes a figure with as many digits as are worth reading.
func number(x float64) string {
	switch {
	case x >= 1000:
		digits := strconv.FormatFloat(math.Round(x), 'f', 0, 64)
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		return digits
	case x >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
}

// cell is a median with its spread.
func cell(s stats.Spread) string {
	switch s.N {
	case 0:
		return "–"
	case 1:
		return number(s.Median)
	default:
		return fmt.Sprintf("%s [%s–%s]", number(s.Median), number(s.Min), number(s.Max))
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// row is a line of a Markdown table.
func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func head(b *strings.Builder, cells ...string) {
	row(b, cells...)
	fmt.Fprintf(b, "|%s\n", strings.Repeat("---|", len(cells)))
}

// byRate sorts subjects by what they did in their jobs, most first.
func byRate(f *result.File, keep func(result.Subject) bool) []result.Subject {
	var list []result.Subject
	for _, s := range f.Subjects {
		if s.Jobs && keep(s) && len(f.Select(s.Name, peer.Jobs)) > 0 {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b result.Subject) int {
		return cmp.Compare(spread(f, b.Name, peer.Jobs, perSecond).Median, spread(f, a.Name, peer.Jobs, perSecond).Median)
	})
	return list
}

func comparison(b *strings.Builder, f *result.File) {
	head(b, "", "replicated", "fsync", "DAG", "jobs/s", "CPU µs a job", "fan of 1,000, jobs/s", "chain step p50, ms")
	for _, s := range byRate(f, func(s result.Subject) bool { return s.Kind != result.Ceiling }) {
		fan := spread(f, s.Name, peer.Fan, perSecond)
		row(b, s.Title, yes(s.Replicated), yes(s.Durable), yes(s.DAG), cell(spread(f, s.Name, peer.Jobs, perSecond)),
			cell(spread(f, s.Name, peer.Jobs, cpu)), cell(fan), cell(spread(f, s.Name, peer.Chain, p50)))
	}
}

func ceilings(b *strings.Builder, f *result.File) {
	head(b, "", "what", "a second", "p50 / p99, ms", "CPU µs each")
	for _, s := range f.Subjects {
		if s.Kind != result.Ceiling && s.Jobs {
			continue
		}
		for _, w := range workloads(f, s.Name) {
			times := "–"
			if t := spread(f, s.Name, w, p50); t.N > 0 {
				times = number(t.Median) + " / " + number(spread(f, s.Name, w, p99).Median)
			}
			row(b, s.Title, w, cell(spread(f, s.Name, w, perSecond)), times, cell(spread(f, s.Name, w, cpu)))
		}
	}
}

// workloads lists those of a subject, in the order in which they were measured.
func workloads(f *result.File, subject string) []string {
	var list []string
	for _, s := range f.Samples {
		if s.Subject == subject && !slices.Contains(list, s.Workload) {
			list = append(list, s.Workload)
		}
	}
	return list
}

func ours(b *strings.Builder, f *result.File) {
	head(b, "", "workload", "jobs/s", "step p50 / p99, ms", "CPU µs a job", "besides")
	for _, s := range f.Subjects {
		if s.Kind != result.Ours {
			continue
		}
		for _, w := range workloads(f, s.Name) {
			if w == peer.Curve || w == peer.CurveOne {
				continue
			}
			times := "–"
			if t := spread(f, s.Name, w, p50); t.N > 0 {
				times = number(t.Median) + " / " + number(spread(f, s.Name, w, p99).Median)
			}
			row(b, s.Title, w, cell(spread(f, s.Name, w, perSecond)), times, cell(spread(f, s.Name, w, cpu)), besides(f, s.Name, w))
		}
	}
}

// besides tells what else a workload measured.
func besides(f *result.File, subject, workload string) string {
	var list []string
	add := func(name, format string) {
		if v := spread(f, subject, workload, extra(name)); v.N > 0 {
			list = append(list, fmt.Sprintf(format, number(v.Median)))
		}
	}
	add("submit_p50_ms", "submit p50 %s ms")
	add("submit_p99_ms", "p99 %s ms")
	add("load_per_second", "under %s jobs/s")
	add("fork_exec_per_second", "a bare fork/exec loop %s/s")
	add("leader_percent", "leader %s %% of a core")
	add("leader_percent_none", "%s %% without them")
	add("rss_mib", "coordinators %s MiB")
	return strings.Join(list, ", ")
}

func curve(b *strings.Builder, f *result.File, subject string) {
	head(b, "jobs", "requests of 1,000: wall µs a job", "CPU µs a job", "one request: wall µs a job", "CPU µs a job")
	many, one := bySize(f.Select(subject, peer.Curve)), bySize(f.Select(subject, peer.CurveOne))
	for _, n := range slices.Sorted(maps.Keys(many)) {
		row(b, number(float64(n)), cell(of(many[n], wall)), cell(of(many[n], cpu)), cell(of(one[n], wall)), cell(of(one[n], cpu)))
	}
}

// wall is the time of one job, in microseconds.
func wall(s result.Sample) float64 { return 1e6 / s.PerSecond }

func of(samples []result.Sample, figure func(result.Sample) float64) stats.Spread {
	var v []float64
	for _, s := range samples {
		v = append(v, figure(s))
	}
	return stats.Of(v)
}

func bySize(samples []result.Sample) map[int][]result.Sample {
	sizes := map[int][]result.Sample{}
	for _, s := range samples {
		sizes[s.Jobs] = append(sizes[s.Jobs], s)
	}
	return sizes
}
