package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// jsonSource streams JSON. Its places are byte offsets.
type jsonSource struct {
	body  []byte
	dec   *json.Decoder
	stack []jsonLevel
	ended bool
}

// jsonLevel is an open object or list.
type jsonLevel struct {
	object bool
	value  bool // in an object: the next string is a value, not a key
}

func newJSONSource(body []byte) *jsonSource {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	return &jsonSource{body: body, dec: dec}
}

func (s *jsonSource) next() (token, error) {
	at := s.start()
	if s.ended {
		return s.trailing(at)
	}
	t, err := s.dec.Token()
	if err != nil {
		return token{}, s.syntax(err)
	}
	k, label := s.classify(t)
	if len(s.stack) > depthMax {
		return token{}, &syntaxError{at: at, message: depthMessage}
	}
	s.ended = len(s.stack) == 0
	return token{k, label, at}, nil
}

// classify names the token and keeps the stack.
func (s *jsonSource) classify(t json.Token) (kind, string) {
	top := len(s.stack) - 1
	inObject := top >= 0 && s.stack[top].object
	if d, ok := t.(json.Delim); ok && (d == '}' || d == ']') {
		s.stack = s.stack[:top]
		if d == '}' {
			return objectEnd, ""
		}
		return arrayEnd, ""
	}
	if inObject {
		s.stack[top].value = !s.stack[top].value
		if label, ok := t.(string); ok && s.stack[top].value {
			return key, label
		}
	}
	switch v := t.(type) {
	case json.Delim:
		s.stack = append(s.stack, jsonLevel{object: v == '{'})
		if v == '{' {
			return objectStart, ""
		}
		return arrayStart, ""
	case string:
		return text, v
	case json.Number:
		return number, v.String()
	case bool:
		if v {
			return boolean, "true"
		}
		return boolean, "false"
	}
	return null, "null"
}

// start is where the next token begins: the decoder's offset is the end of the last one.
func (s *jsonSource) start() place {
	i := int(s.dec.InputOffset())
	for i < len(s.body) && strings.IndexByte(" \t\r\n,:", s.body[i]) >= 0 {
		i++
	}
	return place(i)
}

func (s *jsonSource) trailing(at place) (token, error) {
	if int(at) < len(s.body) {
		return token{}, &syntaxError{at: at, message: "text after the end of the request"}
	}
	return token{kind: end, at: at}, nil
}

func (s *jsonSource) syntax(err error) error {
	var bad *json.SyntaxError
	switch {
	case errors.As(err, &bad):
		// The offset is behind the character, or on it: it depends on who found the error.
		return &syntaxError{at: max(s.start(), place(bad.Offset-1)), message: bad.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &syntaxError{at: place(len(s.body)), message: "the JSON ends too early"}
	}
	return &syntaxError{at: s.start(), message: err.Error()}
}

func (s *jsonSource) locate(at place) (line, column int) {
	before := s.body[:min(int(at), len(s.body))]
	return bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}
