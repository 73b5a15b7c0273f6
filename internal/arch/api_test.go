package arch

import (
	"encoding"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vstack/vstack/datanode"
	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore"
	"github.com/vstack/vstack/quicclient/gateway"
	"github.com/vstack/vstack/uploader"
)

// apiRow is one route as docs/api.md shows it.
type apiRow struct {
	cert, takes string
	codes       []string
}

var (
	fence   = regexp.MustCompile("(?s)```.*?```")
	quoted  = regexp.MustCompile("`([^`\n]+)`")
	inJSON  = regexp.MustCompile(`"([a-z_]+)"`)
	callRow = regexp.MustCompile("(?m)^\\| `((?:OPTIONS|GET|HEAD|PUT|POST|PATCH|DELETE) [^`]+)` \\|(.*)\\|$")
	errSet  = regexp.MustCompile(`(?m)^\*([a-z]+)\*: ([^.]+)\.`)
	code    = regexp.MustCompile("`([A-Z][A-Z_]+)`")
)

// apiSection reads the routes of one "## Title" of the page.
func apiSection(t *testing.T, page, title string) map[string]apiRow {
	t.Helper()
	_, body, ok := strings.Cut(page, "\n## "+title+"\n")
	if !ok {
		t.Fatalf("docs/api.md has no section %q", title)
	}
	body, _, _ = strings.Cut(body, "\n## ")
	sets := map[string][]string{}
	for _, m := range errSet.FindAllStringSubmatch(body, -1) {
		sets[m[1]] = codesIn(m[2])
	}
	out := map[string]apiRow{}
	for _, m := range callRow.FindAllStringSubmatch(body, -1) {
		cells := strings.Split(m[2], "|")
		if len(cells) != 4 {
			t.Fatalf("docs/api.md: %s has %d cells beside the call, want 4", m[1], len(cells))
		}
		row := apiRow{cert: strings.TrimSpace(cells[0]), takes: cells[1], codes: codesIn(cells[3])}
		for name, set := range sets {
			if strings.Contains(cells[3], "*"+name+"*") {
				row.codes = append(row.codes, set...)
			}
		}
		slices.Sort(row.codes)
		out[m[1]] = row
	}
	return out
}

func codesIn(s string) []string {
	var out []string
	for _, m := range code.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	return out
}

// TestEveryRouteIsDocumented holds docs/api.md to what the roles serve: routes both
// ways, and of each its parameters, whether it wants a certificate, and its errors.
func TestEveryRouteIsDocumented(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(root(t), "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(body)
	shared := wire.Methods(ops.Routes())
	for title, routes := range map[string][]wire.Route{
		"Every role": ops.Routes(), "Metastore": metastore.Routes(), "Datanode": datanode.Routes(), "Uploader": uploader.Routes(), "Gateway": gateway.Routes(),
	} {
		t.Run(title, func(t *testing.T) {
			rows := apiSection(t, page, title)
			for _, r := range routes {
				call := r.Method + " " + r.Path
				if title != "Every role" && slices.Contains(shared, call) {
					continue
				}
				row, ok := rows[call]
				if !ok {
					t.Errorf("docs/api.md lacks %s", call)
					continue
				}
				delete(rows, call)
				compareRoute(t, call, r, row, title == "Every role")
			}
			for call := range rows {
				t.Errorf("docs/api.md has %s, which the role does not serve", call)
			}
		})
	}
}

func compareRoute(t *testing.T, call string, r wire.Route, row apiRow, probe bool) {
	t.Helper()
	want := strings.Join(r.Roles.Names(), ", ")
	if want == "" {
		want = "–"
	}
	if said, _, _ := strings.Cut(row.cert, ";"); said != want { // behind it may stand for what of it
		t.Errorf("%s: roles %q, the route has %q", call, said, want)
	}
	for _, p := range r.Params {
		// The headers of a PUT have a table of their own.
		if !strings.Contains(row.takes, "`"+p.Name+"`") && !(r.Method == http.MethodPut && p.In == "header") {
			t.Errorf("%s: parameter %s is not in its row", call, p.Name)
		}
	}
	var codes []string
	for _, s := range r.Errors {
		codes = append(codes, string(s.Code()))
	}
	slices.Sort(codes)
	if codes = slices.Compact(codes); !probe && !slices.Equal(codes, slices.Compact(row.codes)) {
		t.Errorf("%s: errors %v, the route has %v", call, row.codes, codes)
	}
}

// TestEveryFieldOfABodyIsDocumented wants the JSON name of every field that a role
// takes or answers, and every header of a PUT, in docs/api.md.
func TestEveryFieldOfABodyIsDocumented(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(root(t), "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range quoted.FindAllStringSubmatch(fence.ReplaceAllString(string(body), ""), -1) {
		known[strings.TrimSuffix(m[1], "[]")] = true
		for _, inside := range inJSON.FindAllStringSubmatch(m[1], -1) {
			known[inside[1]] = true
		}
	}
	fields := map[string]string{}
	seen := map[reflect.Type]bool{}
	for _, r := range slices.Concat(metastore.Routes(), datanode.Routes(), uploader.Routes(), gateway.Routes()) {
		for _, v := range []any{r.Request, r.Response} {
			if v != nil {
				jsonFields(reflect.TypeOf(v), seen, fields)
			}
		}
		for _, p := range r.Params {
			if p.In == "header" {
				fields[p.Name] = r.Path
			}
		}
	}
	jsonFields(reflect.TypeFor[wire.Problem](), seen, fields)
	if len(fields) < 100 {
		t.Errorf("found %d fields only: is the walk broken?", len(fields))
	}
	for name, of := range fields {
		if !known[name] {
			t.Errorf("docs/api.md does not name %s of %s", name, of)
		}
	}
}

// jsonFields gathers field names as encoding/json writes them.
func jsonFields(typ reflect.Type, seen map[reflect.Type]bool, out map[string]string) {
	if seen[typ] || typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return
	}
	seen[typ] = true
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		jsonFields(typ.Elem(), seen, out)
	case reflect.Struct:
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && name != "-" {
				out[name] = typ.String()
			}
			if f.IsExported() {
				jsonFields(f.Type, seen, out)
			}
		}
	}
}
