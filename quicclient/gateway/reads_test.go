package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/vstack/vstack/chunkpaxos/sim"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/holdings"
	"github.com/vstack/vstack/quicclient/gateway/sessions"
	"github.com/vstack/vstack/quicclient/gateway/shell"
)

// many is a catalog of 25,000 films, of which every thousandth is rare.
type many struct {
	catalogOf
	asked *int
}

func (c many) Videos(_ context.Context, opt metaclient.ListOptions) (wire.List[vstack.Video], error) {
	*c.asked++
	from, _ := strconv.Atoi(opt.Cursor)
	var out wire.List[vstack.Video]
	for i := from; i < min(from+opt.Limit, 25_000); i++ {
		title := fmt.Sprintf("Film %d", i)
		if i%1000 == 999 {
			title = fmt.Sprintf("A Rare one, %d", i)
		}
		out.Items = append(out.Items, vstack.Video{Title: title})
	}
	if from+opt.Limit < 25_000 {
		out.Next = strconv.Itoa(from + opt.Limit)
	}
	return out, nil
}

// TestASearchIsBoundedAndGoesOn reads ten pages at most, and the rest by the cursor.
func TestASearchIsBoundedAndGoesOn(t *testing.T) {
	asked := 0
	_, srv := serve(t, &vstack.Manifest{}, nil2{}, func(c *Config) { c.Catalog = many{asked: &asked} })
	found, cursor, calls := 0, "", 0
	for {
		calls++
		asked = 0
		var page wire.List[vstack.Video]
		status, body, _ := get(t, srv.URL+"/v1/videos?limit=60&q=rare+ONE&cursor="+cursor)
		if err := json.Unmarshal(body, &page); err != nil || status != 200 {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		if asked > searchPages {
			t.Errorf("%d pages of the catalog for one search", asked)
		}
		found += len(page.Items)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if found != 25 || calls != 3 {
		t.Errorf("%d found by %d calls, want 25 by 3", found, calls)
	}
	if status, _, _ := get(t, srv.URL+"/v1/videos?q="+strings.Repeat("x", 300)); status != 400 {
		t.Errorf("a search for 300 bytes: %d", status)
	}
}

// nil2 has no chunks.
type nil2 struct{ Chunks }

func TestPagesAreToldOfTheCluster(t *testing.T) {
	m, c := filmOf(1000, 1000)
	g, srv := serve(t, m, c, nil)
	ask := func(path string, out any) {
		t.Helper()
		status, body, _ := get(t, srv.URL+path)
		if err := json.Unmarshal(body, out); err != nil || status != 200 {
			t.Fatalf("%s: %d %s: %v", path, status, body, err)
		}
	}
	var grid holdings.Grid
	ask("/v1/videos/"+m.Video.String()+"/holdings", &grid)
	if grid.HostsCanFail != 1 || len(grid.Stores) != 1 || grid.Stores[0].Copies != "099" {
		t.Errorf("%+v", grid)
	}
	var lie wire.Redundancy
	ask("/v1/redundancy", &lie)
	if lie.Videos != 7 || lie.Bears.Hosts != 1 || lie.Groups != nil {
		t.Errorf("%+v", lie)
	}
	var list wire.List[sim.Scenario]
	ask("/v1/paxos/scenarios", &list)
	var trace sim.Trace
	ask("/v1/paxos/scenarios/"+list.Items[0].Name, &trace)
	if len(list.Items) < 3 || len(trace.Messages) != 6 {
		t.Errorf("%d scenarios, the first of %d messages", len(list.Items), len(trace.Messages))
	}
	for path, want := range map[string]int{"/v1/history?span=1y": 400, "/v1/history": 200, "/v1/paxos/scenarios/x": 404, "/v1/sessions/x": 404, "/stores": 200, "/consensus": 200} {
		if status, body, _ := get(t, srv.URL+path); status != want {
			t.Errorf("%s: %d, want %d: %s", path, status, want, body)
		}
	}
	// A stock player says how it fares beside a request; one of ours tells it.
	get(t, srv.URL+"/play/"+m.Video.String()+"/1/1000.m4s?CMCD=sid%3D%22s1%22%2Cbl%3D4000%2Csf%3Dh")
	told, err := g.sessions.Get("s1")
	if err != nil || told.Kind != "stock" || told.Buffer != 4 || told.Bytes < 1000 {
		t.Errorf("%+v, %v", told, err)
	}
	for body, want := range map[string]int{
		`{"state":"playing","buffer":3,"player":"ours"}`: 204, `{"state":"asleep"}`: 400, `{`: 400, `{"player":"` + strings.Repeat("x", maxReport) + `"}`: 400,
	} {
		if got := post(t, srv.URL+"/v1/sessions/s2", body); got != want {
			t.Errorf("%.40s: %d, want %d", body, got, want)
		}
	}
	var sum sessions.Summary
	ask("/v1/sessions", &sum)
	if sum.Playing != 2 || sum.Kinds["page"] != 1 {
		t.Errorf("%+v", sum)
	}
	for body, want := range map[string]int{`{"slots":1}`: 200, `{"slots":9}`: 400, `x`: 400, `{"name":"` + strings.Repeat("x", maxScript) + `"}`: 400} {
		if got := post(t, srv.URL+"/v1/paxos/run", body); got != want {
			t.Errorf("script %.40s: %d, want %d", body, got, want)
		}
	}
}

// TestAnotherSitesPageTellsNothing: films are read from any page, and told of by ours.
func TestAnotherSitesPageTellsNothing(t *testing.T) {
	m, c := filmOf(1000)
	g, srv := serve(t, m, c, nil)
	for _, path := range []string{"/v1/sessions/x", "/v1/paxos/run"} {
		req, err := http.NewRequest(http.MethodPost, srv.URL+path, strings.NewReader(`{"state":"playing","slots":1}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://evil.example")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if g.sessions.Playing() != 0 {
		t.Error("a session was kept")
	}
}

func post(t *testing.T, url, body string) int {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestAPortOfTheConsensusHasNothingElse asks what consensusAlone serves.
func TestAPortOfTheConsensusHasNothingElse(t *testing.T) {
	m, c := filmOf(1000)
	g, _ := serve(t, m, c, nil)
	srv := httptest.NewServer(g.consensusAlone())
	defer srv.Close()
	for path, want := range map[string]int{
		"/": 200, "/consensus": 200, "/v1/paxos/scenarios": 200, "/livez": 200, "/v1/videos": 404, "/play/" + m.Video.String() + "/master.m3u8": 404, "/stores": 404,
		"/v1/sessions": 404, "/metrics": 404,
	} {
		status, body, h := get(t, srv.URL+path)
		if status != want {
			t.Errorf("%s: %d, want %d: %s", path, status, want, body)
		}
		if path == "/consensus" && (!bytes.Contains(body, []byte("<html ")) || h.Get("Content-Security-Policy") != shell.Policy) {
			t.Errorf("the page: %s", body)
		}
	}
}
