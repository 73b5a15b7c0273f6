package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// streamed are answers that have no end.
var streamed = map[string]bool{"/v1/feed": true, "/v1/webtransport": true}

// TestEveryAnswerMatchesItsSchema reads each role's document of itself from a running lab, asks
// for everything in it that can be read as JSON, and holds the answers to the schemas. A field
// that a schema does not name is a fault, too.
func TestEveryAnswerMatchesItsSchema(t *testing.T) {
	s := newScenarioOf(t, lab.Spec{Superblock: 64 << 20})
	needFFmpeg(t)
	s.ready()
	s.vstackJSON(nil, "video", "upload", clip(t, "2", "0"))
	films, err := s.cluster.Videos(t.Context(), vstack.VideoPublished, 1)
	if err != nil || len(films) != 1 {
		t.Fatal(films, err)
	}
	s.vstackJSON(nil, "video", "play", films[0].ID.String(), "--speed", "max")
	host := s.lab.Hosts[0]
	known := map[string]string{"video": films[0].ID.String(), "name": "normal", "track": "1", "seq": "1"}
	ids := map[string]string{
		"/v1/videos/": films[0].ID.String(), "/v1/paxos/": films[0].ID.String(), "/v1/nodes/": host.Config.Host,
		"/v1/jobs/": s.firstOf(host.Config.Ingest.Addr, "/v1/jobs"), "/v1/sessions/": s.firstOf(host.Config.Gateway.Addr, "/v1/sessions"),
	}
	asked, checked := 0, 0
	for role, addr := range map[string]string{"metastore": host.Config.Meta.Peers[0].API, "datanode": host.Config.Data.Stores[0].Addr, "uploader": host.Config.Ingest.Addr, "gateway": host.Config.Gateway.Addr} {
		doc := s.document(addr)
		for path := range doc["paths"].(map[string]any) {
			op, _ := doc["paths"].(map[string]any)[path].(map[string]any)["get"].(map[string]any)
			schema := schemaOf(op)
			if schema == "" || streamed[path] {
				continue
			}
			asked++
			at := path
			for prefix, id := range ids {
				if strings.HasPrefix(path, prefix) {
					at = strings.Replace(at, "{id}", id, 1)
				}
			}
			for name, value := range known {
				at = strings.ReplaceAll(at, "{"+name+"}", value)
			}
			var answer json.RawMessage
			if err := s.cluster.Call(t.Context(), http.MethodGet, addr, at, nil, &answer); err != nil {
				t.Logf("%s: GET %s: not read: %v", role, at, err)
				continue
			}
			checked++
			if err := s.matches(role, doc, path, answer); err != nil {
				t.Errorf("%s: GET %s: %v\n%.2000s", role, at, err, answer)
			}
		}
	}
	t.Logf("%d answers of %d routes that answer with JSON", checked, asked)
	if checked < 30 {
		t.Errorf("%d answers only", checked)
	}
}

// firstOf is the id of the first of a list, at the host that has one.
func (s *scenario) firstOf(addr, path string) string {
	s.Helper()
	var list wire.List[struct{ ID string }]
	if err := s.cluster.Call(s.Context(), http.MethodGet, addr, path, nil, &list); err != nil {
		s.Fatal(err)
	}
	if len(list.Items) == 0 {
		return "none" // another host has it
	}
	return list.Items[0].ID
}

// document is a role's own, its objects closed to what they do not name.
func (s *scenario) document(addr string) map[string]any {
	s.Helper()
	var doc map[string]any
	if err := s.cluster.Call(s.Context(), http.MethodGet, addr, "/openapi.json", nil, &doc); err != nil {
		s.Fatal(err)
	}
	shut(doc)
	return doc
}

// shut lets no object have fields beyond its properties.
func shut(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok && v["additionalProperties"] == nil && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, below := range v {
			shut(below)
		}
	case []any:
		for _, below := range v {
			shut(below)
		}
	}
}

// schemaOf is where in the document the schema of an operation's answer is; empty for an answer that
// is not JSON.
func schemaOf(op map[string]any) string {
	responses, _ := op["responses"].(map[string]any)
	done, _ := responses["2XX"].(map[string]any)
	content, _ := done["content"].(map[string]any)
	if content["application/json"] == nil {
		return ""
	}
	return "/get/responses/2XX/content/application~1json/schema"
}

// matches holds an answer to the schema of its route.
func (s *scenario) matches(role string, doc map[string]any, path string, answer []byte) error {
	s.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	name := "https://vstack.test/" + role + ".json"
	if err := c.AddResource(name, doc); err != nil {
		s.Fatal(err)
	}
	schema, err := c.Compile(name + "#/paths/" + strings.ReplaceAll(path, "/", "~1") + schemaOf(doc["paths"].(map[string]any)[path].(map[string]any)["get"].(map[string]any)))
	if err != nil {
		s.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(answer))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
