package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/testing/bench/peer"
	"github.com/musterhq/muster/testing/bench/result"
)

func sample(subject, workload string, jobs int, perSecond float64) result.Sample {
	return result.Sample{Subject: subject, Workload: workload, Jobs: jobs, PerSecond: perSecond, Seconds: float64(jobs) / perSecond, ServersCPU: 10}
}

func results() *result.File {
	return &result.File{
		Format: result.Format, Rounds: 3, Scale: 1, Command: "go run . run",
		Subjects: []result.Subject{
			{Name: "queue-boltdb", Title: "bare queue", Kind: result.Ceiling, Jobs: true, Replicated: true, Durable: true},
			{Name: "muster-boltdb", Title: "muster, raft-boltdb", Kind: result.Ours, Jobs: true, Replicated: true, Durable: true, DAG: true},
			{Name: "nats", Title: "NATS", Kind: result.Peer, Jobs: true, Replicated: true, Durable: true},
			{Name: "slow", Title: "Slow", Kind: result.Peer, Jobs: true, Replicated: true, Durable: true},
			{Name: "dask", Title: "Dask", Kind: result.Peer, Jobs: true, DAG: true},
			{Name: "etcd", Title: "etcd", Kind: result.Peer, Replicated: true, Durable: true},
		},
		Skipped: []result.Skip{{Name: "slurm", Why: "no slurmd here"}, {Name: "nats", Round: 2, Why: "x\ny"}},
		Samples: []result.Sample{
			sample("queue-boltdb", peer.Jobs, 1000, 120_000),
			sample("muster-boltdb", peer.Jobs, 1000, 60_000), sample("muster-boltdb", peer.Jobs, 1000, 50_000), sample("muster-boltdb", peer.Jobs, 1000, 70_000),
			sample("muster-boltdb", peer.Curve, 1000, 50_000), sample("muster-boltdb", peer.Curve, 10_000, 60_000), sample("muster-boltdb", peer.CurveOne, 1000, 40_000),
			sample("nats", peer.Jobs, 1000, 20_000), sample("slow", peer.Jobs, 1000, 5), sample("dask", peer.Jobs, 1000, 600), sample("etcd", "puts", 1000, 90_000),
		},
	}
}

func TestTheReportCompares(t *testing.T) {
	text := Markdown(results(), "c.svg", "s.svg")
	for _, want := range []string{
		"| muster, raft-boltdb | yes | yes | yes | 60,000 [50,000–70,000] | 10.0 [10.0–10.0] | – | – |",
		"| NATS | yes | yes | no | 20,000 | 10.0 | – | – |",
		"| muster against the best replicated peer with fsync: NATS | 3.00× | – |",
		"| muster against the best free peer that knows dependencies: Dask | 100× | – |",
		"| against the bare queue, 4 × 64 slots each | 0.50× | – |",
		"| etcd | puts | 90,000 |",
		"| 1,000 | 20.0 | 10.0 | 25.0 | 10.0 |",
		"| 10,000 | 16.7 | 10.0 | – | – |",
		"Not measured: slurm (no slurmd here), nats (round 2 failed).",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in:\n%s", want, text)
		}
	}
	if strings.Index(text, "| muster, raft-boltdb | yes") > strings.Index(text, "| NATS | yes") {
		t.Error("the fastest is not first")
	}
	if strings.Contains(text, "unreplicated") {
		t.Error("there is no such peer")
	}
}

func TestNumbers(t *testing.T) {
	for x, want := range map[float64]string{0.126: "0.13", 9.99: "9.99", 12.34: "12.3", 123.4: "123", 1234.6: "1,235", 1_234_567: "1,234,567"} {
		if got := number(x); got != want {
			t.Errorf("%v is %q, want %q", x, got, want)
		}
	}
}

func TestTheReportGoesBetweenItsMarkers(t *testing.T) {
	for _, c := range []struct{ name, doc, want string }{
		{"none yet", "# Title\n", "# Title\n\n" + begin + "\nX\n" + end + "\n"},
		{"again", "a\n" + begin + "\nold\n" + end + "\nb\n", "a\n" + begin + "\nX\n" + end + "\nb\n"},
	} {
		got, err := insert(c.doc, "X\n")
		if err != nil || got != c.want {
			t.Errorf("%s: %q %v, want %q", c.name, got, err, c.want)
		}
	}
	for _, bad := range []string{begin, end, end + begin} {
		if _, err := insert(bad, "X"); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestPlotsAreDrawn(t *testing.T) {
	doc := filepath.Join(t.TempDir(), "performance.md")
	if err := Write(results(), doc); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"performance-comparison.svg", "performance-scaling.svg"} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(doc), name))
		if err != nil || !strings.Contains(string(b), "</svg>") {
			t.Errorf("%s: %v, %d bytes", name, err, len(b))
		}
	}
	text, err := os.ReadFile(doc)
	if err != nil || !strings.Contains(string(text), "(performance-comparison.svg)") {
		t.Errorf("the document has no plot: %v", err)
	}
}
