package sim

import (
	"context"

	"github.com/musterhq/muster/fsm"
)

// grain is how little is done at once. The usual is far more than a request of a run has: in some runs requests come in
// small parts, and what changes many jobs is done in small steps, so that leaders end between two of them.
type grain struct {
	partJobs, partBytes int    // 0: the usual
	steps               uint32 // Limits.Steps; 0: the usual
	jobsMax             int    // of a request
}

func drawGrain(d dice) grain {
	if d.chance(0.6) {
		return grain{jobsMax: 10}
	}
	return grain{partJobs: 1 + d.IntN(8), partBytes: 100 << d.IntN(8), steps: 1 + d.Uint32N(6), jobsMax: 30}
}

func (g grain) small() bool { return g.steps > 0 }

// inParts says whether a request comes in parts.
func (g grain) inParts(c *fsm.SubmitRequest) bool {
	return g.small() && (len(c.Jobs) > g.partJobs || len(c.Specs) > g.partJobs || c.WireBytes() > g.partBytes)
}

// limit makes the steps small.
func (g grain) limit(ctx context.Context, s *Sim) {
	limits := fsm.DefaultLimits()
	limits.Steps = g.steps
	c := &caller{s: s, from: "operator", d: newDice(s.opt.Seed, "operator")}
	if _, _, err := c.propose(ctx, nil, fsm.SetLimits{Limits: limits}); err != nil {
		s.fail("set the limits: %v", err)
	}
}
