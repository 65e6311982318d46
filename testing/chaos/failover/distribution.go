package main

import (
	"slices"
	"time"
)

// distribution sums up times, in milliseconds.
type distribution struct {
	N   int     `json:"n"`
	Min float64 `json:"min"`
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// distributionOf sums up d: a quantile is the smallest value with so many not above it.
func distributionOf(d []time.Duration) distribution {
	if len(d) == 0 {
		return distribution{}
	}
	d = slices.Sorted(slices.Values(d))
	at := func(percent int) float64 {
		return milliseconds(d[max((len(d)*percent+99)/100-1, 0)])
	}
	return distribution{N: len(d), Min: milliseconds(d[0]), P50: at(50), P90: at(90), P99: at(99), Max: milliseconds(d[len(d)-1])}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()/100) / 10 }
