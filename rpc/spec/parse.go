package spec

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/musterhq/muster/rpc/rest"
)

// Parse reads and checks a request's spec, YAML or JSON. It returns an *Error when anything is wrong. Fields that
// were left out are left empty: their defaults are those that rest.RequestSpec names.
//
// YAML anchors and aliases are followed within limits; merge keys and further documents are refused.
func Parse(body []byte) (rest.RequestSpec, error) {
	if i := invalidUTF8(body); i >= 0 {
		line, column := newJSONSource(body).locate(place(i))
		return rest.RequestSpec{}, &Error{Problem: Problem{Line: line, Column: column, Message: "the request is not UTF-8 text"}}
	}
	if !looksLikeJSON(body) {
		return located(readYAML(body))
	}
	src := newJSONSource(body)
	r, err := read(src)
	if isSyntax(err) {
		// YAML has a flow style that begins like JSON.
		if y, ysrc, yerr := readYAML(body); !isSyntax(yerr) {
			return located(y, ysrc, yerr)
		}
	}
	return located(r, src, err)
}

func readYAML(body []byte) (rest.RequestSpec, source, error) {
	if len(body) > YAMLBytesMax {
		return rest.RequestSpec{}, nil, &syntaxError{message: fmt.Sprintf(
			"YAML is read up to %d MiB and this is %d MiB: submit it as JSON", YAMLBytesMax>>20, (len(body)-1)>>20+1)}
	}
	src, err := newYAMLSource(body)
	if err != nil {
		return rest.RequestSpec{}, src, err
	}
	r, err := read(src)
	return r, src, err
}

func isSyntax(err error) bool {
	var syntax *syntaxError
	return errors.As(err, &syntax)
}

// located makes an *Error of a syntax error.
func located(r rest.RequestSpec, src source, err error) (rest.RequestSpec, error) {
	var syntax *syntaxError
	if !errors.As(err, &syntax) {
		return r, err
	}
	p := Problem{Line: syntax.line, Message: syntax.Error()}
	if p.Line == 0 && syntax.at != 0 {
		p.Line, p.Column = src.locate(syntax.at)
	}
	return r, &Error{Problem: p}
}

// read returns an *Error, or a *syntaxError when no problem was found before it.
func read(src source) (rest.RequestSpec, error) {
	d := &requestDecoder{decoder: decoder{src: src}}
	err := d.request()
	if err == nil {
		err = d.checkGraph()
	}
	if len(d.problems) > 0 {
		return rest.RequestSpec{}, &Error{Problem: d.problems[0], More: d.problems[1:]}
	}
	return d.spec, err
}

func looksLikeJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '{'
}

// invalidUTF8 returns where body stops being UTF-8, or -1.
func invalidUTF8(body []byte) int {
	if utf8.Valid(body) {
		return -1
	}
	for i := 0; ; {
		r, size := utf8.DecodeRune(body[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}
