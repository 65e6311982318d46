package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Duration is a time.Duration that is written as a Go string, like "1m30s".
type Duration time.Duration

// String is the shortest Go string: 10m rather than 10m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// MarshalText writes a Go duration string.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a Go duration string that is not negative.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%.40q is not a duration: write a number and a unit, like 30s, 10m or 1h30m", text)
	}
	if v < 0 {
		return fmt.Errorf("duration %s is negative", text)
	}
	*d = Duration(v)
	return nil
}

// StartAfter delays a job: by Delay after its needs are met, or until the time At. At most one of them is set.
// Its text form is a Go duration string or an RFC 3339 time.
type StartAfter struct {
	Delay time.Duration
	At    time.Time
}

// A start_after is kept in nanoseconds since 1970: later times than these would wrap around and lie in the past.
var (
	startMin = time.Unix(0, 0).UTC()
	startMax = time.Unix(0, 1<<63-1).UTC()
)

// IsZero says that nothing is delayed.
func (s StartAfter) IsZero() bool { return s.Delay == 0 && s.At.IsZero() }

// MarshalText writes the time if there is one, else the delay.
func (s StartAfter) MarshalText() ([]byte, error) {
	if !s.At.IsZero() {
		return []byte(s.At.UTC().Format(time.RFC3339Nano)), nil
	}
	return Duration(s.Delay).MarshalText()
}

// UnmarshalText reads an RFC 3339 time or a Go duration string.
func (s *StartAfter) UnmarshalText(text []byte) error {
	if at, err := time.Parse(time.RFC3339Nano, string(text)); err == nil {
		if at.Before(startMin) || at.After(startMax) {
			return fmt.Errorf("start_after %s is not within %d and %d", text, startMin.Year(), startMax.Year())
		}
		*s = StartAfter{At: at.UTC()}
		return nil
	}
	var d Duration
	if err := d.UnmarshalText(text); err != nil {
		return fmt.Errorf("%.40q is neither a duration like 30s nor an RFC 3339 time like 2026-11-22T08:00:00Z", text)
	}
	*s = StartAfter{Delay: time.Duration(d)}
	return nil
}

// Raw is any JSON value, kept as it was written. Nil: absent.
type Raw []byte

// IsZero says that there is no value.
func (r Raw) IsZero() bool { return len(r) == 0 }

// MarshalJSON writes the value, or null when there is none.
func (r Raw) MarshalJSON() ([]byte, error) {
	if len(r) == 0 {
		return []byte("null"), nil
	}
	return r, nil
}

// UnmarshalJSON keeps a copy of the value without insignificant space.
func (r *Raw) UnmarshalJSON(b []byte) error {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		return err
	}
	*r = out.Bytes()
	return nil
}

// MarshalYAML hands the value to a YAML encoder as maps, lists and scalars.
func (r Raw) MarshalYAML() (any, error) {
	if len(r) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(r))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return yamlNumbers(v), err
}

// yamlNumbers makes numbers of v's that YAML writes without quotes: whole ones exactly, as far as they go.
func yamlNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // out of range: infinite
		return f
	case []any:
		for i := range v {
			v[i] = yamlNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = yamlNumbers(v[k])
		}
	}
	return v
}

// UnmarshalYAML takes the value from a YAML decoder. Mappings with keys that are not strings are refused.
func (r *Raw) UnmarshalYAML(decode func(any) error) error {
	var v any
	if err := decode(&v); err != nil {
		return err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("value cannot be written as JSON: %w", err)
	}
	*r = b
	return nil
}

// Need is one edge of the DAG: the job waits on Job. It is written as the job's name, or as {job, when} when the
// condition is not "done".
type Need struct {
	Job  string `json:"job" yaml:"job"`
	When string `json:"when,omitempty" yaml:"when,omitempty"` // done (the default), failed or ended
}

type needObject Need // Need without its methods

// WhenDone is the condition of a need that says nothing of it.
const WhenDone = "done"

// The other conditions of a need.
const (
	WhenFailed = "failed" // the job failed, with no retry left
	WhenEnded  = "ended"  // the job is done, failed or cancelled
)

func (n Need) plain() bool { return n.When == "" || n.When == WhenDone }

// MarshalJSON writes a plain need as a string.
func (n Need) MarshalJSON() ([]byte, error) {
	if n.plain() {
		return json.Marshal(n.Job)
	}
	return json.Marshal(needObject(n))
}

// UnmarshalJSON reads a string or an object; unknown fields are refused.
func (n *Need) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*n = Need{}
		return json.Unmarshal(b, &n.Job)
	}
	if len(b) == 0 || b[0] != '{' {
		return errNeedShape
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	*n = Need{}
	return d.Decode((*needObject)(n))
}

// MarshalYAML writes a plain need as a string.
func (n Need) MarshalYAML() (any, error) {
	if n.plain() {
		return n.Job, nil
	}
	return needObject(n), nil
}

// UnmarshalYAML reads a string or a mapping.
func (n *Need) UnmarshalYAML(decode func(any) error) error {
	var name string
	if decode(&name) == nil {
		*n = Need{Job: name}
		return nil
	}
	*n = Need{}
	return decode((*needObject)(n))
}

var errNeedShape = errors.New("a need is a job's name or an object like {job: NAME, when: done}")
