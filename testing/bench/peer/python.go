package peer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"

	"github.com/musterhq/muster/testing/bench/result"
	"github.com/musterhq/muster/testing/bench/stats"
)

// python is Debian's, which has the packages that install.sh brings; the one in the path may be another.
const python = "/usr/bin/python3"

// missingModules says which modules it lacks.
func missingModules(name string, modules ...string) error {
	for _, m := range modules {
		if err := exec.Command(python, "-c", "import "+m).Run(); err != nil {
			return fmt.Errorf("%s has no module %s: run testing/bench/install.sh %s", python, m, name)
		}
	}
	return nil
}

// scripted is what the clients in Python print, by workload, on the last line.
type scripted map[string]struct {
	Jobs    int       `json:"jobs"`
	Seconds float64   `json:"seconds"`
	Steps   []float64 `json:"steps_ms"`
}

// parseScripted reads the output of a client in Python.
func parseScripted(out []byte) ([]result.Sample, error) {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var s scripted
	if err := json.Unmarshal(lines[len(lines)-1], &s); err != nil {
		return nil, fmt.Errorf("what the client printed: %w\n%s", err, out)
	}
	var samples []result.Sample
	for _, workload := range []string{Jobs, Fan, Chain} {
		m, ok := s[workload]
		if !ok || m.Seconds <= 0 {
			return nil, fmt.Errorf("the client did not measure %s", workload)
		}
		samples = append(samples, result.Sample{
			Workload: workload, Jobs: m.Jobs, Seconds: m.Seconds, PerSecond: float64(m.Jobs) / m.Seconds,
			P50: stats.Quantile(m.Steps, 0.5), P99: stats.Quantile(m.Steps, 0.99),
		})
	}
	return samples, nil
}
