package openapi_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/internal/wire/openapi"
)

func TestDocument(t *testing.T) {
	raw := openapi.Document("metastore", "v1", []wire.Route{
		{Method: "GET", Path: "/v1/videos", Summary: "List", Params: []wire.Param{{Name: "cursor", In: "query"}},
			Response: wire.List[vstack.Video]{}},
		{Method: "POST", Path: "/v1/uploads", Request: wire.OpenUploadRequest{}, Response: vstack.Upload{}, Roles: vstack.RoleIngest | vstack.RoleAdmin,
			Errors: []*vstack.Sentinel{vstack.ErrNoLeader, vstack.ErrUnavailable}},
		{Method: "GET", Path: "/v1/videos/{id}", Response: wire.NodeStore{}, Errors: []*vstack.Sentinel{vstack.ErrNotFound}},
	})
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Parameters  []struct {
				Name, In string
				Required bool
			}
			Security  []any
			Responses map[string]struct{ Description string }
		}
		Components struct {
			Schemas map[string]struct {
				Properties map[string]map[string]any
				Required   []string
			}
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	t.Run("ids are strings and generics are named", func(t *testing.T) {
		if got := doc.Components.Schemas["Video"].Properties["id"]["type"]; got != "string" {
			t.Errorf("video id is %v", got)
		}
		if _, ok := doc.Components.Schemas["List.Video"]; !ok {
			t.Error("no List.Video schema")
		}
	})
	t.Run("omitted fields are optional, others required", func(t *testing.T) {
		req := doc.Components.Schemas["Video"].Required
		if slices.Contains(req, "published") || !slices.Contains(req, "title") {
			t.Errorf("required: %v", req)
		}
	})
	t.Run("embedded structs are flattened", func(t *testing.T) {
		if _, ok := doc.Components.Schemas["NodeStore"].Properties["addr"]; !ok {
			t.Error("NodeStore lacks the embedded store's addr")
		}
	})
	t.Run("path parameters are found in the path", func(t *testing.T) {
		p := doc.Paths["/v1/videos/{id}"]["get"].Parameters
		if len(p) != 1 || p[0].Name != "id" || !p[0].Required {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("errors are grouped by status and mutual TLS is said", func(t *testing.T) {
		op := doc.Paths["/v1/uploads"]["post"]
		if got := op.Responses["503"].Description; got != "NO_LEADER, UNAVAILABLE" {
			t.Errorf("503: %q", got)
		}
		if got := fmt.Sprint(op.Security); got != "[map[mutual:[ingest]] map[mutual:[admin]]]" {
			t.Errorf("security %s", got)
		}
		if op.OperationID != "postUploads" {
			t.Errorf("operationId %q", op.OperationID)
		}
	})
}
