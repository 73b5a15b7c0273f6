package metastore

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/callers"
)

// scopes are what a key may be for, and which roles it acts with then.
var scopes = map[vstack.Scope]vstack.Roles{
	vstack.ScopeRead: vstack.RoleRead, vstack.ScopeUpload: vstack.RoleUpload, vstack.ScopeManage: vstack.RoleManage, vstack.ScopeAdmin: vstack.RoleAdmin,
}

// key makes an API key.
func (c *cluster) key(req wire.APIKeyRequest) string {
	c.t.Helper()
	k, err := c.client().CreateAPIKey(c.t.Context(), req)
	if err != nil {
		c.t.Fatal(err)
	}
	return k.Key
}

// with asks a member with an API key, without a certificate.
func (c *cluster) with(t *testing.T, key string, i int, method, path, body string) (*http.Response, wire.Problem) {
	t.Helper()
	resp, b := c.ask(t, c.reader(t), i, method, path, body, map[string]string{"Authorization": "Bearer " + key})
	var p wire.Problem
	_ = json.Unmarshal(b, &p) // of an answer that is none it stays empty
	return resp, p
}

// TestWhatScopesMayDo walks routes × scopes: a key acts with the roles of its scopes, and with none
// of a host.
func TestWhatScopesMayDo(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.levelBeats(vstack.NewestLevel)
	keys := map[vstack.Scope]string{}
	for s, roles := range scopes {
		if roles.Has(vstack.RolesHost) {
			t.Fatalf("scope %s has roles %s", s, roles)
		}
		keys[s] = c.key(wire.APIKeyRequest{Name: "only-" + string(s), Scopes: []vstack.Scope{s}})
	}
	for _, r := range Routes() {
		path := strings.ReplaceAll(r.Path, "{id}", "01890000-0000-7000-8000-000000000000")
		if r.Path == "/v1/feed" {
			path += "?wait=0"
		}
		for s, roles := range scopes {
			resp, p := c.with(t, keys[s], 0, r.Method, path, "{}")
			// Members ask each other by certificate alone, and a key that is asked about may be none.
			members, asked := r.Path == "/v1/views", r.Path == "/v1/apikeys/use" && s == vstack.ScopeAdmin
			refused := resp.StatusCode == http.StatusForbidden && strings.Contains(p.Detail, "this wants any of") || members && resp.StatusCode == http.StatusUnauthorized
			want := r.Roles != 0 && !roles.Has(r.Roles) || r.Heeds == wire.HeedsCertificate && s != vstack.ScopeAdmin
			if refused != want || resp.StatusCode == http.StatusUnauthorized && !members && !asked {
				t.Errorf("%s %s, for %q, with a key to %s: %d %s %s", r.Method, r.Path, r.Roles, s, resp.StatusCode, p.Code, p.Detail)
			}
		}
		if resp, p := c.with(t, vstack.NewAPIKey(), 0, r.Method, path, "{}"); resp.StatusCode != http.StatusUnauthorized || p.Code != vstack.ErrUnauthenticated.Code() {
			t.Errorf("%s %s with a key that nobody made: %d %s", r.Method, r.Path, resp.StatusCode, p.Code)
		}
	}
}

func TestAKeyToReadSeesPrivateFilms(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.levelBeats(vstack.NewestLevel)
	up, err := c.client().OpenUpload(t.Context(), wire.OpenUploadRequest{Title: "secret", Owner: vstack.ProposerID{1}, Visibility: vstack.VisibilityPrivate})
	if err != nil {
		t.Fatal(err)
	}
	for s := range scopes {
		want := http.StatusNotFound
		if s == vstack.ScopeRead || s == vstack.ScopeAdmin {
			want = http.StatusOK
		}
		key := c.key(wire.APIKeyRequest{Name: string(s), Scopes: []vstack.Scope{s}})
		if resp, _ := c.with(t, key, 0, "GET", "/v1/videos/"+up.Video.String(), ""); resp.StatusCode != want {
			t.Errorf("with a key to %s: %d, want %d", s, resp.StatusCode, want)
		}
	}
}

