package spec

import (
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/musterhq/muster/rpc/rest"
)

// SchemaID names the JSON Schema of a request.
const SchemaID = "https://musterhq.github.io/muster/request.schema.json"

// Schema is the JSON Schema (draft 2020-12) of a request, for editors and for programs that write specs. It is made
// from rest.RequestSpec; what Go types cannot say (names, bounds, exactly one action) is added here.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{ExpandedStruct: true, Anonymous: true, Mapper: mapType, LookupComment: describe}
	s := r.Reflect(rest.RequestSpec{})
	s.ID = SchemaID
	s.Title = "muster request"
	refineRequest(s)
	refineJob(s.Definitions["JobSpec"])
	refineRetry(s.Definitions["Retry"])
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

// mapType gives the types that have a text form of their own, and Need, which has two.
func mapType(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[rest.Duration]():
		return durationSchema()
	case reflect.TypeFor[rest.StartAfter]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{durationSchema(), {Type: "string", Format: "date-time"}}}
	case reflect.TypeFor[rest.Raw]():
		return jsonschema.TrueSchema
	case reflect.TypeFor[rest.Need]():
		return needSchema()
	}
	return nil
}

func durationSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`, Examples: []any{"30s", "10m", "1h30m"}}
}

func nameSchema() *jsonschema.Schema {
	limit := uint64(NameBytesMax)
	return &jsonschema.Schema{Type: "string", MinLength: number64(1), MaxLength: &limit, Pattern: `^[A-Za-z0-9._/-]+$`}
}

// writtenName also takes what YAML reads as a number or a boolean: a job may be called 7.
func writtenName() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{nameSchema(), {Type: "integer"}, {Type: "boolean"}}}
}

// words is text, or what becomes text as it was written.
func words() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
}

func needSchema() *jsonschema.Schema {
	p := jsonschema.NewProperties()
	p.Set("job", writtenName())
	p.Set("when", &jsonschema.Schema{Enum: []any{rest.WhenDone, rest.WhenFailed, rest.WhenEnded}})
	object := &jsonschema.Schema{Type: "object", Properties: p, Required: []string{"job"}, AdditionalProperties: jsonschema.FalseSchema}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{writtenName(), object}}
}

func refineRequest(s *jsonschema.Schema) {
	set(s, "name", func(p *jsonschema.Schema) { *p = *described(titleSchema(TitleBytesMax), p) })
	set(s, "session", func(p *jsonschema.Schema) { *p = *described(titleSchema(TitleBytesMax), p) })
	set(s, "max_running", bounds("0", CountMax))
	set(s, "on_failure", func(p *jsonschema.Schema) { p.Enum = []any{"cancel", "stop"} })
	set(s, "jobs", func(p *jsonschema.Schema) { p.MinItems = number64(1) })
}

func refineJob(s *jsonschema.Schema) {
	s.Properties.Delete("array") // not supported yet
	for _, name := range []string{"name", "handler", "queue"} {
		set(s, name, func(p *jsonschema.Schema) { *p = *described(writtenName(), p) })
	}
	set(s, "needs_any", func(p *jsonschema.Schema) { p.MinItems = number64(1) })
	set(s, "command", func(p *jsonschema.Schema) { p.Items, p.MinItems = words(), number64(1) })
	set(s, "shell", func(p *jsonschema.Schema) { p.MinLength = number64(1) })
	set(s, "dir", func(p *jsonschema.Schema) { p.MinLength = number64(1) })
	set(s, "env", func(p *jsonschema.Schema) { p.AdditionalProperties = words() })
	set(s, "labels", func(p *jsonschema.Schema) { p.AdditionalProperties, p.PropertyNames = words(), nameSchema() })
	set(s, "slots", bounds("1", SlotsMax))
	set(s, "priority", bounds("-100", PriorityMax))
	set(s, "lost_limit", bounds("0", CountMax))
	s.OneOf = []*jsonschema.Schema{{Required: []string{"command"}}, {Required: []string{"shell"}}, {Required: []string{"handler"}}}
}

func refineRetry(s *jsonschema.Schema) {
	s.Required = nil
	set(s, "limit", bounds("0", CountMax))
	set(s, "factor", bounds("1", FactorMax))
}

func titleSchema(limit uint64) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string", MaxLength: &limit}, {Type: "number"}, {Type: "boolean"}}}
}

// described carries the description of a schema over to the one that replaces it.
func described(s, old *jsonschema.Schema) *jsonschema.Schema {
	s.Description = old.Description
	return s
}

func bounds(low json.Number, high int64) func(*jsonschema.Schema) {
	return func(p *jsonschema.Schema) {
		b, _ := json.Marshal(high) // a number always marshals
		p.Minimum, p.Maximum = low, json.Number(b)
	}
}

func set(s *jsonschema.Schema, name string, change func(*jsonschema.Schema)) {
	if p, there := s.Properties.Get(name); there {
		change(p)
	}
}

func number64(n uint64) *uint64 { return &n }
