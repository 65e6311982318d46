package history

import (
	"fmt"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// modelOf is a model for porcupine.
func modelOf[S any](begin S, step func(S, Input, Output) (S, bool)) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return begin },
		Step: func(state, input, output any) (bool, any) {
			s, ok := step(state.(S), input.(Input), output.(Output))
			return ok, s
		},
		DescribeOperation:         describe,
		DescribeState:             func(s any) string { return fmt.Sprintf("%+v", s) },
		DescribeOperationMetadata: func(client any) string { return fmt.Sprint(client) },
	}
}

func describe(input, output any) string { return fmt.Sprintf("%v → %v", input, output) }

func (in Input) String() string {
	var b strings.Builder
	b.WriteString(string(in.Kind))
	switch in.Kind {
	case Submit:
		fmt.Fprintf(&b, " body %x", in.Body)
	case Pick, Start, Done, Failed, Return:
		fmt.Fprintf(&b, " attempt %d by %s", in.Attempt, in.Worker)
	}
	return b.String()
}

func (out Output) String() string {
	var b strings.Builder
	b.WriteString(string(out.Code))
	for _, text := range []string{out.ID, out.State} {
		if text != "" {
			b.WriteString(" " + text)
		}
	}
	if out.Ending != "" {
		b.WriteString(", about to be " + out.Ending)
	}
	if out.Repeat {
		b.WriteString(" again")
	}
	if out.Attempt > 0 {
		fmt.Fprintf(&b, " attempt %d of %s", out.Attempt, out.Worker)
	}
	return b.String()
}

func (o *Op) String() string {
	end := "…"
	if o.Return != Never {
		end = time.Duration(o.Return).String()
	}
	return fmt.Sprintf("%-6s %v – %s: %s", o.Client, time.Duration(o.Call), end, describe(o.Input, o.Output))
}
