package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3gen"

	"github.com/musterhq/muster/rpc/rest"
)

// paramSchemas describe the parameters of queries.
var paramSchemas = map[string]struct {
	about  string
	schema *openapi3.Schema
}{
	paramConsistency: {"linearizable (the default) or stale: what this coordinator has, with its age in the header Muster-Age",
		openapi3.NewStringSchema().WithEnum("linearizable", "stale")},
	paramLimit:   {fmt.Sprintf("items at most; above %d means %d", pageMax, pageMax), openapi3.NewIntegerSchema().WithMin(1)},
	paramAfter:   {"next of the page before", openapi3.NewStringSchema()},
	paramState:   {"items in this state only", openapi3.NewStringSchema().WithEnum("waiting", "ready", "delayed", "picked", "running", "done", "failed", "cancelled")},
	paramSession: {"of this session only, by id or name", openapi3.NewStringSchema()},
	paramRequest: {"of this request only, by id", openapi3.NewStringSchema()},
	paramFrom:    {"events after this log index; absent: from now", openapi3.NewIntegerSchema().WithMin(0)},
	paramStream:  {"which output", openapi3.NewStringSchema().WithEnum("stdout", "stderr")},
	paramAttempt: {"of this attempt; absent: of the current one", openapi3.NewIntegerSchema().WithMin(1)},
	paramOffset:  {"bytes to leave out", openapi3.NewIntegerSchema().WithMin(0)},
	paramFollow:  {"until the attempt has ended", openapi3.NewBoolSchema()},
	paramForce:   {"also the snapshot of another cluster", openapi3.NewBoolSchema()},
}

// headerParams are headers that an operation understands.
var headerParams = map[string]*openapi3.Parameter{
	"submitRequest": openapi3.NewHeaderParameter(rest.HeaderKey).
		WithDescription("the same key answers the same request, across leader changes and restarts").
		WithSchema(openapi3.NewStringSchema().WithMaxLength(keyBytesMax)),
	"events": openapi3.NewHeaderParameter(rest.HeaderLastEventID).
		WithDescription("events after this log index").WithSchema(openapi3.NewStringSchema()),
}

func openAPIDocument(routes []route) ([]byte, error) {
	doc, err := openAPI(routes)
	if err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}

// openAPI makes the document of the table.
func openAPI(routes []route) (*openapi3.T, error) {
	g := newSchemaSet()
	doc := &openapi3.T{
		OpenAPI: "3.0.3",
		Info: &openapi3.Info{Title: "muster", Version: "1",
			Description: "A replicated coordinator of job DAGs. Times are RFC 3339 in UTC, durations Go strings, ids opaque strings that sort by age."},
		Paths:      openapi3.NewPaths(),
		Components: &openapi3.Components{Schemas: g.schemas},
	}
	for _, rt := range routes {
		op, err := g.operation(rt)
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", rt.pattern(), err)
		}
		doc.AddOperation(strings.TrimSuffix(rt.path, "{$}"), rt.method, op)
	}
	return doc, g.finish()
}

// schemaSet makes the schemas of documents, each once.
type schemaSet struct {
	generator *openapi3gen.Generator
	schemas   openapi3.Schemas
	strict    map[string]bool // components in which unknown fields are refused
}

func newSchemaSet() *schemaSet {
	return &schemaSet{
		generator: openapi3gen.NewGenerator(
			openapi3gen.SchemaCustomizer(customizeSchema),
			openapi3gen.CreateComponentSchemas(openapi3gen.ExportComponentSchemasOptions{ExportComponentSchemas: true, ExportTopLevelSchema: true}),
		),
		schemas: openapi3.Schemas{},
		strict:  map[string]bool{"JobSpec": true},
	}
}

// of refers to the schema of a document's type.
func (g *schemaSet) of(v any) (*openapi3.SchemaRef, error) {
	name := reflect.TypeOf(v).Name()
	if g.schemas[name] == nil {
		if _, err := g.generator.NewSchemaRefForValue(v, g.schemas); err != nil {
			return nil, err
		}
		if g.schemas[name] == nil {
			return nil, fmt.Errorf("type %s made no schema", name)
		}
	}
	return openapi3.NewSchemaRef("#/components/schemas/"+name, nil), nil
}

// finish closes the schemas of bodies, describes what the generator cannot, and lets null stand for a leader that is
// not known.
func (g *schemaSet) finish() error {
	for name := range g.strict {
		no := false
		g.schemas[name].Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
	}
	// These structs write themselves as something else than what the generator sees.
	g.schemas["Need"] = openapi3.NewSchemaRef("", needSchema())
	g.schemas["StartAfter"] = openapi3.NewSchemaRef("", startAfterSchema())
	leader := g.schemas["Status"].Value.Properties["leader"]
	*leader = openapi3.SchemaRef{Value: &openapi3.Schema{Nullable: true, AllOf: openapi3.SchemaRefs{{Ref: leader.Ref}}}}
	return nil
}

