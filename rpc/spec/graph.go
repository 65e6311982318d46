package spec

import (
	"strings"

	"github.com/musterhq/muster/rpc/rest"
)

// checkGraph refuses duplicate names, unknown and repeated needs, and cycles. It runs in time linear in the jobs and
// their needs.
func (d *requestDecoder) checkGraph() error {
	byName := make(map[string]int32, len(d.spec.Jobs))
	for i := range d.spec.Jobs {
		name := d.spec.Jobs[i].Name
		if name == "" {
			continue // a problem already
		}
		if first, there := byName[name]; there {
			line, _ := d.src.locate(d.places[first].name)
			if err := d.problemOf(fieldOf(i, "name"), d.places[i].name, "another job is named %q (line %d)", name, line); err != nil {
				return err
			}
			continue
		}
		byName[name] = int32(i)
	}
	edges, err := d.resolve(byName)
	if err != nil || len(d.problems) > 0 {
		return err // a cycle is looked for in a sound graph only
	}
	if cycle := findCycle(edges); cycle != nil {
		first := cycle[0]
		return d.problemOf(fieldOf(int(first), "needs"), d.places[first].name,
			"jobs need each other in a circle: %s (each needs the next)", d.cycleText(cycle))
	}
	return nil
}

// resolve turns the names in needs into indexes.
func (d *requestDecoder) resolve(byName map[string]int32) ([][]int32, error) {
	edges := make([][]int32, len(d.spec.Jobs))
	lastUser := make([]int32, len(d.spec.Jobs)) // 1 + the last job that needs this one
	for i := range d.spec.Jobs {
		for _, l := range d.needLists(i) {
			for k := range l.needs {
				to, there := byName[l.needs[k].Job]
				var err error
				switch {
				case l.needs[k].Job == "": // a problem already
				case !there:
					err = d.unknownNeed(i, k, l, byName)
				case lastUser[to] == int32(i)+1:
					err = d.problemOf(fieldOf(i, l.field), l.places[k], "job %q needs %q twice", d.spec.Jobs[i].Name, l.needs[k].Job)
				default:
					lastUser[to] = int32(i) + 1
					edges[i] = append(edges[i], to)
				}
				if err != nil {
					return nil, err
				}
			}
		}
	}
	return edges, nil
}

// needList is one of a job's lists of needs, and where they stand.
type needList struct {
	field  string
	needs  []rest.Need
	places []place
}

func (d *requestDecoder) needLists(i int) [2]needList {
	j, at := &d.spec.Jobs[i], &d.places[i]
	return [2]needList{{"needs", j.Needs, at.needs}, {"needs_any", j.NeedsAny, at.needsAny}}
}

func (d *requestDecoder) unknownNeed(i, k int, l needList, byName map[string]int32) error {
	need, hint := l.needs[k].Job, ""
	if len(byName) <= suggestJobsMax {
		names := make([]string, 0, len(byName))
		for j := range d.spec.Jobs {
			if j != i {
				names = append(names, d.spec.Jobs[j].Name)
			}
		}
		if meant := nearest(need, names); meant != "" {
			hint = "; did you mean \"" + meant + "\"?"
		}
	}
	return d.problemOf(fieldOf(i, l.field), l.places[k], "job %q needs %q, which does not exist%s", d.spec.Jobs[i].Name, need, hint)
}

// findCycle returns the nodes of one cycle in the order of their edges, from the lowest one, or nil. It takes away
// what has no edge left until only cycles, and what leads to them, are there.
func findCycle(edges [][]int32) []int32 {
	open := make([]int32, len(edges)) // edges to nodes that are still there
	users := make([][]int32, len(edges))
	var free []int32
	for i, to := range edges {
		open[i] = int32(len(to))
		if len(to) == 0 {
			free = append(free, int32(i))
		}
		for _, t := range to {
			users[t] = append(users[t], int32(i))
		}
	}
	left := len(edges)
	for len(free) > 0 {
		n := free[len(free)-1]
		free = free[:len(free)-1]
		left--
		for _, u := range users[n] {
			if open[u]--; open[u] == 0 {
				free = append(free, u)
			}
		}
	}
	if left == 0 {
		return nil
	}
	return walkCycle(edges, open)
}

// walkCycle follows edges among the nodes with open edges: each leads to another of them, so a node comes again.
func walkCycle(edges [][]int32, open []int32) []int32 {
	var at int32
	for open[at] == 0 {
		at++
	}
	visited := make(map[int32]int)
	var way []int32
	for {
		if from, again := visited[at]; again {
			return fromLowest(way[from:])
		}
		visited[at] = len(way)
		way = append(way, at)
		for _, to := range edges[at] {
			if open[to] > 0 {
				at = to
				break
			}
		}
	}
}

func fromLowest(cycle []int32) []int32 {
	low := 0
	for i := range cycle {
		if cycle[i] < cycle[low] {
			low = i
		}
	}
	return append(cycle[low:len(cycle):len(cycle)], cycle[:low]...)
}

// cycleText is "a -> b -> c -> a".
func (d *requestDecoder) cycleText(cycle []int32) string {
	var b strings.Builder
	for i, n := range cycle {
		if i == cycleShownMax {
			b.WriteString("… -> ")
			break
		}
		b.WriteString(d.spec.Jobs[n].Name + " -> ")
	}
	return b.String() + d.spec.Jobs[cycle[0]].Name
}
