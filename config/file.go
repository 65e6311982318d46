package config

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// file is a YAML file that is being read.
type file struct {
	path     string
	settings map[string]Setting
	sections map[string]bool
	seen     map[string]bool
}

// fillFromFile refuses unknown settings and settings given twice, each with its place.
func fillFromFile(settings []Setting, path string, body []byte) error {
	f := file{path: path, settings: make(map[string]Setting), sections: make(map[string]bool), seen: make(map[string]bool)}
	for _, set := range settings {
		f.settings[set.Key] = set
		if section, _, nested := strings.Cut(set.Key, "."); nested {
			f.sections[section] = true
		}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(body, &doc); err != nil {
		var bad *yaml.LoadError
		if errors.As(err, &bad) && bad.Mark.Line > 0 {
			return fmt.Errorf("%s:%d:%d: %s", path, bad.Mark.Line, bad.Mark.Column, bad.Message)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return nil // empty, or nothing but comments
	}
	return f.section(doc.Content[0], "")
}

func (f *file) section(n *yaml.Node, prefix string) error {
	if n.Kind != yaml.MappingNode {
		return f.fail(n, "wants settings, each as name: value")
	}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := prefix + name.Value
		if f.seen[key] {
			return f.fail(name, "%s is given twice", key)
		}
		f.seen[key] = true
		if err := f.entry(key, name, value); err != nil {
			return err
		}
	}
	return nil
}

func (f *file) entry(key string, name, value *yaml.Node) error {
	if f.sections[key] {
		return f.section(value, key+".")
	}
	set, known := f.settings[key]
	if !known {
		return f.fail(name, "there is no setting %q", key)
	}
	text, err := f.text(set, value)
	if err != nil {
		return err
	}
	if err := set.Set(text); err != nil {
		return f.fail(value, "%s: %v", key, err)
	}
	return nil
}

// text writes the value as Setting.Set reads it.
func (f *file) text(set Setting, n *yaml.Node) (string, error) {
	var parts []string
	switch {
	case n.Kind == yaml.ScalarNode:
		return n.Value, nil
	case n.Kind == yaml.SequenceNode && set.Type() == "list":
		parts = f.scalars(n.Content)
	case n.Kind == yaml.MappingNode && set.Type() == "pairs":
		for i := 0; i < len(n.Content); i += 2 {
			if pair := f.scalars(n.Content[i : i+2]); pair != nil {
				parts = append(parts, pair[0]+"="+pair[1])
			}
		}
		if len(parts) < len(n.Content)/2 {
			parts = nil
		}
	}
	if parts == nil && len(n.Content) > 0 || n.Kind == yaml.AliasNode {
		return "", f.fail(n, "%s wants a %s", set.Key, set.Type())
	}
	return strings.Join(parts, ","), nil
}

// scalars gives the nodes' texts, or nil when one of them is not a scalar that can stand in a list.
func (f *file) scalars(nodes []*yaml.Node) []string {
	texts := make([]string, len(nodes))
	for i, n := range nodes {
		if n.Kind != yaml.ScalarNode || strings.Contains(n.Value, ",") {
			return nil
		}
		texts[i] = n.Value
	}
	return texts
}

func (f *file) fail(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", f.path, n.Line, n.Column, fmt.Sprintf(format, args...))
}
