package metastore

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestServedRoutesAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	e, ok := c.members[0].handler().(*echo.Echo)
	if !ok {
		t.Fatalf("handler is a %T", c.members[0].handler())
	}
	var served, documented []string
	for _, r := range e.Routes() {
		served = append(served, r.Method+" "+r.Path)
	}
	for _, r := range append(Routes(), ops.Routes()...) {
		documented = append(documented, r.Method+" "+echoPath(r.Path))
		if r.Summary == "" {
			t.Errorf("%s %s has no summary", r.Method, r.Path)
		}
	}
	slices.Sort(served)
	slices.Sort(documented)
	if !slices.Equal(served, documented) {
		t.Fatalf("served %q\ndocumented %q", served, documented)
	}
	resp, body := c.request(t, c.admin, 0, http.MethodGet, "/openapi.json", "", nil)
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(body, &doc); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("openapi.json: %d, %v", resp.StatusCode, err)
	}
	for _, r := range Routes() {
		if doc.Paths[r.Path][strings.ToLower(r.Method)] == nil {
			t.Errorf("%s %s is not in openapi.json", r.Method, r.Path)
		}
	}
}

// request sends one plain request to one member.
func (c *cluster) request(t *testing.T, as *identity.Identity, i int, method, path, body string, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: as.ClientTLS()}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+c.peers[i].API+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := (&http.Client{Transport: tr, Timeout: 40 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, b
}

// ask is request for tests in which all members are up: while they elect, which a busy machine
// may have them do at any time, it asks again.
func (c *cluster) ask(t *testing.T, as *identity.Identity, i int, method, path, body string, header map[string]string) (resp *http.Response, b []byte) {
	t.Helper()
	electing := []byte(`"code":"` + vstack.ErrNoLeader.Code() + `"`)
	c.eventually("an answer to "+method+" "+path+" by a cluster with a leader", func() bool {
		resp, b = c.request(t, as, i, method, path, body, header)
		return !bytes.Contains(b, electing)
	})
	return resp, b
}

func (c *cluster) reader(t *testing.T) *identity.Identity {
	t.Helper()
	id, err := identity.LoadRoots(c.dir + "/ca/ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// wantProblem checks an error answer.
func wantProblem(t *testing.T, what string, resp *http.Response, body []byte, want *vstack.Sentinel) {
	t.Helper()
	var p wire.Problem
	if err := json.Unmarshal(body, &p); err != nil || resp.Header.Get("Content-Type") != wire.ProblemType || p.Code != want.Code() || resp.StatusCode < 400 {
		t.Errorf("%s: %d %s, want %s", what, resp.StatusCode, bytes.TrimSpace(body), want.Code())
	}
}

func TestMutationsWantACertificate(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.leader()
	reader := c.reader(t)
	id := "01890000-0000-7000-8000-000000000000"
	for _, r := range Routes() {
		path := strings.ReplaceAll(r.Path, "{id}", id)
		if strings.Contains(path, "/nodes/") {
			path = "/v1/nodes/h1"
		}
		if r.Path == "/v1/feed" {
			path += "?wait=0"
		}
		resp, body := c.ask(t, reader, 0, r.Method, path, "{}", nil)
		switch refused := resp.StatusCode == http.StatusUnauthorized; {
		case r.Roles != 0:
			wantProblem(t, r.Method+" "+path+" as a reader", resp, body, vstack.ErrUnauthenticated)
		case refused:
			t.Errorf("%s %s is refused to a reader", r.Method, path)
		case r.Method != http.MethodGet && r.Path != "/v1/videos/{id}/views":
			t.Errorf("%s %s needs no certificate", r.Method, path)
		}
		if resp.Header.Get(wire.HeaderNode) != "h1" || resp.Header.Get(wire.HeaderTerm) == "" || resp.Header.Get(wire.HeaderIndex) == "" {
			t.Errorf("%s %s: answer is not signed: %v", r.Method, path, resp.Header)
		}
	}
}

func TestBadRequestsAreRefusedByName(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.leader()
	long := strings.Repeat("x", 65)
	for _, q := range []struct {
		what, method, path, body string
		header                   map[string]string
		want                     *vstack.Sentinel
	}{
		{"no route", "GET", "/v1/colours", "", nil, vstack.ErrNotFound},
		{"no method", "PUT", "/v1/videos", "{}", nil, vstack.ErrMethod},
		{"not an id", "GET", "/v1/videos/..%2f..%2fetc", "", nil, vstack.ErrInvalid},
		{"unknown video", "GET", "/v1/videos/01890000-0000-7000-8000-000000000000", "", nil, vstack.ErrNotFound},
		{"consistency", "GET", "/v1/videos?consistency=eventual", "", nil, vstack.ErrInvalid},
		{"min_index", "GET", "/v1/videos?min_index=soon", "", nil, vstack.ErrInvalid},
		{"limit", "GET", "/v1/videos?limit=1001", "", nil, vstack.ErrInvalid},
		{"cursor", "GET", "/v1/uploads?cursor=-1", "", nil, vstack.ErrInvalid},
		{"state", "GET", "/v1/videos?state=lost", "", nil, vstack.ErrInvalid},
		{"wait", "GET", "/v1/feed?wait=31", "", nil, vstack.ErrInvalid},
		{"source", "GET", "/v1/uploads?source_sha256=beef", "", nil, vstack.ErrInvalid},
		{"request id", "POST", "/v1/uploads", "{}", map[string]string{wire.HeaderRequestID: long}, vstack.ErrInvalid},
		{"not JSON", "POST", "/v1/uploads", "title=x", nil, vstack.ErrInvalid},
		{"unknown field", "POST", "/v1/uploads", `{"titel":"x"}`, nil, vstack.ErrInvalid},
		{"two values", "POST", "/v1/uploads", `{} {}`, nil, vstack.ErrInvalid},
		{"no owner", "POST", "/v1/uploads", `{"title":"x"}`, nil, vstack.ErrInvalid},
		{"too large", "POST", "/v1/uploads", `{"title":"` + strings.Repeat("x", smallBody) + `"}`, nil, vstack.ErrTooLarge},
		{"no placement", "POST", "/v1/uploads", `{"title":"x","owner":"01890000-0000-7000-8000-000000000000"}`, nil, vstack.ErrNotReady},
		{"control character", "POST", "/v1/uploads", `{"title":"\u0007","owner":"01890000-0000-7000-8000-000000000000"}`, nil, vstack.ErrInvalid},
		{"heartbeat of an admin", "POST", "/v1/heartbeats", `{"host":"h1"}`, nil, vstack.ErrForbidden},
	} {
		resp, body := c.ask(t, c.admin, 0, q.method, q.path, q.body, q.header)
		wantProblem(t, q.what, resp, body, q.want)
	}
	resp, body := c.ask(t, c.ids[0], 0, "POST", "/v1/heartbeats", `{"host":"h2","stores":[]}`, nil)
	wantProblem(t, "a heartbeat for another host", resp, body, vstack.ErrForbidden)
}

func TestAHostSpeaksForItselfAtAnyMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	for i := range 3 { // the leader and those that forward
		beat := func(as *identity.Identity, hb string) (resp *http.Response, body []byte) {
			c.eventually("an answer of the leader", func() bool {
				resp, body = c.ask(t, as, i, "POST", "/v1/heartbeats", hb, map[string]string{wire.HeaderCaller: "host h1"})
				return resp.StatusCode != http.StatusServiceUnavailable // an election on a busy machine
			})
			return resp, body
		}
		resp, body := beat(c.ids[0], `{"host":"h2","stores":[]}`)
		wantProblem(t, "a heartbeat for another host", resp, body, vstack.ErrForbidden)
		resp, body = beat(c.admin, `{"host":"h1","stores":[]}`)
		wantProblem(t, "a heartbeat of an administrator", resp, body, vstack.ErrForbidden)
		own, err := json.Marshal(heartbeatOf(0, 1))
		if err != nil {
			t.Fatal(err)
		}
		if resp, body = beat(c.ids[0], string(own)); resp.StatusCode != http.StatusOK {
			t.Errorf("its own at member %d: %d %s", i, resp.StatusCode, body)
		}
	}
}

// A member that was removed forwards until it knows.
func TestARemovedMemberStillSpeaksForItsOwnHost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.leader()
	removed := c.issue(identity.Spec{ID: "h9", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}})
	beat := func(caller, host string) (*http.Response, []byte) {
		return c.ask(t, removed, 0, "POST", "/v1/heartbeats", `{"host":"`+host+`","stores":[]}`, map[string]string{wire.HeaderForwarded: "h9", wire.HeaderCaller: caller})
	}
	resp, body := beat("host h1", "h1")
	wantProblem(t, "for another host, which asked it to", resp, body, vstack.ErrForbidden)
	resp, body = beat("host h1", "h9")
	wantProblem(t, "for its own, asked by another", resp, body, vstack.ErrForbidden)
	if _, body = beat("host h9", "h9"); bytes.Contains(body, []byte(vstack.ErrForbidden.Code())) {
		t.Errorf("for its own host: %s", body)
	}
}

func TestARequestIsForwardedOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	follower := (c.leader() + 1) % 3
	resp, body := c.request(t, c.ids[(follower+1)%3], follower, "POST", "/v1/raft/transfer", "{}", map[string]string{
		wire.HeaderForwarded: c.peers[(follower+1)%3].ID, wire.HeaderCaller: "admin ann"})
	wantProblem(t, "a forwarded request at a follower", resp, body, vstack.ErrNoLeader)
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestARepeatedRequestIsAnsweredOnceOnAnyMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	open := `{"title":"once","owner":"01890000-0000-7000-8000-000000000000"}`
	header := map[string]string{wire.HeaderRequestID: "same"}
	var first string
	for i := range c.members {
		resp, body := c.ask(t, c.admin, i, "POST", "/v1/uploads", open, header)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("member %d: %d %s", i, resp.StatusCode, body)
		}
		if first == "" {
			first = string(body)
		} else if string(body) != first {
			t.Errorf("member %d answers %s, want %s", i, body, first)
		}
	}
	lead := c.leader()
	c.stop(lead)
	next := c.leader()
	if resp, body := c.ask(t, c.admin, next, "POST", "/v1/uploads", open, header); string(body) != first {
		t.Errorf("after the leader's end: %d %s", resp.StatusCode, body)
	}
	vs, err := c.client(next).Videos(t.Context(), listAll)
	if err != nil || len(vs.Items) != 1 {
		t.Errorf("%d videos, %v", len(vs.Items), err)
	}
}