// TestAKeyIsGoodAtEveryMemberUntilItIsRemoved: also where a member passes the request on, and who
// did it is written down.
func TestAKeyIsGoodAtEveryMemberUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, calm)
	c.levelBeats(vstack.NewestLevel)
	up, err := c.client().OpenUpload(t.Context(), wire.OpenUploadRequest{Title: "film", Owner: vstack.ProposerID{1}})
	if err != nil {
		t.Fatal(err)
	}
	key := c.key(wire.APIKeyRequest{Name: "editor", Scopes: []vstack.Scope{vstack.ScopeManage}})
	patch := func(i int) (*http.Response, wire.Problem) {
		return c.with(t, key, i, "PATCH", "/v1/videos/"+up.Video.String(), fmt.Sprintf(`{"title":"by %d"}`, i))
	}
	for i := range c.members {
		c.eventually("the key to be known", func() bool { resp, _ := patch(i); return resp.StatusCode == http.StatusOK })
	}
	// Whoever is no member speaks for no key.
	resp, body := c.ask(t, c.reader(t), 0, "PATCH", "/v1/videos/"+up.Video.String(), `{"title":"x"}`, map[string]string{wire.HeaderForwarded: "h1", wire.HeaderCaller: "apikey:editor"})
	wantProblem(t, "who claims to pass on", resp, body, vstack.ErrForbidden)
	for i := range c.members {
		if resp, p := c.with(t, key, i, "GET", "/v1/apikeys", ""); resp.StatusCode != http.StatusForbidden {
			t.Errorf("member %d lists keys to it: %d %s", i, resp.StatusCode, p.Detail)
		}
	}
	if err := c.client().DropAPIKey(t.Context(), "editor"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for i := range c.members {
		c.eventually("the key to be gone", func() bool {
			asked := time.Since(began) // what an answer takes is the machine's
			resp, _ := patch(i)
			if resp.StatusCode == http.StatusOK && asked > callers.Heard {
				t.Errorf("member %d takes it %s after it was removed", i, asked)
			}
			return resp.StatusCode == http.StatusUnauthorized
		})
	}
	t.Logf("refused by all members after %s", time.Since(began))
	events, err := c.client().Events(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for what, of := range map[string]func(e vstack.Event) bool{
		"made": func(e vstack.Event) bool {
			return e.Of == "apikey:editor" && strings.HasPrefix(e.Detail, "added") && e.By != ""
		},
		"removed": func(e vstack.Event) bool { return e.Of == "apikey:editor" && e.Detail == "removed" && e.By != "" },
	} {
		if !slices.ContainsFunc(events.Items, of) {
			t.Errorf("nobody %s the key: %+v", what, events.Items)
		}
	}
}

// TestAKeyNamesItselfInEvents: what it changes is told to be by it.
func TestAKeyNamesItselfInEvents(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.levelBeats(vstack.NewestLevel)
	up, err := c.client().OpenUpload(t.Context(), wire.OpenUploadRequest{Title: "film", Owner: vstack.ProposerID{1}})
	if err != nil {
		t.Fatal(err)
	}
	key := c.key(wire.APIKeyRequest{Name: "editor", Scopes: []vstack.Scope{vstack.ScopeManage}})
	if resp, p := c.with(t, key, 0, "PATCH", "/v1/videos/"+up.Video.String(), `{"visibility":"private"}`); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, p.Detail)
	}
	events, err := c.client().Events(t.Context(), 0, 1000)
	if err != nil || !slices.ContainsFunc(events.Items, func(e vstack.Event) bool { return e.By == "apikey:editor" && e.Of == "video "+up.Video.String() }) {
		t.Errorf("%+v, %v", events.Items, err)
	}
}

func TestAKeyIsHeldToItsRateAndQuota(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.levelBeats(vstack.NewestLevel)
	key := c.key(wire.APIKeyRequest{Name: "slow", Scopes: []vstack.Scope{vstack.ScopeRead}, Rate: 0.01})
	if resp, p := c.with(t, key, 0, "GET", "/v1/videos", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("the first: %d %s", resp.StatusCode, p.Detail)
	}
	if resp, p := c.with(t, key, 0, "GET", "/v1/videos", ""); resp.StatusCode != http.StatusTooManyRequests || p.Code != vstack.ErrRateLimited.Code() || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the second: %d %s, Retry-After %q", resp.StatusCode, p.Code, resp.Header.Get("Retry-After"))
	}
	of := func(key string) vstack.APIKeyID { id, _ := vstack.APIKeyOf("Bearer " + key); return id }
	cl, ctx := c.client(), t.Context()
	two := of(c.key(wire.APIKeyRequest{Name: "two", Scopes: []vstack.Scope{vstack.ScopeUpload}, Films: 2, Bytes: 100}))
	for _, u := range []struct {
		films, bytes int64
		want         *vstack.Sentinel
	}{{1, 60, nil}, {1, 60, vstack.ErrQuota}, {1, -1, vstack.ErrQuota}, {1, 40, nil}, {1, 0, vstack.ErrQuota}, {0, 0, nil}} {
		k, err := cl.UseAPIKey(ctx, wire.UseAPIKeyRequest{ID: two, Films: u.films, Bytes: u.bytes})
		if u.want == nil && (err != nil || k.Name != "two") || u.want != nil && !errors.Is(err, u.want) {
			t.Errorf("%d films of %d bytes: %+v, %v", u.films, u.bytes, k, err)
		}
	}
	list, err := cl.APIKeys(ctx)
	if err != nil || len(list) != 2 || list[1].UsedFilms != 2 || list[1].UsedBytes != 100 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := cl.UseAPIKey(ctx, wire.UseAPIKeyRequest{ID: of(key), Films: 1}); !errors.Is(err, vstack.ErrForbidden) {
		t.Errorf("a key to read uploads: %v", err)
	}
	gone := of(c.key(wire.APIKeyRequest{Name: "short", Scopes: []vstack.Scope{vstack.ScopeUpload}, Life: 0.001}))
	c.eventually("a key to expire", func() bool {
		_, err := cl.UseAPIKey(ctx, wire.UseAPIKeyRequest{ID: gone})
		return errors.Is(err, vstack.ErrUnauthenticated)
	})
	for _, bad := range []wire.APIKeyRequest{{Name: "x"}, {Name: "a b", Scopes: []vstack.Scope{"read"}}, {Name: "x", Scopes: []vstack.Scope{"meta"}}, {Name: "x", Scopes: []vstack.Scope{"read", "read"}}, {Name: "x", Scopes: []vstack.Scope{"read"}, Rate: -1}} {
		if k, err := cl.CreateAPIKey(ctx, bad); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%+v made %+v, %v", bad, k, err)
		}
	}
	if _, err := cl.CreateAPIKey(ctx, wire.APIKeyRequest{Name: "two", Scopes: []vstack.Scope{"read"}}); !errors.Is(err, vstack.ErrAlreadyExists) {
		t.Errorf("a name twice: %v", err)
	}
}
