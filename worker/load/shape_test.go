package load

import (
	"slices"
	"testing"
)

func TestShapes(t *testing.T) {
	for _, s := range Shapes() {
		if got, err := ParseShape(string(s)); got != s || err != nil {
			t.Errorf("%s is read as %q, %v", s, got, err)
		}
	}
	if _, err := ParseShape("round"); err == nil {
		t.Error("a shape that is none was accepted")
	}
}

func TestAShapeMakesTheNeeds(t *testing.T) {
	for _, c := range []struct {
		shape Shape
		n     int
		needs [][]string
	}{
		{Independent, 3, [][]string{nil, nil, nil}},
		{Exec, 2, [][]string{nil, nil}},
		{Chain, 1, [][]string{nil}},
		{Chain, 3, [][]string{nil, {"n0"}, {"n1"}}},
		{Fan, 1, [][]string{nil}},
		{Fan, 2, [][]string{nil, {"n0"}}},
		{Fan, 4, [][]string{nil, {"n0"}, {"n0"}, {"n1", "n2"}}},
	} {
		jobs := Run{Shape: c.shape, Handler: "noop", Queue: "q"}.request(c.n)
		if len(jobs) != len(c.needs) {
			t.Fatalf("%s of %d has %d jobs", c.shape, c.n, len(jobs))
		}
		for i, j := range jobs {
			if !slices.Equal(j.Needs, c.needs[i]) {
				t.Errorf("%s of %d: job %d needs %q, want %q", c.shape, c.n, i, j.Needs, c.needs[i])
			}
			if (c.shape == Exec) != (j.Handler == "") || (c.shape == Exec) != (len(j.Command) == 1) {
				t.Errorf("%s: job %d is %+v", c.shape, i, j)
			}
		}
	}
}
