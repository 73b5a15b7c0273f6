package openapi

import (
	"encoding"
	"encoding/json"
	"maps"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Document describes routes as an OpenAPI 3.1 document. Schemas come from the JSON
// tags of the bodies' types; types with a text form (ids, slots, ballots) are strings.
func Document(title, version string, routes []wire.Route) []byte {
	b := &schemaBook{schemas: map[string]any{}, types: map[string]reflect.Type{}}
	b.of(reflect.TypeFor[wire.Problem]())
	paths := map[string]map[string]any{}
	for _, r := range routes {
		if paths[r.Path] == nil {
			paths[r.Path] = map[string]any{}
		}
		op := b.operation(r)
		if slices.ContainsFunc(routes, func(o wire.Route) bool { return o.Method == r.Method && o.Path == "/v1"+r.Path }) {
			op["operationId"] = operationID(r) + "Unversioned" // an older name of the same
		}
		paths[r.Path][strings.ToLower(r.Method)] = op
	}
	components := map[string]any{"schemas": b.schemas}
	if slices.ContainsFunc(routes, func(r wire.Route) bool { return r.Roles != 0 }) {
		components["securitySchemes"] = map[string]any{"mutual": map[string]any{"type": "mutualTLS", "description": "certificate of the cluster's CA, with the role that is named"}}
	}
	doc := map[string]any{
		"openapi":    "3.1.0",
		"servers":    []any{map[string]any{"url": "/"}}, // the one that answered this
		"info":       map[string]any{"title": title, "version": version, "license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"paths":      paths,
		"components": components,
	}
	// Maps of strings and schemas always marshal; their keys come out sorted.
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic("openapi: document does not marshal: " + err.Error())
	}
	return append(out, '\n')
}

// schemaBook collects the named schemas that operations refer to.
type schemaBook struct {
	schemas map[string]any
	types   map[string]reflect.Type // by the schema's name
}

func (b *schemaBook) operation(r wire.Route) map[string]any {
	op := map[string]any{"summary": r.Summary, "operationId": operationID(r)}
	if params := b.params(r); len(params) > 0 {
		op["parameters"] = params
	}
	if r.Request != nil {
		op["requestBody"] = map[string]any{"required": true, "content": b.content(r.Request)}
	}
	ok := map[string]any{"description": "done"}
	if r.Response != nil {
		ok["content"] = b.content(r.Response)
	}
	responses := map[string]any{"2XX": ok}
	codes := map[string][]string{}
	for _, s := range append(slices.Clone(r.Errors), vstack.ErrInternal) {
		status := strconv.Itoa(wire.ProblemOf(s).Status)
		codes[status] = append(codes[status], string(s.Code()))
	}
	for status, list := range codes {
		slices.Sort(list)
		responses[status] = map[string]any{
			"description": strings.Join(slices.Compact(list), ", "),
			"content":     map[string]any{wire.ProblemType: map[string]any{"schema": ref("Problem")}},
		}
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(codes)), func(s string) bool { return s[0] == '4' }) {
		responses["4XX"] = map[string]any{
			"description": "what is wrong with the request itself, or with who asks",
			"content":     map[string]any{wire.ProblemType: map[string]any{"schema": ref("Problem")}},
		}
	}
	op["responses"] = responses
	op["security"] = []any{} // everybody
	if r.Roles != 0 {        // OpenAPI: role names, which are not defined in the document
		var either []any
		for _, name := range r.Roles.Names() {
			either = append(either, map[string]any{"mutual": []string{name}})
		}
		op["security"] = either
	}
	return op
}

// params lists r's parameters, path parameters that r.Params leaves out included.
func (b *schemaBook) params(r wire.Route) []any {
	list := slices.Clone(r.Params)
	for _, part := range strings.Split(r.Path, "/") {
		name, isParam := strings.CutPrefix(part, "{")
		if !isParam {
			continue
		}
		name = strings.TrimSuffix(strings.TrimSuffix(name, "}"), "...")
		if !slices.ContainsFunc(list, func(p wire.Param) bool { return p.In == "path" && p.Name == name }) {
			list = append(list, wire.Param{Name: name, In: "path"})
		}
	}
	var out []any
	for _, p := range list {
		m := map[string]any{"name": p.Name, "in": p.In, "schema": map[string]any{"type": "string"}}
		if p.Doc != "" {
			m["description"] = p.Doc
		}
		if p.Required || p.In == "path" {
			m["required"] = true
		}
		out = append(out, m)
	}
	return out
}

func (b *schemaBook) content(v any) map[string]any {
	switch v.(type) {
	case []byte:
		return map[string]any{"application/octet-stream": map[string]any{}}
	case string:
		return map[string]any{"text/plain": map[string]any{}}
	}
	return map[string]any{"application/json": map[string]any{"schema": b.of(reflect.TypeOf(v))}}
}

// of returns the schema of t and files named structs under components.
func (b *schemaBook) of(t reflect.Type) map[string]any {
	if t.Kind() == reflect.Pointer {
		return b.of(t.Elem())
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer", "description": "nanoseconds"}
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		return map[string]any{"type": "array", "items": b.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": b.of(t.Elem())}
	case reflect.Struct:
		return b.ofStruct(t)
	}
	return map[string]any{} // any value
}

func (b *schemaBook) ofStruct(t reflect.Type) map[string]any {
	name := schemaName(t)
	if name == "" {
		return b.object(t)
	}
	if other := b.types[name]; other != nil && other != t { // another package's type of the name
		name = path.Base(t.PkgPath()) + "." + name
	}
	if b.types[name] == nil {
		b.types[name] = t // before its schema: a type may contain itself
		b.schemas[name] = b.object(t)
	}
	return ref(name)
}

func (b *schemaBook) object(t reflect.Type) map[string]any {
	if s, ok := reflect.Zero(t).Interface().(interface{ JSONSchemaOf() any }); ok {
		t = reflect.TypeOf(s.JSONSchemaOf()) // its JSON is not that of its fields
	}
	props := map[string]any{}
	var required []string
	b.fields(t, props, &required)
	out := map[string]any{"type": "object", "properties": props}
	if len(required) > 0 {
		slices.Sort(required)
		out["required"] = required
	}
	return out
}

// fields adds t's fields as encoding/json would write them; an embedded struct
// without a name of its own is flattened.
func (b *schemaBook) fields(t reflect.Type, props map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, opts, _ := strings.Cut(tag, ",")
		if tag == "-" || (!f.IsExported() && !f.Anonymous) {
			continue
		}
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			b.fields(f.Type, props, required)
			continue
		}
		if name == "" {
			name = f.Name
		}
		props[name] = b.of(f.Type)
		*required = slices.DeleteFunc(*required, func(r string) bool { return r == name }) // an embedded struct's, which this hides
		if !strings.Contains(opts, "omit") {
			*required = append(*required, name)
		}
	}
}

// schemaName turns a Go type's name into a component name: List[vstack.Video]
// becomes List.Video.
func schemaName(t reflect.Type) string {
	name, args, generic := strings.Cut(t.Name(), "[")
	if !generic {
		return name
	}
	for _, arg := range strings.Split(strings.TrimSuffix(args, "]"), ",") {
		name += "." + arg[strings.LastIndexAny(arg, "./")+1:]
	}
	return name
}

// operationID makes a name such as getVideosIdManifest out of method and path.
func operationID(r wire.Route) string {
	id := strings.ToLower(r.Method)
	for _, part := range strings.FieldsFunc(strings.TrimPrefix(r.Path, "/v1"), func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9')
	}) {
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

func ref(name string) map[string]any {
	return map[string]any{"$ref": "#/components/schemas/" + name}
}
