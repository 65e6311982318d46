package history

import (
	"fmt"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

var requestModel = porcupine.Model{
	Init: func() any { return requestState{} },
	Step: func(state, input, output any) (bool, any) {
		s, ok := stepRequest(state.(requestState), input.(Input), output.(Output))
		return ok, s
	},
	DescribeOperation:         describe,
	DescribeState:             func(s any) string { return fmt.Sprintf("%+v", s) },
	DescribeOperationMetadata: func(client any) string { return fmt.Sprint(client) },
}

func (m jobModel) porcupine() porcupine.Model {
	model := requestModel
	model.Init = func() any { return jobState{State: free} }
	model.Step = func(state, input, output any) (bool, any) {
		s, ok := m.step(state.(jobState), input.(Input), output.(Output))
		return ok, s
	}
	return model
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
