package uploader

import (
	"net/http"
	"strings"
	"testing"
)

// What a page of another site has a visitor's browser ask for changes nothing, over any route.
func TestAPageOfAnotherSiteIsRefused(t *testing.T) {
	h := startHost(t, newCluster(), t.TempDir(), nil)
	for _, r := range Routes() {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
			continue
		}
		req, err := http.NewRequestWithContext(t.Context(), r.Method, h.base+strings.ReplaceAll(r.Path, "{id}", "01890000-0000-7000-8000-000000000000"), strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://evil.example")
		resp, err := h.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s %s: %d", r.Method, r.Path, resp.StatusCode)
		}
	}
}
