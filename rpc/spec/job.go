package spec

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"strconv"

	"github.com/musterhq/muster/rpc/rest"
)

// The fields of a job, of its retry and of a need.
var (
	jobFields = []string{"name", "command", "shell", "handler", "needs", "needs_any", "env", "dir", "payload", "queue", "labels",
		"slots", "priority", "timeout", "start_after", "retry", "lost_limit"}
	jobLater    = []string{"array", "matrix", "limits", "outputs", "artifacts", "cache"}
	retryFields = []string{"limit", "backoff", "factor", "max", "never"}
	needFields  = []string{"job", "when"}
)

// job reads the i-th job.
func (d *requestDecoder) job(t token, i int) error {
	j, named := &d.spec.Jobs[i], false
	var kinds []string
	err := d.object(t, func(name, value token) error {
		switch name.text {
		case "name":
			named = true
			d.places[i].name = value.at
			return d.identifier(value, &j.Name)
		case "needs":
			return d.needs(value, &j.Needs, &d.places[i].needs)
		case "needs_any":
			return d.needsAny(value, i)
		case "payload":
			return d.payload(value, &j.Payload)
		case "command", "shell", "handler":
			kinds = append(kinds, name.text)
			return d.action(name.text, value, &j.Work)
		}
		return d.workField(name, value, &j.Work)
	})
	if err != nil || t.kind != objectStart {
		return err
	}
	if !named {
		if err := d.problem(t.at, "has no name"); err != nil {
			return err
		}
	}
	return d.oneAction(t.at, kinds)
}

func (d *decoder) oneAction(at place, kinds []string) error {
	switch len(kinds) {
	case 0:
		return d.problem(at, "has nothing to do: give one of command, shell or handler")
	case 1:
		return nil
	}
	return d.problem(at, "has both %s and %s: give exactly one of command, shell or handler", kinds[0], kinds[1])
}

// action reads what the job does.
func (d *decoder) action(name string, t token, w *rest.Work) error {
	switch name {
	case "command":
		return d.command(t, w)
	case "shell":
		return d.filled(t, &w.Shell)
	}
	return d.identifier(t, &w.Handler)
}

func (d *decoder) command(t token, w *rest.Work) error {
	if t.kind == text {
		return d.problem(t.at, "wants a list such as [\"echo\", \"hello\"]; for a line of shell write shell: instead")
	}
	err := d.list(t, func(item token) error {
		w.Command = append(w.Command, "")
		return d.words(item, &w.Command[len(w.Command)-1])
	})
	if err == nil && t.kind == arrayStart && (len(w.Command) == 0 || w.Command[0] == "") {
		return d.problem(t.at, "names no program")
	}
	return err
}

func (d *decoder) workField(name, value token, w *rest.Work) error {
	switch name.text {
	case "env":
		return d.variables(value, &w.Env)
	case "dir":
		return d.filled(value, &w.Dir)
	case "queue":
		return d.identifier(value, &w.Queue)
	case "labels":
		return d.labels(value, &w.Labels)
	case "slots":
		return d.count(value, 1, SlotsMax, &w.Slots)
	case "priority":
		n := int64(w.Priority)
		err := d.integer(value, -PriorityMax, PriorityMax, &n)
		w.Priority = int(n)
		return err
	case "timeout":
		return d.span(value, &w.Timeout)
	case "start_after":
		return d.span(value, &w.StartAfter)
	case "retry":
		w.Retry = &rest.Retry{}
		return d.retry(value, w.Retry)
	case "lost_limit":
		w.LostLimit = new(uint32)
		return d.count(value, 0, CountMax, w.LostLimit)
	}
	return d.unknown(name, value, jobFields, jobLater)
}

func (d *decoder) retry(t token, r *rest.Retry) error {
	return d.object(t, func(name, value token) error {
		switch name.text {
		case "limit":
			return d.count(value, 0, CountMax, &r.Limit)
		case "backoff":
			r.Backoff = new(rest.Duration)
			return d.span(value, r.Backoff)
		case "factor":
			r.Factor = new(float64)
			return d.factor(value, r.Factor)
		case "max":
			r.Max = new(rest.Duration)
			return d.span(value, r.Max)
		case "never":
			return d.list(value, func(item token) error {
				var code int64
				err := d.integer(item, math.MinInt32, math.MaxInt32, &code)
				r.Never = append(r.Never, int32(code))
				return err
			})
		}
		return d.unknown(name, value, retryFields, nil)
	})
}

func (d *decoder) factor(t token, into *float64) error {
	if t.kind != number {
		return d.mismatch(t, "a number")
	}
	f, err := strconv.ParseFloat(t.text, 64)
	if err != nil || !(f >= 1 && f <= FactorMax) {
		return d.problem(t.at, "is %.40s, but must lie within 1 and %d", t.text, FactorMax)
	}
	*into = f
	return nil
}

