package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/fatih/color"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/musterhq/muster/rpc/rest"
)

// cellMax is the longest text of a table's cell, in characters.
const cellMax = 60

// rows writes a table without borders: one line a row, "-" for what is empty, so that awk can read it.
func rows(w io.Writer, header []string, lines [][]string) {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(tableRow(header))
	for _, l := range lines {
		t.AppendRow(tableRow(l))
	}
	fmt.Fprintln(w, t.Render())
}

func tableRow(cells []string) table.Row {
	row := make(table.Row, len(cells))
	for i, c := range cells {
		row[i] = dash(c)
	}
	return row
}

// pairs writes names and values, one a line, and leaves out what is empty.
func pairs(w io.Writer, list [][2]string) {
	width := 0
	for _, p := range list {
		width = max(width, len(p[0]))
	}
	for _, p := range list {
		if p[1] != "" {
			fmt.Fprintf(w, "%-*s  %s\n", width, p[0], strings.ReplaceAll(p[1], "\n", "\n"+strings.Repeat(" ", width+2)))
		}
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// oneLine makes a text fit into a cell. It also keeps what a job wrote from moving the cursor.
func oneLine(s string) string {
	var b strings.Builder
	for i, r := range []rune(strings.TrimSpace(s)) {
		if i == cellMax {
			return b.String() + "…"
		}
		if unicode.IsControl(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// printable takes control characters other than line ends and tabs out of what a job wrote.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '�'
		}
		return r
	}, s)
}

// painter colours the words of states.
type painter bool

var stateColours = map[string]color.Attribute{
	rest.StateDone: color.FgGreen, rest.StateFailed: color.FgRed, rest.StateCancelled: color.FgYellow,
	rest.StateRunning: color.FgCyan, rest.StatePicked: color.FgCyan,
	rest.Healthy: color.FgGreen, rest.Unhealthy: color.FgRed, rest.WorkerAlive: color.FgGreen,
	rest.WorkerLost: color.FgRed, rest.WorkerDraining: color.FgYellow,
}

func (p painter) state(s string) string {
	attribute, known := stateColours[s]
	if !bool(p) || !known {
		return s
	}
	c := color.New(attribute)
	c.EnableColor()
	return c.Sprint(s)
}

// ago is how long before now t was, roughly; empty for no time.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return rough(now.Sub(t))
}

// rough is a duration in at most two units.
func rough(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return rest.Duration(d.Round(time.Second)).String()
	case d < 48*time.Hour:
		return rest.Duration(d.Round(time.Minute)).String()
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// took is the time from begin to end, or to now while there is no end.
func took(now, begin, end time.Time) string {
	if begin.IsZero() {
		return ""
	}
	if end.IsZero() {
		end = now
	}
	return rough(end.Sub(begin))
}

func number(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
