package history

import (
	"cmp"
	"slices"
)

// thin leaves out operations of unknown outcome that cannot matter, since each of them doubles the search. Of several
// that ask the same, the earliest may stand for the others as often as the thing can happen: a request begins once and an
// attempt starts and ends once; a request is cancelled once, and once more after each retry.
func thin(ops []*Op) []*Op {
	slices.SortStableFunc(ops, func(a, b *Op) int { return cmp.Compare(a.Call, b.Call) })
	retries := 0
	for _, o := range ops {
		if o.Input.Kind == Retry && o.Output.Code != Conflict {
			retries++
		}
	}
	had := map[Input]int{}
	return slices.DeleteFunc(slices.Clone(ops), func(o *Op) bool {
		if o.Output.Code != Unknown || o.Input.Kind == Retry {
			return false
		}
		most := 1
		if o.Input.Kind == Cancel {
			most += retries
		}
		had[o.Input]++
		return had[o.Input] > most
	})
}
