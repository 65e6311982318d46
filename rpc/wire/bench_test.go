package wire_test

import (
	"fmt"
	"testing"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

// benchJobs is how many jobs a frame of the benchmarks carries.
const benchJobs = 100

func noops() *wire.Granted {
	ref := &wire.RequestRef{Name: "bench", Session: 1, SessionName: "default"}
	spec := &wire.RunSpec{Kind: wire.WorkHandler, Args: []string{"noop"}, Slots: 1}
	g := new(wire.Granted)
	for i := range benchJobs {
		g.Jobs = append(g.Jobs, wire.Assignment{
			Job: wire.JobID{Request: 4711, Index: uint32(90_000 + i)}, Attempt: 1, Name: fmt.Sprintf("job-%d", 90_000+i),
			ArrayIndex: -1, Request: ref, Spec: spec,
		})
	}
	return g
}

func reports() *wire.Report {
	r := &wire.Report{Worker: 3, Incarnation: 1}
	for i := range benchJobs / 2 {
		id := wire.JobID{Request: 4711, Index: uint32(90_000 + i)}
		r.Reports = append(r.Reports, wire.JobReport{Job: id, Attempt: 1, Kind: wire.ReportStart}, wire.JobReport{Job: id, Attempt: 1, Kind: wire.ReportDone})
	}
	return r
}

func benchmarkEncode(b *testing.B, m wire.Message) {
	b.ReportAllocs()
	for b.Loop() {
		w := pack.NewWriter()
		wire.AppendFrame(w, wire.Frame{Kind: wire.KindPush}, m)
		b.SetBytes(int64(w.Len()))
		w.Free()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchJobs, "ns/record")
}

func benchmarkDecode(b *testing.B, m wire.Message) {
	data := encode(m)
	r := pack.NewReader(data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(data)
		if err := wire.Decode(r, fresh(m)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchJobs, "ns/record")
}

func BenchmarkGrantedEncode(b *testing.B) { benchmarkEncode(b, noops()) }
func BenchmarkGrantedDecode(b *testing.B) { benchmarkDecode(b, noops()) }
func BenchmarkReportEncode(b *testing.B)  { benchmarkEncode(b, reports()) }
func BenchmarkReportDecode(b *testing.B)  { benchmarkDecode(b, reports()) }
