package monitoring

import (
	"errors"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/vstack/vstack/deploy/monitoring/dashboards"
)

// TestGrafanasSchemaTakesTheDashboards holds each dashboard to Grafana's own schema, with the
// options of its panels and queries: no field that is missing, unknown or of another type.
func TestGrafanasSchemaTakesTheDashboards(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	for _, d := range dashboards.All() {
		body, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		//lint:ignore SA1019 every Grafana from 9 on reads the classic schema, only the newest its successor
		var page dashboard.Dashboard
		for _, err := range []error{page.UnmarshalJSONStrict(body), page.Validate()} {
			var found cog.BuildErrors
			if err != nil && (!errors.As(err, &found) || len(found) > 0) { // the schema's own "none" is no nil
				t.Errorf("%s: %v", d.Title, err)
			}
		}
		if len(page.Panels) == 0 {
			t.Errorf("%s: the schema sees no panel", d.Title)
		}
	}
}
