package monitoring

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/deploy/monitoring/dashboards"
)

func TestShippedDashboardsAreThoseOfTheCode(t *testing.T) {
	for _, d := range dashboards.All() {
		body, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		ships(t, filepath.Join("../grafana", d.UID+".json"), body)
	}
}

func TestDashboardsNameMetricsThatRolesRegister(t *testing.T) {
	known := registered(t)
	queries := 0
	for _, d := range dashboards.All() {
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					queries++
					if !strings.Contains(q.Expr, `cluster="$cluster"`) {
						t.Errorf("%s, %s: %s is of every cluster", d.Title, p.Title, q.Expr)
					}
					for _, name := range metric.FindAllString(q.Expr, -1) {
						if !known[name] {
							t.Errorf("%s, %s names %s, which no role registers", d.Title, p.Title, name)
						}
					}
				}
			}
		}
	}
	if queries < 80 {
		t.Errorf("%d queries only", queries)
	}
}

// TestPromtoolTakesTheQueries gives every query of every panel to Prometheus' own parser.
func TestPromtoolTakesTheQueries(t *testing.T) {
	var rules []Rule
	for _, d := range dashboards.All() {
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					expr := strings.NewReplacer("$cluster", "c", "$__rate_interval", "1m").Replace(q.Expr)
					rules = append(rules, Rule{Name: fmt.Sprintf("Query%d", len(rules)), Expr: expr})
				}
			}
		}
	}
	body, err := RulesFile(rules, 0)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Log(promtool(t, ".", "check", "rules", path))
}

func TestPanelsLieBesideEachOther(t *testing.T) {
	for _, d := range dashboards.All() {
		body, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Panels []struct {
				ID      int
				Title   string
				GridPos struct{ X, Y, W, H int }
			}
		}
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		taken := map[[2]int]string{}
		ids := map[int]bool{}
		for _, p := range page.Panels {
			if ids[p.ID] {
				t.Errorf("%s: two panels are %d", d.Title, p.ID)
			}
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s: %s lies over %s", d.Title, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}
