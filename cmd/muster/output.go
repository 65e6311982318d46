package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"
)

// show prints a document of the HTTP interface: as it is, as YAML with the same keys, or as table makes it.
func (a *app) show(doc any, table func(w io.Writer)) error {
	switch a.output {
	case "json":
		return writeJSON(a.out, doc)
	case "yaml":
		return writeYAML(a.out, doc)
	}
	table(a.out)
	return nil
}

func writeJSON(w io.Writer, doc any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// writeYAML goes by way of JSON, which is YAML too, so that keys, their order and the forms of values are the same.
func writeYAML(w io.Writer, doc any) error {
	var b bytes.Buffer
	if err := writeJSON(&b, doc); err != nil {
		return err
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(b.Bytes(), &tree); err != nil {
		return fmt.Errorf("write as YAML: %w", err)
	}
	blockStyle(&tree)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&tree); err != nil {
		return err
	}
	return e.Close()
}

// blockStyle undoes what the tree remembers of JSON's looks; text that could be read as something else stays quoted.
func blockStyle(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = 0
	} else if n.ShortTag() == "!!str" {
		n.Style = 0
		n.SetString(n.Value)
		n.Tag = "!!str"
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}
