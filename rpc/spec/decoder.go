package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// errFull ends the reading once ProblemsMax problems are known.
var errFull = errors.New("too many problems")

// decoder turns tokens into fields and gathers problems. Its methods return an error only where reading cannot go on;
// a value of a wrong kind is a problem, and is passed over.
type decoder struct {
	src      source
	problems []Problem
	path     []step
}

// step is one part of a field's path: a name, or an index when the name is empty.
type step struct {
	name  string
	index int
}

func (d *decoder) field() string {
	var b strings.Builder
	for i, s := range d.path {
		switch {
		case s.name == "":
			fmt.Fprintf(&b, "[%d]", s.index)
		case i == 0:
			b.WriteString(s.name)
		default:
			b.WriteString("." + s.name)
		}
	}
	return b.String()
}

// problem notes what is wrong with the field being read.
func (d *decoder) problem(at place, format string, args ...any) error {
	return d.problemOf(d.field(), at, format, args...)
}

func (d *decoder) problemOf(field string, at place, format string, args ...any) error {
	line, column := d.src.locate(at)
	d.problems = append(d.problems, Problem{line, column, field, fmt.Sprintf(format, args...)})
	if len(d.problems) >= ProblemsMax {
		return errFull
	}
	return nil
}

// object reads an object that began with t. each is given the key and the first token of its value, and must read the
// value to its end. A key that comes twice is a problem, and its second value is passed over.
func (d *decoder) object(t token, each func(name, value token) error) error {
	if t.kind != objectStart {
		return d.mismatch(t, "an object")
	}
	var seen keySet
	for {
		name, err := d.src.next()
		if err != nil {
			return err
		}
		if name.kind == objectEnd {
			return nil
		}
		value, err := d.src.next()
		if err != nil {
			return err
		}
		d.path = append(d.path, step{name: name.text})
		if seen.add(name.text) {
			err = each(name, value)
		} else if err = d.problem(name.at, "is given twice"); err == nil {
			err = d.skip(value)
		}
		d.path = d.path[:len(d.path)-1]
		if err != nil {
			return err
		}
	}
}

// list reads a list that began with t; each is given the first token of an item.
func (d *decoder) list(t token, each func(item token) error) error {
	if t.kind != arrayStart {
		return d.mismatch(t, "a list")
	}
	for i := 0; ; i++ {
		item, err := d.src.next()
		if err != nil {
			return err
		}
		if item.kind == arrayEnd {
			return nil
		}
		d.path = append(d.path, step{index: i})
		err = each(item)
		d.path = d.path[:len(d.path)-1]
		if err != nil {
			return err
		}
	}
}

// skip reads the rest of the value that began with t.
func (d *decoder) skip(t token) error {
	for depth := 0; ; {
		switch t.kind {
		case objectStart, arrayStart:
			depth++
		case objectEnd, arrayEnd:
			depth--
		}
		if depth == 0 {
			return nil
		}
		var err error
		if t, err = d.src.next(); err != nil {
			return err
		}
	}
}

func (d *decoder) mismatch(t token, want string) error {
	if err := d.problem(t.at, "wants %s, not %s", want, t.kind); err != nil {
		return err
	}
	return d.skip(t)
}

// text reads a string.
func (d *decoder) text(t token, into *string) error {
	if t.kind != text {
		return d.mismatch(t, "text")
	}
	return d.keep(t, into)
}

// words reads a string, or a number or boolean as it was written: what becomes an argument or a variable.
func (d *decoder) words(t token, into *string) error {
	if t.kind != text && t.kind != number && t.kind != boolean {
		return d.mismatch(t, "text")
	}
	return d.keep(t, into)
}

func (d *decoder) keep(t token, into *string) error {
	if strings.IndexByte(t.text, 0) >= 0 {
		return d.problem(t.at, "holds a zero byte")
	}
	*into = t.text
	return nil
}

// integer reads a whole number from low to high.
func (d *decoder) integer(t token, low, high int64, into *int64) error {
	if t.kind != number {
		return d.mismatch(t, "a whole number")
	}
	n, err := strconv.ParseInt(t.text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return d.problem(t.at, "wants a whole number, not %.40s", t.text)
	}
	if err != nil || n < low || n > high {
		return d.problem(t.at, "is %.40s, but must lie within %d and %d", t.text, low, high)
	}
	*into = n
	return nil
}

// document reads any value and writes it as compact JSON. Keys keep their order.
func (d *decoder) document(t token, b *bytes.Buffer) error {
	switch t.kind {
	case objectStart:
		return d.documentObject(t, b)
	case arrayStart:
		b.WriteByte('[')
		first := true
		err := d.list(t, func(item token) error {
			if !first {
				b.WriteByte(',')
			}
			first = false
			return d.document(item, b)
		})
		b.WriteByte(']')
		return err
	case text:
		writeText(b, t.text)
	case number:
		n, err := jsonNumber(t.text)
		if err != nil {
			return d.problem(t.at, "is %.40s, which JSON has no number for", t.text)
		}
		b.Write(n)
	default:
		b.WriteString(t.text)
	}
	return nil
}

func (d *decoder) documentObject(t token, b *bytes.Buffer) error {
	b.WriteByte('{')
	first := true
	err := d.object(t, func(name, value token) error {
		if !first {
			b.WriteByte(',')
		}
		first = false
		writeText(b, name.text)
		b.WriteByte(':')
		return d.document(value, b)
	})
	b.WriteByte('}')
	return err
}

// writeText writes a JSON string without escaping what only HTML minds.
func writeText(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.Encode(s)             // a string and a Buffer cannot fail
	b.Truncate(b.Len() - 1) // the encoder's newline
}

// keySet is the keys of one object. Most objects are small: a list that needs no heap is quicker than a map.
type keySet struct {
	few  [keySetFew]string
	n    int
	many map[string]struct{}
}

const keySetFew = 16

// add returns false if the key is there already.
func (s *keySet) add(name string) bool {
	if s.many == nil && s.n < keySetFew {
		if slices.Contains(s.few[:s.n], name) {
			return false
		}
		s.few[s.n] = name
		s.n++
		return true
	}
	if s.many == nil {
		s.many = make(map[string]struct{}, 4*keySetFew)
		for _, k := range s.few {
			s.many[k] = struct{}{}
		}
	}
	if _, there := s.many[name]; there {
		return false
	}
	s.many[name] = struct{}{}
	return true
}