func (g *schemaSet) operation(rt route) (*openapi3.Operation, error) {
	op := openapi3.NewOperation()
	op.OperationID, op.Summary = rt.id, rt.summary
	for _, name := range pathParams(rt.path) {
		op.AddParameter(openapi3.NewPathParameter(name).WithSchema(openapi3.NewStringSchema()))
	}
	for _, name := range rt.params {
		p := paramSchemas[name]
		op.AddParameter(openapi3.NewQueryParameter(name).WithDescription(p.about).WithSchema(p.schema))
	}
	if p := headerParams[rt.id]; p != nil {
		op.AddParameter(p)
	}
	if err := g.body(op, rt); err != nil {
		return nil, err
	}
	return op, g.answers(op, rt)
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

func pathParams(path string) (names []string) {
	for _, m := range pathParam.FindAllStringSubmatch(path, -1) {
		names = append(names, m[1])
	}
	return names
}

func (g *schemaSet) body(op *openapi3.Operation, rt route) error {
	if rt.in == nil {
		return nil
	}
	if media, ok := rt.in.(string); ok {
		op.RequestBody = &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithRequired(true).
			WithContent(openapi3.NewContentWithSchema(openapi3.NewSchema(), []string{media}))}
		return nil
	}
	ref, err := g.of(rt.in)
	if err != nil {
		return err
	}
	g.strict[reflect.TypeOf(rt.in).Name()] = true
	media := []string{mediaJSON}
	if _, ok := rt.in.(rest.RequestSpec); ok {
		media = append(media, "application/yaml")
	}
	_, optional := rt.in.(rest.Transfer)
	op.RequestBody = &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().
		WithRequired(!optional).WithContent(openapi3.NewContentWithSchemaRef(ref, media))}
	return nil
}

func (g *schemaSet) answers(op *openapi3.Operation, rt route) error {
	good := openapi3.NewResponse().WithDescription("done")
	if media, ok := rt.out.(string); ok {
		name, _, _ := strings.Cut(media, ";")
		good.Content = openapi3.NewContentWithSchema(openapi3.NewSchema(), []string{name})
	} else {
		ref, err := g.of(rt.out)
		if err != nil {
			return err
		}
		good.Content = openapi3.NewContentWithJSONSchemaRef(ref)
	}
	bad, err := g.of(rest.Problem{})
	if err != nil {
		return err
	}
	op.Responses = openapi3.NewResponses(
		openapi3.WithStatus(200, &openapi3.ResponseRef{Value: good}),
		openapi3.WithName("default", openapi3.NewResponse().WithDescription("a problem (RFC 9457)").
			WithContent(openapi3.NewContentWithSchemaRef(bad, []string{rest.ProblemType}))),
	)
	if rt.created {
		op.Responses.Set("201", &openapi3.ResponseRef{Value: good})
	}
	if _, ok := rt.out.(rest.Health); ok {
		op.Responses.Set("503", &openapi3.ResponseRef{Value: good})
	}
	return nil
}

// customizeSchema describes the types that write themselves, and says which fields are always there.
func customizeSchema(_ string, t reflect.Type, _ reflect.StructTag, schema *openapi3.Schema) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[rest.Duration]():
		*schema = *openapi3.NewStringSchema()
		schema.Description = "a duration: a Go string like 30s or 1h30m"
	case reflect.TypeFor[rest.Raw]():
		*schema = openapi3.Schema{Nullable: true, Description: "any JSON value"}
	default:
		if t.Kind() == reflect.Struct {
			schema.Required = requiredFields(t)
		}
	}
	return nil
}

func startAfterSchema() *openapi3.Schema {
	s := openapi3.NewStringSchema()
	s.Description = "a duration like 30s, or an RFC 3339 time"
	return s
}

func needSchema() *openapi3.Schema {
	full := openapi3.NewObjectSchema().
		WithProperty("job", openapi3.NewStringSchema()).
		WithProperty("when", openapi3.NewStringSchema().WithEnum("done", "failed", "ended")).
		WithRequired([]string{"job"}).WithoutAdditionalProperties()
	s := openapi3.NewOneOfSchema(openapi3.NewStringSchema(), full)
	s.Description = "the name of a job, or a job and the condition under which it is enough"
	return s
}

// requiredFields are those that are written whatever their value.
func requiredFields(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" && !strings.Contains(options, "omit") {
			names = append(names, name)
		}
	}
	return names
}
