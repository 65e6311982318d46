package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/list"
	"github.com/spf13/cobra"

	"github.com/musterhq/muster/rpc/rest"
)

// graphMax is how many jobs are drawn unless --limit says otherwise: nobody reads a longer tree.
const graphMax = 500

func newGraph(a *app) *cobra.Command {
	var dot bool
	var limit int
	c := &cobra.Command{
		Use: "graph REQUEST", Short: "draw the DAG of a request", Args: cobra.ExactArgs(1),
		Long: `Draws the DAG of a request as a tree. A job with several needs is drawn once, beneath the one that is deepest in
the DAG; the others are named beside it.`,
		Example: "  muster graph @last\n  muster graph @last --dot | dot -Tsvg > dag.svg",
		RunE: func(c *cobra.Command, args []string) error {
			g, err := ask(c.Context(), a, func(ctx context.Context, c *rest.Client) (rest.Graph, error) {
				return wholeGraph(ctx, c, args[0], limit)
			})
			if err != nil {
				return err
			}
			if dot {
				return writeDot(a.out, g)
			}
			err = a.show(g, func(w io.Writer) { renderGraph(w, painter(a.colour(w)), g) })
			if g.Next != "" && a.output == "table" {
				fmt.Fprintf(a.err, "only the first %d jobs are drawn; more with --limit\n", len(g.Jobs))
			}
			return err
		},
	}
	c.Flags().BoolVar(&dot, "dot", false, "write it for Graphviz")
	c.Flags().IntVar(&limit, "limit", graphMax, "how many jobs to draw at most")
	return c
}

func wholeGraph(ctx context.Context, c *rest.Client, ref string, limit int) (rest.Graph, error) {
	id, err := requestID(ctx, c, ref)
	if err != nil {
		return rest.Graph{}, err
	}
	whole := rest.Graph{Request: id, Jobs: []rest.Node{}}
	for n, err := range nodes(ctx, c, id) {
		if err != nil {
			return rest.Graph{}, err
		}
		if len(whole.Jobs) >= limit {
			whole.Next = whole.Jobs[len(whole.Jobs)-1].ID
			break
		}
		whole.Jobs = append(whole.Jobs, n)
	}
	return whole, nil
}

// tree is a DAG with one parent chosen for each job.
type tree struct {
	nodes    []rest.Node
	children [][]int
	parent   []int // -1: none
}

// treeOf chooses for each job the need that lies deepest, the last of equals.
func treeOf(nodes []rest.Node) tree {
	t := tree{nodes: nodes, children: make([][]int, len(nodes)), parent: make([]int, len(nodes))}
	index := make(map[string]int, len(nodes))
	for i, n := range nodes {
		index[n.Name] = i
	}
	depth := depths(nodes, index)
	for i, n := range nodes {
		t.parent[i] = -1
		for _, need := range slices.Concat(n.Needs, n.NeedsAny) {
			p, known := index[need.Job]
			if known && p != i && (t.parent[i] < 0 || depth[p] >= depth[t.parent[i]]) {
				t.parent[i] = p
			}
		}
		if p := t.parent[i]; p >= 0 {
			t.children[p] = append(t.children[p], i)
		}
	}
	return t
}

// depths gives the longest way to each node from one without needs. Needs may come after their users in the list.
func depths(nodes []rest.Node, index map[string]int) []int {
	depth := make([]int, len(nodes))
	users, open := make([][]int, len(nodes)), make([]int, len(nodes))
	var free []int
	for i, n := range nodes {
		for _, need := range slices.Concat(n.Needs, n.NeedsAny) {
			if p, known := index[need.Job]; known {
				users[p] = append(users[p], i)
				open[i]++
			}
		}
		if open[i] == 0 {
			free = append(free, i)
		}
	}
	for ; len(free) > 0; free = free[1:] {
		for _, u := range users[free[0]] {
			depth[u] = max(depth[u], depth[free[0]]+1)
			if open[u]--; open[u] == 0 {
				free = append(free, u)
			}
		}
	}
	return depth
}

func renderGraph(w io.Writer, p painter, g rest.Graph) {
	t := treeOf(g.Jobs)
	l := list.NewWriter()
	l.SetStyle(list.StyleConnectedLight)
	for i := range t.nodes {
		if t.parent[i] < 0 {
			t.append(l, p, i)
		}
	}
	fmt.Fprintln(w, l.Render())
}

// append adds a job and what is beneath it. The depth of a tree is at most the number of jobs that are drawn.
func (t tree) append(l list.Writer, p painter, i int) {
	l.AppendItem(t.line(p, i))
	if len(t.children[i]) == 0 {
		return
	}
	l.Indent()
	for _, c := range t.children[i] {
		t.append(l, p, c)
	}
	l.UnIndent()
}

var marks = map[string]string{
	rest.StateDone: "✔", rest.StateFailed: "✖", rest.StateCancelled: "○", rest.StateRunning: "●", rest.StatePicked: "●",
}

func (t tree) line(p painter, i int) string {
	n := t.nodes[i]
	mark := firstOf(marks[n.State], "◷")
	s := fmt.Sprintf("%s %s  %s", mark, n.Name, p.state(n.State))
	if n.State == rest.StateRunning {
		s += fmt.Sprintf(" %d%%", n.Progress)
	}
	if n.Reason != "" && n.Reason != "error" {
		s += " (" + n.Reason + ")"
	}
	return s + t.needsLine(i)
}

// needsLine is what the tree cannot show of a job's needs: those beside its parent, and conditions.
func (t tree) needsLine(i int) (s string) {
	n := t.nodes[i]
	var also []string
	verb := "needs also"
	for _, need := range n.Needs {
		parent := t.parent[i] >= 0 && need.Job == t.nodes[t.parent[i]].Name
		if parent && (need.When == "" || need.When == rest.WhenDone) {
			continue
		}
		also = append(also, needText(need))
		if parent {
			verb = "needs"
		}
	}
	if len(also) > 0 {
		s = "  (" + verb + " " + strings.Join(also, ", ") + ")"
	}
	if len(n.NeedsAny) > 0 {
		s += "  (needs any of " + needsText(n.NeedsAny) + ")"
	}
	return s
}

var dotColours = map[string]string{
	rest.StateDone: "palegreen", rest.StateFailed: "salmon", rest.StateCancelled: "khaki",
	rest.StateRunning: "lightskyblue", rest.StatePicked: "lightskyblue",
}

func writeDot(w io.Writer, g rest.Graph) error {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fillcolor=white];\n", g.Request)
	for _, n := range g.Jobs {
		fmt.Fprintf(&b, "  %q [label=%q, fillcolor=%q];\n", n.Name, n.Name+"\n"+n.State, firstOf(dotColours[n.State], "white"))
	}
	for _, n := range g.Jobs {
		for _, need := range slices.Concat(n.Needs, n.NeedsAny) {
			fmt.Fprintf(&b, "  %q -> %q%s;\n", need.Job, n.Name, dotEdge(need))
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// dotEdge labels an edge with its condition.
func dotEdge(n rest.Need) string {
	if n.When == "" || n.When == rest.WhenDone {
		return ""
	}
	return fmt.Sprintf(" [label=%q, style=dashed]", n.When)
}
