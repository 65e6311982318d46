// Package stats sums up repeated measurements: medians, spreads and quantiles.
package stats

import (
	"cmp"
	"slices"
	"time"
)

// Spread is the median of some values and how far they lie apart.
type Spread struct {
	N                int
	Median, Min, Max float64
}

// Of sums up values, which it does not change. Of none it is the zero Spread.
func Of(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	v := slices.Sorted(slices.Values(values))
	mid := len(v) / 2
	median := v[mid]
	if len(v)%2 == 0 {
		median = (v[mid-1] + v[mid]) / 2
	}
	return Spread{N: len(v), Median: median, Min: v[0], Max: v[len(v)-1]}
}

// Quantile is the smallest of the values that is not below a share q of them. It does not change them. Of none it is zero.
func Quantile[T cmp.Ordered](values []T, q float64) T {
	if len(values) == 0 {
		var none T
		return none
	}
	v := slices.Sorted(slices.Values(values))
	at := int(q * float64(len(v)))
	return v[min(max(at, 0), len(v)-1)]
}

// Millis is a duration in milliseconds.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
