package arch

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/vstack/vstack/datanode"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/internal/wire/openapi"
	"github.com/vstack/vstack/metastore"
	"github.com/vstack/vstack/quicclient/gateway"
	"github.com/vstack/vstack/uploader"
)

// TestOpenAPIIsClean holds every role's document to what linters find in others' documents: an
// id is one operation's, each says who may, and all that it refers to is there.
func TestOpenAPIIsClean(t *testing.T) {
	type operation struct {
		OperationID string
		Summary     string
		Security    *[]map[string][]string
		Responses   map[string]any
	}
	for role, routes := range map[string][]wire.Route{"metastore": metastore.Routes(), "datanode": datanode.Routes(), "uploader": uploader.Routes(), "gateway": gateway.Routes()} {
		var doc struct {
			Servers    []any
			Paths      map[string]map[string]operation
			Components struct {
				Schemas         map[string]any
				SecuritySchemes map[string]any
			}
		}
		raw := openapi.Document(role, "v1", routes)
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		seen, used := map[string]string{}, map[string]bool{}
		for path, methods := range doc.Paths {
			for method, op := range methods {
				where := role + ": " + method + " " + path
				if other := seen[op.OperationID]; other != "" || op.OperationID == "" {
					t.Errorf("%s: operationId %q is also that of %s", where, op.OperationID, other)
				}
				seen[op.OperationID] = where
				if op.Summary == "" || op.Security == nil {
					t.Errorf("%s: summary %q, security %v", where, op.Summary, op.Security)
					continue
				}
				for _, either := range *op.Security {
					for scheme := range either {
						used[scheme] = true
						if doc.Components.SecuritySchemes[scheme] == nil {
							t.Errorf("%s: no security scheme %s", where, scheme)
						}
					}
				}
				four, two := false, false
				for status := range op.Responses {
					four, two = four || status[0] == '4', two || status[0] == '2'
				}
				if !four || !two {
					t.Errorf("%s: responses %v", where, op.Responses)
				}
			}
		}
		for scheme := range doc.Components.SecuritySchemes {
			if !used[scheme] {
				t.Errorf("%s: nothing uses security scheme %s", role, scheme)
			}
		}
		for name, schema := range doc.Components.Schemas {
			if schema == nil || !strings.Contains(string(raw), `"#/components/schemas/`+name+`"`) {
				t.Errorf("%s: schema %s is %v, or nothing uses it", role, name, schema)
			}
		}
		if len(doc.Servers) == 0 {
			t.Errorf("%s: no server", role)
		}
	}
}
