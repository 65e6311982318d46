package wire_test

import (
	"slices"
	"testing"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

// TestNeedsCross: a need crosses the wire with its condition, and says whether one of several is enough.
func TestNeedsCross(t *testing.T) {
	for _, when := range []wire.When{wire.WhenDone, wire.WhenFailed, wire.WhenEnded} {
		for _, when := range []wire.When{when, when | wire.WhenAny} {
			sent := &wire.Submit{Jobs: []wire.SubmitJob{{Name: "a", Needs: []wire.Need{{Job: 1<<32 - 1, When: when}, {When: when}}}}}
			got := new(wire.Submit)
			err := wire.Decode(pack.NewReader(encode(sent)), got)
			if err != nil || !slices.Equal(got.Jobs[0].Needs, sent.Jobs[0].Needs) {
				t.Errorf("condition %d: sent %+v, read %+v, %v", when, sent.Jobs[0].Needs, got.Jobs[0].Needs, err)
			}
		}
	}
}
