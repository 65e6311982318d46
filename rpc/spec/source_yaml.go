package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// yamlSource walks a YAML document's tree. Its places are line << 32 | column.
type yamlSource struct {
	stack    []yamlLevel
	root     *yaml.Node
	aliased  int // levels of the stack that came through an alias
	expanded int // tokens given from inside aliases
}

// yamlLevel is an open node and how far it has been walked.
type yamlLevel struct {
	node  *yaml.Node
	next  int
	alias bool
}

// newYAMLSource reads the one document of body. The parser itself refuses nesting deeper than 10,000.
func newYAMLSource(body []byte) (*yamlSource, error) {
	dec := yaml.NewDecoder(bytes.NewReader(body))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, &syntaxError{line: 1, message: "the request is empty"}
	} else if err != nil {
		return nil, yamlSyntax(err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, &syntaxError{line: second.Line, message: "a second YAML document; submit one request at a time"}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlSyntax(err)
	}
	return &yamlSource{root: doc.Content[0]}, nil
}

func yamlSyntax(err error) error {
	var bad *yaml.LoadError
	if errors.As(err, &bad) && bad.Mark.Line > 0 {
		return &syntaxError{at: yamlMark(bad.Mark), message: bad.Message}
	}
	return &syntaxError{message: strings.TrimPrefix(err.Error(), "yaml: ")}
}

func yamlMark(m yaml.Mark) place { return place(m.Line)<<32 | place(m.Column) }

func (s *yamlSource) next() (token, error) {
	if len(s.stack) == 0 {
		if s.root == nil {
			return token{kind: end}, nil
		}
		node := s.root
		s.root = nil
		return s.enter(node, false)
	}
	top := &s.stack[len(s.stack)-1]
	if top.next == len(top.node.Content) {
		return s.leave(), nil
	}
	node := top.node.Content[top.next]
	top.next++
	return s.enter(node, top.node.Kind == yaml.MappingNode && top.next%2 == 1)
}

func (s *yamlSource) leave() token {
	top := s.stack[len(s.stack)-1]
	s.stack = s.stack[:len(s.stack)-1]
	if top.alias {
		s.aliased--
	}
	if top.node.Kind == yaml.MappingNode {
		return token{kind: objectEnd, at: yamlPlace(top.node)}
	}
	return token{kind: arrayEnd, at: yamlPlace(top.node)}
}

func (s *yamlSource) enter(node *yaml.Node, asKey bool) (token, error) {
	at := yamlPlace(node)
	alias := node.Kind == yaml.AliasNode
	if alias {
		node = node.Alias
	}
	if s.aliased > 0 || alias {
		if s.expanded++; s.expanded > aliasTokensMax {
			return token{}, &syntaxError{at: at, message: fmt.Sprintf("aliases stand for more than %d values; write them out", aliasTokensMax)}
		}
	}
	if asKey {
		return yamlKey(node, at)
	}
	if node.Kind == yaml.ScalarNode {
		return yamlScalar(node, at)
	}
	if len(s.stack) >= depthMax {
		return token{}, &syntaxError{at: at, message: depthMessage}
	}
	if alias {
		s.aliased++
	}
	s.stack = append(s.stack, yamlLevel{node: node, alias: alias})
	if node.Kind == yaml.MappingNode {
		return token{kind: objectStart, at: at}, nil
	}
	return token{kind: arrayStart, at: at}, nil
}

func yamlKey(node *yaml.Node, at place) (token, error) {
	switch {
	case node.Kind != yaml.ScalarNode:
		return token{}, &syntaxError{at: at, message: "a key must be text"}
	case node.ShortTag() == "!!merge":
		return token{}, &syntaxError{at: at, message: "merge keys (<<) are not supported; repeat the fields"}
	}
	return token{key, node.Value, at}, nil
}

func yamlScalar(node *yaml.Node, at place) (token, error) {
	switch node.ShortTag() {
	case "!!str", "!!timestamp":
		return token{text, node.Value, at}, nil
	case "!!bool":
		return token{boolean, strings.ToLower(node.Value), at}, nil
	case "!!null":
		return token{null, "null", at}, nil
	case "!!int", "!!float":
		return token{number, node.Value, at}, nil
	}
	return token{}, &syntaxError{at: at, message: fmt.Sprintf("the YAML tag %.40s is not supported", node.Tag)}
}

// jsonNumber writes a number as JSON does. YAML has more ways to write one: 0x1f, +1, .5.
func jsonNumber(written string) (json.RawMessage, error) {
	if json.Valid([]byte(written)) {
		return json.RawMessage(written), nil
	}
	var v any
	if err := yaml.Unmarshal([]byte(written), &v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func yamlPlace(n *yaml.Node) place { return place(n.Line)<<32 | place(n.Column) }

func (s *yamlSource) locate(at place) (line, column int) { return int(at >> 32), int(at & (1<<32 - 1)) }