// span reads a duration, or what else has a text form of its own.
func (d *decoder) span(t token, into encoding.TextUnmarshaler) error {
	if t.kind == number {
		return d.problem(t.at, "wants a unit: %.40ss, %.40sm or %.40sh", t.text, t.text, t.text)
	}
	var s string
	before := len(d.problems)
	if err := d.text(t, &s); err != nil || len(d.problems) > before {
		return err
	}
	if err := into.UnmarshalText([]byte(s)); err != nil {
		return d.problem(t.at, "%v", err)
	}
	return nil
}

func (d *requestDecoder) needsAny(t token, i int) error {
	err := d.needs(t, &d.spec.Jobs[i].NeedsAny, &d.places[i].needsAny)
	if err == nil && t.kind == arrayStart && len(d.spec.Jobs[i].NeedsAny) == 0 {
		return d.problem(t.at, "is empty: it could never be met; leave it out")
	}
	return err
}

func (d *requestDecoder) needs(t token, into *[]rest.Need, places *[]place) error {
	return d.list(t, func(item token) error {
		*into = append(*into, rest.Need{})
		n := &(*into)[len(*into)-1]
		*places = append(*places, item.at)
		if item.kind == objectStart {
			return d.needObject(item, n)
		}
		return d.identifier(item, &n.Job)
	})
}

func (d *decoder) needObject(t token, n *rest.Need) error {
	named := false
	err := d.object(t, func(name, value token) error {
		switch name.text {
		case "job":
			named = true
			return d.identifier(value, &n.Job)
		case "when":
			return d.oneOf(value, &n.When, rest.WhenDone, rest.WhenFailed, rest.WhenEnded)
		}
		return d.unknown(name, value, needFields, nil)
	})
	if err == nil && !named {
		return d.problem(t.at, "names no job")
	}
	return err
}

func (d *decoder) payload(t token, into *rest.Raw) error {
	var b bytes.Buffer
	if err := d.document(t, &b); err != nil {
		return err
	}
	*into = b.Bytes()
	if t.kind == null {
		*into = nil // the same as no payload
	}
	return nil
}

// variables reads an environment.
func (d *decoder) variables(t token, into *map[string]string) error {
	return d.pairs(t, into, func(name string) string {
		for i := range len(name) {
			if name[i] == '=' || name[i] == 0 {
				return "is no name of a variable"
			}
		}
		return ""
	})
}

// labels reads what a worker must carry.
func (d *decoder) labels(t token, into *map[string]string) error {
	return d.pairs(t, into, badIdentifier)
}

func (d *decoder) pairs(t token, into *map[string]string, bad func(string) string) error {
	return d.object(t, func(name, value token) error {
		if why := bad(name.text); why != "" || name.text == "" {
			if why == "" {
				why = "has an empty name"
			}
			if err := d.problem(name.at, "%s", why); err != nil {
				return err
			}
			return d.skip(value)
		}
		if value.kind == null {
			return d.problem(value.at, "has no value; write \"\" for an empty one")
		}
		if *into == nil {
			*into = make(map[string]string)
		}
		var s string
		err := d.words(value, &s)
		(*into)[name.text] = s
		return err
	})
}

// filled reads text that is not empty.
func (d *decoder) filled(t token, into *string) error {
	if t.kind == text && t.text == "" {
		return d.problem(t.at, "is empty")
	}
	return d.text(t, into)
}

// title reads a name for people: any short text on one line.
func (d *decoder) title(t token, into *string) error {
	if t.kind == text && len(t.text) > TitleBytesMax {
		return d.problem(t.at, "is %d bytes long; at most %d are allowed", len(t.text), TitleBytesMax)
	}
	return d.words(t, into)
}

// identifier reads the name of a job, queue, session or handler.
func (d *decoder) identifier(t token, into *string) error {
	if t.kind != text && t.kind != number && t.kind != boolean {
		return d.mismatch(t, "a name")
	}
	if why := badIdentifier(t.text); why != "" {
		return d.problem(t.at, "%s", why)
	}
	*into = t.text
	return nil
}

// badIdentifier says what is wrong with a name, or nothing.
func badIdentifier(name string) string {
	if name == "" {
		return "is empty"
	}
	if len(name) > NameBytesMax {
		return fmt.Sprintf("is %d bytes long; names have at most %d", len(name), NameBytesMax)
	}
	for _, r := range name {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-' || r == '/') {
			return fmt.Sprintf("%q holds %q; names are made of letters, digits and . _ - /", clip(name), r)
		}
	}
	return ""
}