func TestManifestsAndPlacementAreTagged(t *testing.T) {
	t.Parallel()
	// The stores report once only; on a slow machine they must not be down by the end.
	c := newCluster(t, 1, func(cfg *Config) { cfg.SuspectAfter, cfg.DownAfter = time.Hour, 2*time.Hour })
	c.register()
	v, _, err := publish(t.Context(), c.client(), "tagged", 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/videos/" + v.ID.String() + "/manifest", "/v1/placement"} {
		resp, body := c.ask(t, c.reader(t), 0, "GET", path, "", nil)
		tag := resp.Header.Get("ETag")
		if resp.StatusCode != http.StatusOK || len(body) == 0 || tag == "" {
			t.Fatalf("%s: %d, tag %q", path, resp.StatusCode, tag)
		}
		resp, body = c.ask(t, c.reader(t), 0, "GET", path, "", map[string]string{"If-None-Match": `"other", ` + tag})
		if resp.StatusCode != http.StatusNotModified || len(body) != 0 {
			t.Errorf("%s with its tag: %d, %d bytes", path, resp.StatusCode, len(body))
		}
	}
	// The map is what every reader far away waits for first.
	_, whole := c.request(t, c.reader(t), 0, "GET", "/v1/placement", "", nil)
	resp, packed := c.request(t, c.reader(t), 0, "GET", "/v1/placement", "", map[string]string{"Accept-Encoding": "gzip"})
	if tag := resp.Header.Get("ETag"); resp.Header.Get("Content-Encoding") != "gzip" || len(packed) > len(whole)/5 || !strings.HasPrefix(tag, "W/") {
		t.Errorf("compressed: %v, %d bytes of %d, tag %s", resp.Header, len(packed), len(whole), tag)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if back, err := io.ReadAll(z); err != nil || !bytes.Equal(back, whole) {
		t.Errorf("%d bytes unpacked, want the %d of who takes no compression; %v", len(back), len(whole), err)
	}
	if resp, _ = c.request(t, c.reader(t), 0, "GET", "/v1/placement", "", map[string]string{"If-None-Match": resp.Header.Get("ETag")}); resp.StatusCode != http.StatusNotModified {
		t.Errorf("the map with its weak tag: %d", resp.StatusCode)
	}
	p, err := c.client().VideoPlacement(t.Context(), v.ID)
	if err != nil || len(p.Slots) != 4 || len(p.Slots[0].Holders) != 3 || p.HostsCanFail != 2 || p.StoresCanFail != 2 {
		t.Fatalf("placement of a hot video over three hosts: %+v, %v", p, err)
	}
	for _, path := range []string{"/livez", "/readyz", "/readyz?verbose", "/metrics", "/version"} {
		if resp, body := c.ask(t, c.reader(t), 0, "GET", path, "", nil); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}

func TestAMemberWithoutAMajoritySaysSo(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	lead := c.leader()
	c.stop((lead + 1) % 3)
	c.stop((lead + 2) % 3)
	c.eventually("the leader to step down", func() bool { return !c.members[lead].Leading() })
	resp, body := c.request(t, c.admin, lead, "GET", "/v1/videos", "", nil)
	wantProblem(t, "a default read", resp, body, vstack.ErrNoLeader)
	resp, _ = c.request(t, c.admin, lead, "GET", "/v1/videos?consistency=stale", "", nil)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a stale read: %d", resp.StatusCode)
	}
	resp, _ = c.request(t, c.admin, lead, "GET", "/readyz", "", nil)
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d", resp.StatusCode)
	}
	resp, body = c.request(t, c.admin, lead, "GET", fmt.Sprintf("/v1/placement?min_index=%d", 1<<40), "", nil)
	wantProblem(t, "an index that never comes", resp, body, vstack.ErrCatalogLagging)
}

func containsTitle(body []byte, title string) bool {
	var v vstack.Video
	return json.Unmarshal(body, &v) == nil && v.Title == title
}
