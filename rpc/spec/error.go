package spec

import (
	"fmt"
	"strings"
)

// ProblemsMax is how many problems one Error lists at most.
const ProblemsMax = 10

// Problem is one thing wrong with a spec. Line and Column count from 1; zero means that they are not known.
type Problem struct {
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`  // in characters
	Field   string `json:"field,omitempty"`   // path of the field, such as jobs[3].retry.limit
	Message string `json:"message,omitempty"` // for people, lower case
}

func (p Problem) String() string {
	switch {
	case p.Line > 0 && p.Column > 0:
		return fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.label())
	case p.Line > 0:
		return fmt.Sprintf("%d: %s", p.Line, p.label())
	}
	return p.label()
}

func (p Problem) label() string {
	if p.Field == "" {
		return p.Message
	}
	return p.Field + ": " + p.Message
}

// Error is returned when a spec is wrong. It is the first problem, and More has the others in the order in which they
// were found.
type Error struct {
	Problem
	More []Problem
}

func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems() {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// Problems are all of them, the first included.
func (e *Error) Problems() []Problem {
	return append([]Problem{e.Problem}, e.More...)
}
