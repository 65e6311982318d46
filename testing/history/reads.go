package history

import (
	"cmp"
	"fmt"
	"slices"
)

// CheckReads judges the log indexes that reads showed: a linearizable read shows no less than one that had ended before
// it began, whoever read; a stale one no less than an earlier one of the same life of the same coordinator.
func CheckReads(list []Seen) (failures []string) {
	floors := map[string]*floor{}
	byCall := slices.Clone(list)
	slices.SortFunc(byCall, func(a, b Seen) int { return cmp.Compare(a.Call, b.Call) })
	byReturn := slices.Clone(list)
	slices.SortFunc(byReturn, func(a, b Seen) int { return cmp.Compare(a.Return, b.Return) })
	for _, s := range byCall {
		for len(byReturn) > 0 && byReturn[0].Return < s.Call {
			first := byReturn[0]
			if f := floors[first.scope()]; f == nil || first.Index > f.seen.Index {
				floors[first.scope()] = &floor{first}
			}
			byReturn = byReturn[1:]
		}
		if f := floors[s.scope()]; f != nil && s.Index < f.seen.Index {
			failures = append(failures, fmt.Sprintf("%s read index %d of %s, after %s had read index %d of %s", s.Client, s.Index, s.scope(), f.seen.Client, f.seen.Index, f.seen.Node))
		}
	}
	return failures
}

// floor is the read that showed most so far.
type floor struct{ seen Seen }

// scope is within what reads may not go back.
func (s Seen) scope() string {
	if s.Stale {
		return s.Node
	}
	return "the cluster"
}
