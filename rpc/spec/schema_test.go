package spec

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write golden files anew")

const shippedSchema = "../../docs/request.schema.json"

func compiledSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(SchemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asDocument reads YAML or JSON as a validator wants it.
func asDocument(body []byte) (any, error) {
	var v any
	if err := yaml.Unmarshal(body, &v); err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(b))
}

func TestShippedSchemaIsCurrent(t *testing.T) {
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(shippedSchema, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(shippedSchema)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s is not what the code says (%v); run: go test ./rpc/spec -update", shippedSchema, err)
	}
}

func TestSchemaAndParserKnowTheSameFields(t *testing.T) {
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	type object struct{ Properties map[string]any }
	var s struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		schema object
		parser []string
	}{"request": {s.object, requestFields}, "job": {s.Defs["JobSpec"], jobFields}, "retry": {s.Defs["Retry"], retryFields}} {
		if len(c.schema.Properties) != len(c.parser) {
			t.Errorf("%s: %d fields in the schema, %d in the parser", name, len(c.schema.Properties), len(c.parser))
		}
		for _, f := range c.parser {
			if _, there := c.schema.Properties[f]; !there {
				t.Errorf("%s: the schema does not know %s", name, f)
			}
		}
	}
}

func TestSchemaAgreesWithParser(t *testing.T) {
	schema := compiledSchema(t)
	for name, body := range map[string]string{
		"every field":       everyField,
		"alias":             "jobs:\n- name: a\n  shell: x\n  retry: &r {limit: 1}\n- name: b\n  shell: x\n  retry: *r\n",
		"number as a name":  "jobs: [{name: 7, shell: x}, {name: b, shell: x, needs: [7]}]",
		"no payload":        "jobs: [{name: a, shell: x, payload: null}]",
		"unknown field":     "jobs: [{name: a, comand: [x]}]",
		"no jobs":           "name: x",
		"empty jobs":        "jobs: []",
		"two actions":       "jobs: [{name: a, shell: x, command: [x]}]",
		"no action":         "jobs: [{name: a}]",
		"bad name":          "jobs: [{name: a b, shell: x}]",
		"no name":           "jobs: [{shell: x}]",
		"command as text":   "jobs: [{name: a, command: x}]",
		"array":             "jobs: [{name: a, shell: x, array: 3}]",
		"when cancelled":    "jobs: [{name: a, shell: x}, {name: b, shell: x, needs: [{job: a, when: cancelled}]}]",
		"any of none":       "jobs: [{name: a, shell: x, needs_any: []}]",
		"need without job":  "jobs: [{name: a, shell: x, needs: [{}]}]",
		"priority":          "jobs: [{name: a, shell: x, priority: 101}]",
		"slots":             "jobs: [{name: a, shell: x, slots: 0}]",
		"duration":          "jobs: [{name: a, shell: x, timeout: 90}]",
		"negative duration": "jobs: [{name: a, shell: x, timeout: -1s}]",
		"no time":           "jobs: [{name: a, shell: x, start_after: noon}]",
		"factor":            "jobs: [{name: a, shell: x, retry: {factor: 0.5}}]",
		"policy":            "on_failure: explode\njobs: [{name: a, shell: x}]",
		"empty variable":    "jobs: [{name: a, shell: x, env: {X: null}}]",
		"empty label":       "jobs: [{name: a, shell: x, labels: {'': a}}]",
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := asDocument([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			_, parseErr := Parse([]byte(body))
			if schemaErr := schema.Validate(doc); (parseErr == nil) != (schemaErr == nil) {
				t.Fatalf("parser: %v\nschema: %v", parseErr, schemaErr)
			}
		})
	}
}

func TestExamplesAreSound(t *testing.T) {
	schema := compiledSchema(t)
	found, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(found) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, path := range found {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Parse(body); err != nil {
				t.Fatal(err)
			}
			doc, err := asDocument(body)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Fatal(err)
			}
		})
	}
}
