package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"unicode/utf8"

	"golang.org/x/sync/semaphore"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/rpc/rest"
)

const (
	// jsonDepthMax is how deep lists and objects of a body may nest.
	jsonDepthMax = 128
	// documentBytesMax is the size of a body that is not a spec: a result with its envelope is the largest.
	documentBytesMax = 1 << 20
	// announcedBytesMax is how much room is made for a body before it comes.
	announcedBytesMax = bodyStep
)

// mediaTypes that a body may be declared as. The form type is what curl and Python's urllib say unless told otherwise;
// what a body is, is looked at and not believed. Browsers' cross-site calls are refused before this.
var mediaTypes = map[string]bool{
	"": true, "application/json": true, "application/x-www-form-urlencoded": true, "application/octet-stream": true,
	"text/plain": true, "text/json": true,
}

var yamlTypes = map[string]bool{
	"application/yaml": true, "application/x-yaml": true, "text/yaml": true, "text/x-yaml": true,
}

func checkMediaType(r *http.Request, yaml bool) error {
	declared := r.Header.Get("Content-Type")
	t, _, err := mime.ParseMediaType(declared)
	if declared != "" && err != nil {
		return problem(rest.CodeMediaType, "content type %.80q is malformed", declared)
	}
	if mediaTypes[t] || yaml && yamlTypes[t] {
		return nil
	}
	if yaml {
		return problem(rest.CodeMediaType, "content type %.80q: send application/json or application/yaml", t)
	}
	return problem(rest.CodeMediaType, "content type %.80q: send application/json", t)
}

// readBody reads a whole body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	var b bytes.Buffer
	if r.ContentLength > 0 { // memory grows with what has arrived, not with what was announced
		b.Grow(int(min(r.ContentLength, announcedBytesMax)) + bytes.MinRead)
	}
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLarge) && !errors.Is(err, errBodiesFull) {
		err = invalid("body ended early: %v", err)
	}
	return b.Bytes(), err
}

// meteredBody takes from a budget what has arrived of a body, until release. What was only announced takes nothing: whoever
// sends slowly does not hold up the others.
type meteredBody struct {
	io.ReadCloser
	budget     *semaphore.Weighted
	read, held int64
}

// bodyStep is how much is taken from the budget at a time.
const bodyStep = 64 << 10

var errBodiesFull = fmt.Errorf("%w: too many large requests are being handed in", cluster.ErrOverloaded)

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	for b.read += int64(n); b.read > b.held; b.held += bodyStep {
		if !b.budget.TryAcquire(bodyStep) {
			return n, errBodiesFull
		}
	}
	return n, err
}

func (b *meteredBody) release() { b.budget.Release(b.held) }

// decode reads a JSON document strictly: no unknown fields, nothing after it, UTF-8, not nested too deep. An empty body
// leaves out as it is.
func decode(w http.ResponseWriter, r *http.Request, out any) error {
	if err := checkMediaType(r, false); err != nil {
		return err
	}
	body, err := readBody(w, r, documentBytesMax)
	if err != nil {
		return err
	}
	return decodeJSON(body, out)
}

func decodeJSON(body []byte, out any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if !utf8.Valid(body) {
		return invalid("body is not UTF-8")
	}
	if at := tooDeep(body); at >= 0 {
		return placed(invalid("body nests deeper than %d", jsonDepthMax), body, int64(at)+1)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		return jsonProblem(err, body, d.InputOffset())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return placed(invalid("body has more after its JSON document"), body, d.InputOffset()+1)
	}
	return nil
}

// tooDeep gives the offset at which body nests too deep, or -1. It is only asked of what a decoder has yet to check.
func tooDeep(body []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > jsonDepthMax {
				return i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return -1
}

func jsonProblem(err error, body []byte, offset int64) error {
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &syntax):
		return placed(invalid("body is not JSON: %v", err), body, syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return placed(invalid("body is not JSON: it ends early"), body, int64(len(body)))
	case errors.As(err, &kind):
		return placed(invalid("%s: a %s does not fit here", fieldName(kind.Field), kind.Value), body, kind.Offset)
	}
	// An unknown field, or what a value's own decoder says of it.
	return placed(invalid("%s", trimJSON(err)), body, offset)
}

func fieldName(field string) string {
	if field == "" {
		return "body"
	}
	return field
}

func trimJSON(err error) string {
	return string(bytes.TrimPrefix([]byte(err.Error()), []byte("json: ")))
}

// placed adds the line and column of the offset, which counts from 1.
func placed(p *rest.Problem, body []byte, offset int64) *rest.Problem {
	before := body[:min(max(offset-1, 0), int64(len(body)))]
	p.Line = bytes.Count(before, []byte("\n")) + 1
	p.Column = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return p
}

// answer writes a JSON document.
func answer(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write %T as JSON: %w", v, err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b.Bytes()) // whoever asked may be gone
	return nil
}
