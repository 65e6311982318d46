package stats

import (
	"slices"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{7}, Spread{1, 7, 7, 7}},
		{[]float64{3, 1, 2}, Spread{3, 2, 1, 3}},
		{[]float64{4, 1, 3, 2}, Spread{4, 2.5, 1, 4}},
	} {
		before := slices.Clone(c.values)
		if got := Of(c.values); got != c.want {
			t.Errorf("of %v: %+v, want %+v", c.values, got, c.want)
		}
		if !slices.Equal(c.values, before) {
			t.Errorf("the values were changed: %v", c.values)
		}
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i // 100 … 1
	}
	for q, want := range map[float64]int{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := Quantile(hundred, q); got != want {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
	if got := Quantile[float64](nil, 0.5); got != 0 {
		t.Errorf("of none: %v", got)
	}
	if got := Millis(1500 * time.Microsecond); got != 1.5 {
		t.Errorf("%v", got)
	}
}
